"""What answers of BatchWriteItem mean."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from dynamo_load.writing.answers import (
    Answer,
    AnswerReader,
    Expired,
    Failed,
    Refused,
    Stored,
    Throttled,
    Unprocessed,
    without_values,
)

ANSWERS = AnswerReader()


def answer_of(status: int, body: object, crc_header: str = "x-amz-crc32") -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Any\r\nServer: Server\r\n{crc_header}: {zlib.crc32(data)}\r\n\r\n"
    return ANSWERS.read(status, head.encode(), data)


def error(code: str) -> dict[str, str]:
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why"}


@pytest.mark.parametrize(
    "code",
    ["ProvisionedThroughputExceededException", "ThrottlingException", "RequestLimitExceeded", "LimitExceededException"],
)
def test_throttling_errors_are_tried_again(code: str) -> None:
    assert answer_of(400, error(code)) == Throttled(code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, error("InternalServerError")),
        (503, error("ServiceUnavailable")),
        (400, error("RequestTimeout")),
        (400, error("ReplicatedWriteConflictException")),
        (502, b"<html>Bad Gateway</html>"),
        (504, b""),
        (200, b"<html>login</html>"),
        (200, b""),
        (200, []),
        (200, {"UnprocessedItems": None}),
        (200, {}),
    ],
)
def test_what_may_succeed_later_is_tried_again(status: int, body: object) -> None:
    assert isinstance(answer_of(status, body), Failed)


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFoundException", "AccessDeniedException"])
def test_what_can_never_succeed_is_a_refusal_in_dynamodbs_words(code: str) -> None:
    assert answer_of(400, error(code)) == Refused(code, "why")


def test_expired_credentials_are_told_from_other_refusals() -> None:
    assert answer_of(400, error("ExpiredTokenException")) == Expired()


def test_an_answer_that_is_not_dynamodbs_is_a_refusal_that_says_its_status() -> None:
    answer = answer_of(407, b"<html>proxy</html>")
    assert isinstance(answer, Refused)
    assert answer.code == "407"


@pytest.mark.parametrize("header", ["x-amz-crc32", "X-Amz-Crc32"])
def test_a_checksum_that_does_not_fit_is_never_a_success(header: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{header}: 1\r\n\r\n".encode()
    assert isinstance(ANSWERS.read(200, head, b'{"UnprocessedItems":{}}'), Failed)


def test_success_tells_the_units_that_tables_and_indexes_consumed() -> None:
    consumed = [{"TableName": "t", "CapacityUnits": 25.0}, {"TableName": "u", "CapacityUnits": 1.5}]
    assert answer_of(200, {"UnprocessedItems": {}, "ConsumedCapacity": consumed}) == Stored(26.5)
    assert answer_of(200, {"UnprocessedItems": {}}) == Stored(None)


@given(st.lists(st.dictionaries(st.text(min_size=1), st.text()), min_size=1, max_size=25))
def test_unprocessed_items_are_given_back_as_they_came(rows: list[dict[str, str]]) -> None:
    puts = [{"PutRequest": {"Item": {name: {"S": text} for name, text in row.items()}}} for row in rows]
    answer = answer_of(200, {"UnprocessedItems": {"reviews": puts}})
    assert isinstance(answer, Unprocessed)
    assert answer.rows == len(rows)
    assert json.loads(b"[" + answer.items + b"]") == puts


SECRETS = st.text(st.sampled_from("geheim 1.5é€-/"), min_size=3).filter(str.strip)


@given(
    st.recursive(
        SECRETS | st.binary(min_size=3), lambda inner: st.lists(inner) | st.dictionaries(SECRETS, inner), max_leaves=4
    )
)
def test_no_value_of_a_row_is_repeated_in_a_refusal(value: Any) -> None:
    item = {"attribute": TypeSerializer().serialize(value)}
    items = json.dumps({"PutRequest": {"Item": item}}, default=lambda data: bytes(data).hex(), ensure_ascii=False)
    for secret in leaves(value):
        message = without_values(f"Cannot be converted: {secret}, says DynamoDB", items.encode())
        assert message == "Cannot be converted: …, says DynamoDB"


def leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(leaf for inner in value.values() for leaf in leaves(inner))]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value if isinstance(value, str) else value.hex()]
