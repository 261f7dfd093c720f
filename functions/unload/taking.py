"""Taking the target table for a load: from an execution that has ended, and from loaders that live on after it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dynamo_load.accounting.ledger import stop_load
from executions.notes import ExecutionNotes
from locks.table import TableLock
from unload.errors import LoadNotResumable
from unload.request import LoadRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True)
class TableTaker:
    """Takes tables for executions; their locks and the loads' ledgers are in `ledger_table`."""

    dynamodb: "DynamoDBClient"
    states: "SFNClient"
    ledger_table: str

    def take(self, table: str, request: LoadRequest, execution: Mapping[str, Any]) -> str | None:
        """Take a table, or return whom to wait for: its holder, if the input says so, or loaders of its last load.

        An attempt that comes after one that was killed finds the table its own, and looks for the loaders again. Raises
        TableIsBeingLoaded, LoadNotResumable, LedgerUnavailable, AwsUnavailable and AwsRefused.
        """
        # Before the lock: whoever stops this execution finds the lock by it.
        ExecutionNotes(self.dynamodb, self.ledger_table, execution["Id"]).set_table(table)
        lock = TableLock(self.dynamodb, self.ledger_table, table, execution["Id"])
        if request.wait:
            started_at = datetime.fromisoformat(execution["StartTime"]).timestamp()
            if holder := lock.take_or_wait(self.states, time.time() - started_at):
                return holder
        else:
            lock.take(self.states)
        last_load = lock.last_load()
        if request.resume not in (None, last_load):
            raise LoadNotResumable(
                f"start a new load: {request.resume} can't go on, as the last load that has begun to write to table "
                f"{table} is {last_load or 'not known'}."
            )
        if last_load and stop_load(self.dynamodb, self.ledger_table, last_load):
            return f"loaders of load {last_load}"
        return None
