"""One row of the ledger for each execution: its statements, the table that it loads, and whether it was stopped.

It is read and written by its key, never found by an index: an execution may be stopped in the second after its start.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_ENTRY = "execution"
# Longer than an execution runs and can be redriven after that, 14 days each.
_KEPT_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True)
class UnderWay:
    """The names of the statements that an execution has submitted, and the table that it loads, if it loads one."""

    statements: frozenset[str]
    table: str | None


class ExecutionNotes:
    """The row of the execution `execution_arn` in `ledger_table`. Each call raises AwsUnavailable and AwsRefused."""

    def __init__(self, dynamodb: DynamoDBClient, ledger_table: str, execution_arn: str) -> None:
        self._dynamodb, self._table = dynamodb, ledger_table
        self._key: dict[str, AttributeValueTypeDef] = {
            "loadId": {"S": f"execution#{execution_arn}"},
            "entry": {"S": _ENTRY},
        }

    def begin_redrive(self, redrives: int) -> None:
        """Note a redrive before it looks for statements: from then on attempts of the run before add none any more."""
        with named_failures(), suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET expiresAt = :expires, redrives = :redrives",
                ConditionExpression="attribute_not_exists(redrives) OR redrives < :redrives",
                ExpressionAttributeValues={":expires": _expiry(), ":redrives": {"N": str(redrives)}},
            )

    def add_statement(self, name: str, redrives: int) -> bool:
        """Note a statement that is about to be submitted; False if the execution was stopped or redriven since."""
        added, _ = self._unless_stopped(
            "SET expiresAt = :expires ADD statements :names",
            {":names": {"SS": [name]}},
            redrives,
            " AND (attribute_not_exists(redrives) OR redrives <= :redrives)",
        )
        return added

    def set_table(self, table: str) -> None:
        """Note the table that the execution is about to take."""
        with named_failures():
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="SET expiresAt = :expires, #table = :table",
                ExpressionAttributeNames={"#table": "table"},
                ExpressionAttributeValues={":expires": _expiry(), ":table": {"S": table}},
            )

    def stop(self, redrives: int) -> UnderWay:
        """Note that the execution has ended, as of that redrive, and return what it had under way."""
        _, row = self._unless_stopped("SET expiresAt = :expires, stoppedRedrives = :redrives", {}, redrives)
        return UnderWay(
            statements=frozenset(row.get("statements", {}).get("SS", ())),
            table=row["table"]["S"] if "table" in row else None,
        )

    def _unless_stopped(
        self, update: str, values: dict[str, AttributeValueTypeDef], redrives: int, condition: str = ""
    ) -> tuple[bool, Mapping[str, Any]]:
        """Change the row unless the execution was stopped since that redrive; return if so, and the row as it is."""
        with named_failures():
            try:
                answer = self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression=update,
                    ConditionExpression="(attribute_not_exists(stoppedRedrives) OR stoppedRedrives < :redrives)"
                    + condition,
                    ExpressionAttributeValues=values | {":redrives": {"N": str(redrives)}, ":expires": _expiry()},
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
                # botocore's model gives the error the item that it was refused for, its type stubs don't.
                return False, error.response["Item"]  # type: ignore[typeddict-item]
        return True, answer["Attributes"]


def _expiry() -> AttributeValueTypeDef:
    return {"N": str(int(time.time()) + _KEPT_SECONDS)}
