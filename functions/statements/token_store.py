"""Task tokens by statement name, in DynamoDbTableMeta.

A row is written before its statement is submitted, because the completion event can arrive before the call returns.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from statements.errors import ExecutionStopped, StatementStopping
from statements.names import StatementKind
from statements.tasks import CallbackTask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

UNSUBMITTED = "UNSUBMITTED"
"""The status of a statement that was not submitted before its execution was stopped."""
UNFINISHED_INDEX = "unfinished"
"""The sparse index of the rows that have tokens which were not told: by `unfinished` and `unfinishedSince`."""
_UNFINISHED = "yes"

# A callback can come as late as Redshift's longest query (24 h) plus EventBridge's and Lambda's retries (24 h + 6 h),
# and an execution can be redriven for 14 days; the rest is for looking things up afterwards.
_KEPT_SECONDS = 14 * 24 * 3600


@dataclass(frozen=True)
class TokenRow:
    """One statement and the task that waits for it.

    `waiting` are the tokens that have not been told how the statement ended; all but one belong to attempts that are
    over. `attempts` counts how often a token was saved: above 1, the statement may have ended before this token came.
    `redrives` is that of the latest attempt. `status` is SUBMITTING or SUBMITTED, and once it `has_ended` Redshift's
    own, UNSUBMITTED or FORGOTTEN. `created_at` and `updated_at` are in epoch seconds. `stopping` says that the
    execution was stopped and the statement is to be cancelled, `keeps_statement` that it is not to be.
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
    updated_at: int
    stopping: bool
    keeps_statement: bool


