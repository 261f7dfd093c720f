"""Task tokens by statement name, in DynamoDbTableMeta.

A row is written before its statement is submitted, because the completion event can arrive before the call returns.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_errors import named_failures
from statements.names import StatementKind
from statements.tasks import CallbackTask

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

# A callback can come as late as Redshift's longest query (24 h) plus EventBridge's and Lambda's retries (24 h + 6 h),
# and an execution can be redriven for 14 days; the rest is for looking things up afterwards.
_KEPT_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class TokenRow:
    """One statement and the task that waits for it.

    `waiting` are the tokens that have not been told how the statement ended; all but one belong to attempts that are
    over. `attempts` counts how often a token was saved: above 1, the statement may have ended before this token came.
    `redrives` is that of the latest attempt. `status` is SUBMITTING, SUBMITTED, or Redshift's own once it `has_ended`.
    `created_at` is in epoch seconds.
    """

    name: str
    kind: StatementKind
    execution_arn: str
    attempts: int
    redrives: int
    waiting: frozenset[str]
    statement_id: str | None
    status: str
    has_ended: bool
    created_at: int


class TokenStore:
    """The rows of DynamoDbTableMeta. Each method raises AwsUnavailable and AwsRefused."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def save_token(self, name: str, kind: StatementKind, task: CallbackTask) -> TokenRow:
        """Add the token that now waits for this statement and return the row.

        A retried attempt finds the statement id of the attempt before. A token that was told already (the same
        invocation run twice) stays told.
        """
        now = int(time.time())
        with named_failures():
            answer = self._client.update_item(
                TableName=self._table,
                Key={"statementName": {"S": name}},
                UpdateExpression="SET kind = :kind, executionArn = :execution, #state = :state, redrives = :redrives, "
                "#status = if_not_exists(#status, :submitting), createdAt = if_not_exists(createdAt, :now), "
                "updatedAt = :now, expiresAt = :expires ADD attempts :one, taskTokens :token",
                ExpressionAttributeNames={"#state": "state", "#status": "status"},
                ExpressionAttributeValues={
                    ":kind": {"S": kind.name},
                    ":execution": {"S": task.execution_arn},
                    ":state": {"S": task.state_name},
                    ":redrives": {"N": str(task.redrives)},
                    ":token": {"SS": [task.token]},
                    ":submitting": {"S": "SUBMITTING"},
                    ":now": {"N": str(now)},
                    ":expires": {"N": str(now + _KEPT_SECONDS)},
                    ":one": {"N": "1"},
                },
                ReturnValues="ALL_NEW",
            )
        return _row(answer["Attributes"])

    def save_statement_id(self, name: str, statement_id: str) -> None:
        """Note the id under which Redshift runs the statement, unless its event has come first and noted it already."""
        with named_failures(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key={"statementName": {"S": name}},
                UpdateExpression="SET statementId = :id, #status = :submitted, updatedAt = :now",
                ConditionExpression="attribute_not_exists(endedAt)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":id": {"S": statement_id},
                    ":submitted": {"S": "SUBMITTED"},
                    ":now": {"N": str(int(time.time()))},
                },
            )

    def find(self, name: str) -> TokenRow | None:
        """Return the row of a statement name, or None if this stack never submitted it (or long ago)."""
        with named_failures():
            answer = self._client.get_item(
                TableName=self._table, Key={"statementName": {"S": name}}, ConsistentRead=True
            )
        return _row(answer["Item"]) if "Item" in answer else None

    def mark_told(self, row: TokenRow, statement_id: str, status: str) -> TokenRow:
        """Note how the statement ended and that the row's waiting tokens were told; return the row as it is now."""
        with named_failures():
            answer = self._client.update_item(
                TableName=self._table,
                Key={"statementName": {"S": row.name}},
                UpdateExpression="SET statementId = :id, #status = :status, endedAt = :now, updatedAt = :now "
                "ADD toldTokens :told",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":id": {"S": statement_id},
                    ":status": {"S": status},
                    ":told": {"SS": sorted(row.waiting)},
                    ":now": {"N": str(int(time.time()))},
                },
                ReturnValues="ALL_NEW",
            )
        return _row(answer["Attributes"])


def _row(item: dict[str, AttributeValueTypeDef]) -> TokenRow:
    return TokenRow(
        name=item["statementName"]["S"],
        kind=StatementKind[item["kind"]["S"]],
        execution_arn=item["executionArn"]["S"],
        attempts=int(item["attempts"]["N"]),
        redrives=int(item["redrives"]["N"]),
        waiting=frozenset(item["taskTokens"]["SS"]) - frozenset(item.get("toldTokens", {}).get("SS", ())),
        statement_id=item["statementId"]["S"] if "statementId" in item else None,
        status=item["status"]["S"],
        has_ended="endedAt" in item,
        created_at=int(item["createdAt"]["N"]),
    )
