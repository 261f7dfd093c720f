"""A lock in the ledger that an execution holds until it ends, however it ends: nothing has to give it back.

Whether a holder still runs is asked of Step Functions. The row says who holds the lock and when the holder last touched
it, and has a version that each touch raises: whoever takes a lock over writes on the condition that it is the very one
that was asked about. So of two that find a lock free one gets it, and a holder that goes on meanwhile keeps it or
learns that it has lost it. A load that a holder has noted stays noted until the next one is.
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
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, ConditionCheckTypeDef
    from mypy_boto3_stepfunctions import SFNClient

ENTRY = "lock"
ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})
"""The statuses of an execution that has ended. One that is PENDING_REDRIVE will run again."""
# DescribeExecution is eventually consistent: for so long an answer may be that of a moment before.
_SECONDS_TO_BE_KNOWN = 60.0


@dataclass(frozen=True)
class _Hold:
    """A row as it was found: `touched_at` in epoch seconds, `stopped` the redrive as of which its holder was."""

    holder: str
    version: str
    touched_at: float
    stopped: int | None


@dataclass(frozen=True)
class Standing:
    """How an execution stands with a lock: which `other` one holds it, and the redrive as of which it was `stopped`."""

    other: str | None
    stopped: int | None


class ExecutionLock:
    """The lock `name` in `ledger_table`, as the execution `execution_arn` sees it.

    Every call raises AwsUnavailable and AwsRefused.
    """

    def __init__(self, dynamodb: DynamoDBClient, ledger_table: str, name: str, execution_arn: str) -> None:
        self._dynamodb, self._table, self._execution = dynamodb, ledger_table, execution_arn
        self._key: dict[str, AttributeValueTypeDef] = {"loadId": {"S": name}, "entry": {"S": ENTRY}}

    def take(self, states: SFNClient) -> str | None:
        """Take the lock if nobody holds it, or keep it; return the ARN of the other execution that holds it, or None.

        An execution that has ended holds nothing, unless the lock was touched after that end: it may be running again.
        """
        hold = self._touch("#holder = :me", {})
        if hold is None:
            return None
        if _may_be_running(states, hold):
            return hold.holder
        asked: dict[str, AttributeValueTypeDef] = {":asked": {"S": hold.holder}, ":version": {"N": hold.version}}
        # The SDK sends it again when its answer is lost, and finds the lock its own by then.
        hold = self._touch("#holder = :me OR (#holder = :asked AND #version = :version)", asked)
        return hold.holder if hold else None

    def touch(self, *, stays_stopped: bool = False) -> str | None:
        """Show that this execution is at work; return the ARN of the other one that holds the lock now, or None.

        Who is at work before or after its loaders is not stopped any more, unless it `stays_stopped`.
        """
        hold = self._touch("#holder = :me", {}, stays_stopped=stays_stopped)
        return hold.holder if hold else None

    def note(self, load_id: str) -> str | None:
        """Touch the lock, and note in it which load is at work: who takes the lock over finds the note."""
        hold = self._touch("#holder = :me", {}, load_id)
        return hold.holder if hold else None

    def noted(self) -> str | None:
        """Return the load that was noted last, whoever held the lock then, or None."""
        row = self._row()
        return row["load"]["S"] if "load" in row else None

    def standing(self) -> Standing:
        """Look, by one consistent read, who holds the lock, and whether this execution was stopped."""
        row = self._row()
        if row and row["holder"]["S"] != self._execution:
            return Standing(row["holder"]["S"], None)
        return Standing(None, _stopped(row))

    def stop(self, redrives: int) -> None:
        """Note that this execution has ended, as of that redrive; nothing if another one holds the lock by now."""
        self._change_own(
            "SET stoppedRedrives = :redrives",
            "attribute_not_exists(stoppedRedrives) OR stoppedRedrives < :redrives",
            redrives,
        )

    def has_ended(self, states: SFNClient) -> bool:
        """Whether Step Functions says that this execution has ended; its answer may be that of a moment before."""
        with named_failures():
            return states.describe_execution(executionArn=self._execution)["status"] in ENDED

    def goes_on(self, states: SFNClient, stopped: int) -> bool:
        """Whether this execution, stopped as of that redrive, was redriven since; then it is not noted as stopped."""
        with named_failures():
            execution = states.describe_execution(executionArn=self._execution)
        # It only grows: an answer of a moment before, as Step Functions may give, can but say no too long.
        if execution.get("redriveCount", 0) <= stopped:
            return False
        self._change_own("REMOVE stoppedRedrives", "stoppedRedrives = :redrives", stopped)
        return True

    def condition(self) -> ConditionCheckTypeDef:
        """The condition, for a transaction, that this execution holds the lock."""
        return {
            "TableName": self._table,
            "Key": self._key,
            "ConditionExpression": "#holder = :me",
            "ExpressionAttributeNames": {"#holder": "holder"},
            "ExpressionAttributeValues": {":me": {"S": self._execution}},
        }

    def _change_own(self, update: str, condition: str, redrives: int) -> None:
        """Change the row if this execution holds the lock and the condition holds, too."""
        with named_failures(), suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression=update,
                ConditionExpression=f"#holder = :me AND ({condition})",
                ExpressionAttributeNames={"#holder": "holder"},
                ExpressionAttributeValues={":me": {"S": self._execution}, ":redrives": {"N": str(redrives)}},
            )

    def _row(self) -> Mapping[str, Any]:
        with named_failures():
            return self._dynamodb.get_item(TableName=self._table, Key=self._key, ConsistentRead=True).get("Item", {})

    def _touch(
        self,
        condition: str,
        values: dict[str, AttributeValueTypeDef],
        load_id: str | None = None,
        *,
        stays_stopped: bool = False,
    ) -> _Hold | None:
        """Write this execution into the row if it has none or the condition holds; else return what is there."""
        names = {"#holder": "holder", "#version": "version"}
        values = values | {":me": {"S": self._execution}, ":now": {"N": str(time.time())}, ":one": {"N": "1"}}
        update = "SET #holder = :me, touchedAt = :now"
        if load_id:
            update, names["#load"], values[":load"] = f"{update}, #load = :load", "load", {"S": load_id}
        with named_failures():
            try:
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression=f"{update}{'' if stays_stopped else ' REMOVE stoppedRedrives'} ADD #version :one",
                    ConditionExpression=f"attribute_not_exists(#holder) OR {condition}",
                    ExpressionAttributeNames=names,
                    ExpressionAttributeValues=values,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
                # botocore's model gives the error the item that it was refused for, its type stubs don't.
                row: Mapping[str, Any] = error.response["Item"]  # type: ignore[typeddict-item]
                return _Hold(row["holder"]["S"], row["version"]["N"], float(row["touchedAt"]["N"]), _stopped(row))
        return None


def _stopped(row: Mapping[str, Any]) -> int | None:
    return int(row["stoppedRedrives"]["N"]) if "stoppedRedrives" in row else None


def _may_be_running(states: SFNClient, hold: _Hold) -> bool:
    with named_failures():
        try:
            execution = states.describe_execution(executionArn=hold.holder)
        except states.exceptions.ExecutionDoesNotExist:
            return _touched_lately(hold)
    if execution["status"] not in ENDED:
        return True
    if hold.stopped is not None and execution.get("redriveCount", 0) <= hold.stopped:
        # Whatever touched the lock after that was left behind; a redrive, if it was at work, would have said so.
        return False
    return hold.touched_at > execution["stopDate"].timestamp() and _touched_lately(hold)


def _touched_lately(hold: _Hold) -> bool:
    return time.time() - hold.touched_at < _SECONDS_TO_BE_KNOWN
