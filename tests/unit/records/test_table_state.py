"""What is noted of a table: read and written whole, by the execution that holds the table, or not at all."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from moto import mock_aws

from errors import AwsUnavailable
from locks.errors import TableIsBeingLoaded
from locks.table import TableLock
from records.errors import RecordUnreadable
from records.table_state import Generation, Progress, TableState, TableStates

REGION, LEDGER = "us-east-1", "ledger"
MINE, OTHERS = (f"arn:aws:states:{REGION}:123456789012:execution:load:{name}" for name in ("mine", "others"))
STATE = TableState(
    made="20261126T031500.000000Z",
    key_form="id:S",
    encoder=1,
    current=Generation("monday-0f1e2d3c", 4),
    begun=(Generation("tuesday-0f1e2d3c", 8), Generation("friday-0f1e2d3c", 8)),
    keys=1_000_000,
    digests_hold=False,
    progress=Progress("updated_at", "5f1d", "2026-11-26 03:15:00"),
)
FIRST = TableState("20261126T031500.000000Z", "id:S", 1)


@pytest.fixture(autouse=True)
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The ledger; the execution MINE holds the table reviews."""
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", REGION)
        client.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("loadId", "entry")],
            KeySchema=[{"AttributeName": "loadId", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
        )
        TableLock(client, LEDGER, "reviews", MINE).begin()
        yield client


def states(dynamodb: Any, execution: str = MINE, table: str = "reviews") -> TableStates:
    return TableStates(dynamodb, LEDGER, table, execution)


def stored(dynamodb: Any, text: str) -> None:
    row = {"loadId": {"S": "table#reviews"}, "entry": {"S": "record"}, "state": {"S": text}, "version": {"N": "7"}}
    dynamodb.put_item(TableName=LEDGER, Item=row)


def test_of_a_table_nothing_is_noted_at_first(dynamodb: Any) -> None:
    assert states(dynamodb).read() is None


@pytest.mark.parametrize("state", [FIRST, STATE])
def test_what_is_written_is_read(dynamodb: Any, state: TableState) -> None:
    states(dynamodb).write(state)
    assert states(dynamodb).read() == state
    assert states(dynamodb, OTHERS).read() == state
    assert states(dynamodb, table="audits").read() is None


def test_it_is_replaced_whole_and_again(dynamodb: Any) -> None:
    mine = states(dynamodb)
    mine.write(FIRST)
    mine.write(STATE)
    mine.write(FIRST)
    assert states(dynamodb).read() == FIRST


def test_an_execution_that_lost_the_table_writes_nothing(dynamodb: Any) -> None:
    others = states(dynamodb, OTHERS)
    others.read()
    with pytest.raises(TableIsBeingLoaded, match=MINE):
        others.write(FIRST)
    assert states(dynamodb).read() is None


def test_nor_does_one_that_never_had_it(dynamodb: Any) -> None:
    with pytest.raises(AwsUnavailable):
        states(dynamodb, table="audits").write(FIRST)
    assert states(dynamodb, table="audits").read() is None


def test_what_was_changed_since_it_was_read_is_not_overwritten(dynamodb: Any) -> None:
    first, second = states(dynamodb), states(dynamodb)
    first.write(FIRST)
    first.read()
    second.read()
    second.write(STATE)
    with pytest.raises(AwsUnavailable, match="changed meanwhile"):
        first.write(replace(FIRST, keys=5))
    assert states(dynamodb).read() == STATE


def test_a_row_that_was_there_and_not_looked_for_is_not_overwritten(dynamodb: Any) -> None:
    states(dynamodb).write(FIRST)
    with pytest.raises(AwsUnavailable, match="changed meanwhile"):
        states(dynamodb).write(STATE)


def test_an_answer_that_is_lost_does_no_harm(dynamodb: Any) -> None:
    mine, again = states(dynamodb), states(dynamodb)
    mine.write(STATE)
    again.write(STATE)
    again.write(FIRST)
    assert states(dynamodb).read() == FIRST


def test_a_transaction_that_meets_another_is_tried_later(dynamodb: Any) -> None:
    reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    said = {"Error": {"Code": "TransactionCanceledException", "Message": "conflict"}, "CancellationReasons": reasons}
    answer = AWSResponse("https://aws", 400, HTTPHeaders(), None)
    dynamodb.meta.events.register("before-call.dynamodb.TransactWriteItems", lambda **_: (answer, said))
    with pytest.raises(AwsUnavailable):
        states(dynamodb).write(STATE)
    assert states(dynamodb).read() is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"format": 2, "state": {}}', "format 2"),
        ("", "damaged"),
        ('{"form', "damaged"),
        ("[]", "damaged"),
        ('{"state": {}}', "damaged"),
        ('{"format": 1, "state": {}}', "damaged"),
        ('{"format": 1, "state": null}', "damaged"),
        (json.dumps({"format": 1, "state": {"current": None, "begun": [], "progress": None, "made": "x"}}), "damaged"),
    ],
)
def test_what_cannot_be_read_is_said_with_the_way_out(dynamodb: Any, text: str, found: str) -> None:
    stored(dynamodb, text)
    with pytest.raises(RecordUnreadable, match=f'give "full": true.*table reviews.*{found}'):
        states(dynamodb).read()


def test_it_is_replaced_by_a_load_that_begins_anew(dynamodb: Any) -> None:
    stored(dynamodb, '{"format": 2, "state": {}}')
    mine = states(dynamodb)
    assert mine.read(anew=True) is None
    mine.write(STATE)
    assert states(dynamodb).read() == STATE
