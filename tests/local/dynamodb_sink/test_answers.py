"""What the sink answers and counts, as boto3 sees it; and its counts over time, on a simulated clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.dynamodb_sink import DynamoDbSink, SinkBehaviour
from local.dynamodb_sink.capacity import OtherTraffic, TableCapacity
from local.dynamodb_sink.table import Table

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from local.dynamodb_sink.capacity import Limit

ALMOST_NOTHING = 0.001
ONE_ROW = {"units_per_partition": ALMOST_NOTHING, "burst_seconds": 1 / ALMOST_NOTHING}
ONE_ROW_OF_ALL = {"units": ALMOST_NOTHING, "units_per_partition": 1.0, "burst_seconds": 1 / ALMOST_NOTHING}


def client(sink: DynamoDbSink) -> DynamoDBClient:
    return boto3.client(
        "dynamodb",
        endpoint_url=sink.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


def put(key: str, **more: str) -> Any:
    return {"PutRequest": {"Item": {"pk": {"S": key}} | {name: {"S": text} for name, text in more.items()}}}


def delete(key: str) -> Any:
    return {"DeleteRequest": {"Key": {"pk": {"S": key}}}}


def sink_of(**capacity: Any) -> DynamoDbSink:
    return DynamoDbSink(SinkBehaviour(tls=False, key="pk", capacity=TableCapacity("pk", **capacity)))


def test_rows_that_do_not_fit_are_unprocessed() -> None:
    writes = [put("a", text='no ,{"PutRequest": in texts'), delete("b"), put("c")]
    with sink_of(partitions=1, **ONE_ROW) as sink:
        answer = client(sink).batch_write_item(RequestItems={"sink": writes}, ReturnConsumedCapacity="TOTAL")
        assert answer["UnprocessedItems"] == {"sink": writes[1:]}
        assert answer["ConsumedCapacity"][0]["CapacityUnits"] == 1
        assert sink.stored() == {"a": 1}
        report = sink.report()
    assert (report.rows_received, report.rows_stored, report.answers) == (3, 1, {"unprocessed": 1})


@pytest.mark.parametrize(
    ("limit", "code", "reason"),
    [
        ("provisioned", "ProvisionedThroughputExceededException", "TableWriteProvisionedThroughputExceeded"),
        ("on-demand maximum", "ThrottlingException", "TableWriteMaxOnDemandThroughputExceeded"),
        ("account quota", "RequestLimitExceeded", "TableWriteAccountLimitExceeded"),
    ],
)
def test_a_request_beyond_the_tables_limit_is_throttled_with_the_reason(limit: Limit, code: str, reason: str) -> None:
    with sink_of(partitions=1, **ONE_ROW_OF_ALL, limit=limit) as sink:
        client(sink).batch_write_item(RequestItems={"sink": [put("a")]})
        with pytest.raises(ClientError) as throttled:
            client(sink).batch_write_item(RequestItems={"sink": [put("b"), put("c")]})
        report = sink.report()
    assert throttled.value.response["Error"]["Code"] == code
    assert reasons_of(throttled.value) == [reason]
    assert report.answers == {"stored": 1, "throttled": 1}


def test_a_request_for_a_hot_partition_is_throttled_with_the_reason() -> None:
    with sink_of(partitions=1, **ONE_ROW) as sink:
        client(sink).batch_write_item(RequestItems={"sink": [put("a")]})
        with pytest.raises(ClientError, match="ProvisionedThroughputExceededException") as throttled:
            client(sink).batch_write_item(RequestItems={"sink": [put("b"), put("c")]})
    assert reasons_of(throttled.value) == ["TableWriteKeyRangeThroughputExceeded"]


def reasons_of(error: ClientError) -> list[str]:
    """As an SDK has them, which knows the member's name from the service model."""
    response: dict[str, Any] = error.response  # type: ignore[assignment]
    (member,) = {"ThrottlingReasons", "throttlingReasons"} & response.keys()
    assert all(reason["resource"].endswith(":table/sink") for reason in response[member])
    return [reason["reason"] for reason in response[member]]


def test_deletes_are_rows_that_are_told_apart() -> None:
    with DynamoDbSink(SinkBehaviour(tls=False, key="pk")) as sink:
        client(sink).batch_write_item(RequestItems={"sink": [put("a"), delete("b"), delete("c")]})
        report = sink.report()
        assert sink.stored() == {"a": 1, "b": 1, "c": 1}
    assert (report.rows_received, report.rows_stored, report.rows_deleted) == (3, 3, 2)


def test_what_is_stored_and_asked_by_others_is_counted_by_tenths_of_a_second_from_the_first_request_on() -> None:
    now = 1_000.0
    other = OtherTraffic(units_per_second=100, begins_at_seconds=0.1, ends_at_seconds=0.3)
    capacity = TableCapacity("pk", partitions=1, units_per_partition=1, burst_seconds=10, other_traffic=other)
    table = Table(SinkBehaviour(capacity=capacity, hot_key="b"), clock=lambda: now)
    head = (
        b"Authorization: AWS4-HMAC-SHA256 Credential=KEY/20261126/us-east-1/dynamodb/aws4_request, SignedHeaders=host"
    )
    for seconds, keys in (0.0, "ab"), (0.31, "c"), (1.25, "db"):
        now = 2_000.0 + seconds
        table.batch_write(head, json.dumps({"RequestItems": {"sink": [put(key) for key in keys]}}).encode())
    report = json.loads(table.status(b"/report").partition(b"\r\n\r\n")[2])
    assert report["rows_stored_by_tenth"] == [2, *[0] * 11, 1]
    assert report["rows_stored_by_access_key"] == {"KEY": report["rows_stored_by_tenth"]}
    assert report["hot_rows_stored_by_tenth"] == [1, *[0] * 12]
    assert report["other_asked_by_tenth"] == [0, 10, 10]
    # Eight of the burst's ten are left for them.
    assert report["other_throttled_by_tenth"] == [0, 2, 10]
