"""What the demo shows of a statement is the same however much has happened between two looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import boto3
import pytest
from moto import mock_aws

from local.demo.display import Display
from local.demo.expectation import DemoFailedError
from local.demo.stored_procedures import StatementProgress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from local.demo.history import History

NAME = "redshift-storedproc-event-|1795374033|a28a"
BEGUN = ["Time Limit Given?", "Take Usual Time Limit", "Run Stored Procedure"]
SHOWN = [
    *(f"  → {state}" for state in BEGUN),
    f"    {NAME}",
    "    SUBMITTING  the Lambda keeps the task's token in tokens",
    "    SUBMITTED   Redshift runs the statement; no Lambda waits",
    "    FAILED      Redshift's event came: its error goes to the task",
    "  → Notify Support",
]


class Scripted:
    """A history that tells of these states, look by look."""

    def __init__(self, *looks: list[str]) -> None:
        self._looks = iter(looks)

    def look(self) -> list[str]:
        return next(self._looks, [])


@pytest.fixture
def dynamodb() -> Iterator[DynamoDBClient]:
    with mock_aws():
        client = boto3.client("dynamodb", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        client.create_table(
            TableName="tokens",
            KeySchema=[{"AttributeName": "statementName", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "statementName", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


def note(dynamodb: DynamoDBClient, status: str) -> None:
    row = {"statementName": NAME, "executionArn": "arn", "status": status}
    dynamodb.put_item(TableName="tokens", Item={name: {"S": value} for name, value in row.items()})


def progress(dynamodb: DynamoDBClient, *looks: list[str]) -> StatementProgress:
    return StatementProgress(cast("History", Scripted(*looks)), dynamodb, "tokens", "arn", Display())


def test_all_between_two_looks(dynamodb: DynamoDBClient, capsys: pytest.CaptureFixture[str]) -> None:
    note(dynamodb, "FAILED")
    progress(dynamodb, [*BEGUN, "Notify Support"]).look()
    assert capsys.readouterr().out.splitlines() == SHOWN


def test_a_look_at_each_moment(dynamodb: DynamoDBClient, capsys: pytest.CaptureFixture[str]) -> None:
    shown = progress(dynamodb, BEGUN[:1], BEGUN[1:])
    for status in ("SUBMITTING", "SUBMITTED", "SUBMITTED", "FAILED"):
        note(dynamodb, status)
        shown.look()
    assert capsys.readouterr().out.splitlines() == SHOWN[:-1]


def test_a_task_that_goes_on_before_its_statements_end_is_noted(
    dynamodb: DynamoDBClient, capsys: pytest.CaptureFixture[str]
) -> None:
    note(dynamodb, "SUBMITTED")
    shown = progress(dynamodb, [*BEGUN, "Notify Support"])
    shown.look()
    assert capsys.readouterr().out.splitlines() == SHOWN[:-2]
    note(dynamodb, "FAILED")
    shown.show_the_rest()
    assert capsys.readouterr().out.splitlines() == SHOWN[-2:]


def test_an_end_that_nobody_expected_ends_the_demo(dynamodb: DynamoDBClient) -> None:
    note(dynamodb, "ABORTED")
    with pytest.raises(DemoFailedError, match="ABORTED"):
        progress(dynamodb, BEGUN).look()