class TokenStore:
    """The rows of DynamoDbTableMeta. Each method raises AwsUnavailable and AwsRefused."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def save_token(self, name: str, kind: StatementKind, task: CallbackTask) -> TokenRow:
        """Add the token that now waits for this statement and return the row.

        A retried attempt finds the statement id of the attempt before. A token that was told already (the same
        invocation run twice) stays told. Raises StatementStopping while the statement is being cancelled, too, and
        ExecutionStopped once a later redrive has taken it up: with a late attempt's number, the stop of the run before
        would cancel it.
        """
        saved, row = self._change(
            name,
            "SET kind = :kind, executionArn = :execution, #state = :state, redrives = :redrives, "
            "#status = if_not_exists(#status, :submitting), createdAt = if_not_exists(createdAt, :now), "
            "updatedAt = :now, expiresAt = :expires, keepStatement = :keep, "
            "unfinished = :unfinished, unfinishedSince = :now ADD attempts :one, taskTokens :token",
            "(attribute_not_exists(stoppingSince) OR attribute_exists(endedAt)) AND "
            "(attribute_not_exists(redrives) OR redrives <= :redrives)",
            {
                ":kind": {"S": kind.name},
                ":execution": {"S": task.execution_arn},
                ":state": {"S": task.state_name},
                ":redrives": {"N": str(task.redrives)},
                ":token": {"SS": [task.token]},
                ":submitting": {"S": "SUBMITTING"},
                ":now": _now(),
                ":expires": {"N": str(int(time.time()) + _KEPT_SECONDS)},
                ":keep": {"BOOL": task.keeps_statement},
                ":unfinished": {"S": _UNFINISHED},
                ":one": {"N": "1"},
            },
            {"#state": "state", "#status": "status"},
        )
        if saved:
            return _row(row)
        if _row(row).redrives > task.redrives:
            raise ExecutionStopped(
                f"execution {task.execution_arn} was redriven since, and waits for statement {name}."
            )
        raise StatementStopping(f"statement {name} of the run before is being cancelled, try again when it ended.")

    def save_statement_id(self, name: str, statement_id: str) -> TokenRow:
        """Note the id under which Redshift runs the statement, unless its event has come first; return the row."""
        _, row = self._change(
            name,
            "SET statementId = :id, #status = :submitted, updatedAt = :now",
            "attribute_exists(statementName) AND attribute_not_exists(endedAt)",
            {":id": {"S": statement_id}, ":submitted": {"S": "SUBMITTED"}, ":now": _now()},
            {"#status": "status"},
        )
        return _row(row)

    def mark_stopping(self, name: str, redrives: int) -> TokenRow | None:
        """Note that a statement is to be cancelled, as of that redrive of its execution; return the row then.

        None if it is not to be: it has ended, is to be kept, or a later redrive has taken it up.
        """
        marked, row = self._change(
            name,
            "SET stoppingSince = if_not_exists(stoppingSince, :now)",
            "attribute_not_exists(endedAt) AND redrives <= :redrives AND "
            "(attribute_not_exists(keepStatement) OR keepStatement = :no)",
            {":redrives": {"N": str(redrives)}, ":no": {"BOOL": False}, ":now": _now()},
        )
        return _row(row) if marked else None

    def close(self, name: str) -> None:
        """Note that a statement was never submitted and never will be, unless its id has become known meanwhile."""
        self._change(
            name,
            "SET #status = :status, endedAt = :now, updatedAt = :now REMOVE unfinished, unfinishedSince",
            "attribute_exists(statementName) AND attribute_not_exists(statementId)",
            {":status": {"S": UNSUBMITTED}, ":now": _now()},
            {"#status": "status"},
        )

    def mark_finished(self, row: TokenRow) -> None:
        """Take a row without waiting tokens out of the index, unless one has been saved meanwhile."""
        self._change(
            row.name,
            "REMOVE unfinished, unfinishedSince",
            "attempts = :attempts",
            {":attempts": {"N": str(row.attempts)}},
        )

    def unfinished(self, seconds: float) -> Iterator[str]:
        """Yield the names of the statements that have had untold tokens for so long, the oldest first.

        The index is a moment behind: look at the row itself.
        """
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=UNFINISHED_INDEX,
            KeyConditionExpression="unfinished = :unfinished AND unfinishedSince <= :since",
            ExpressionAttributeValues={
                ":unfinished": {"S": _UNFINISHED},
                ":since": {"N": str(int(time.time() - seconds))},
            },
        )
        with named_failures():
            for page in pages:
                for item in page["Items"]:
                    yield item["statementName"]["S"]

    def find(self, name: str) -> TokenRow | None:
        """Return the row of a statement name, or None if this stack never submitted it (or long ago)."""
        with named_failures():
            answer = self._client.get_item(
                TableName=self._table, Key={"statementName": {"S": name}}, ConsistentRead=True
            )
        return _row(answer["Item"]) if "Item" in answer else None

    def mark_told(self, row: TokenRow, statement_id: str, status: str) -> TokenRow:
        """Note how the statement ended and that the row's waiting tokens were told; return the row as it is now."""
        _, told = self._change(
            row.name,
            "SET statementId = :id, #status = :status, endedAt = :now, updatedAt = :now "
            "REMOVE unfinished, unfinishedSince ADD toldTokens :told",
            "attribute_exists(statementName)",
            {
                ":id": {"S": statement_id},
                ":status": {"S": status},
                ":told": {"SS": sorted(row.waiting)},
                ":now": _now(),
            },
            {"#status": "status"},
        )
        return _row(told)

    def _change(
        self,
        name: str,
        update: str,
        condition: str,
        values: dict[str, AttributeValueTypeDef],
        names: dict[str, str] | None = None,
    ) -> tuple[bool, Mapping[str, Any]]:
        """Change a row on a condition; return whether that held, and the row as it is then (empty: there is none)."""
        optional: dict[str, Any] = {"ExpressionAttributeNames": names} if names else {}
        with named_failures():
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={"statementName": {"S": name}},
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **optional,
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                # botocore's model gives the error the item that it was refused for, its type stubs don't.
                return False, error.response.get("Item", {})  # type: ignore[return-value]
        return True, answer["Attributes"]


def _now() -> AttributeValueTypeDef:
    return {"N": str(int(time.time()))}


def _row(item: Mapping[str, Any]) -> TokenRow:
    return TokenRow(
        name=item["statementName"]["S"],
        kind=StatementKind[item["kind"]["S"]],
        execution_arn=item["executionArn"]["S"],
        attempts=int(item["attempts"]["N"]),
        # The version before this counted none; its statements may still run when the stack is updated.
        redrives=int(item.get("redrives", {"N": "0"})["N"]),
        waiting=frozenset(item["taskTokens"]["SS"]) - frozenset(item.get("toldTokens", {}).get("SS", ())),
        statement_id=item["statementId"]["S"] if "statementId" in item else None,
        status=item["status"]["S"],
        has_ended="endedAt" in item,
        created_at=int(item["createdAt"]["N"]),
        updated_at=int(item["updatedAt"]["N"]),
        stopping="stoppingSince" in item,
        keeps_statement=item.get("keepStatement", {"BOOL": False})["BOOL"],
    )
