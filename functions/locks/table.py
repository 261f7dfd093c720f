"""One load per table at a time."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from errors import AwsUnavailable
from locks.errors import LoadStopped, TableIsBeingLoaded
from locks.execution_lock import ExecutionLock

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ConditionCheckTypeDef
    from mypy_boto3_stepfunctions import SFNClient

LONGEST_WAIT_SECONDS = 10 * 3600
"""So long an execution waits for a table, counted from its start: within the history of a state machine."""
# A thousand loaders ask 8 times a second, of the 10 that "Quotas related to API action throttling" gives at least.
_SECONDS_BETWEEN_QUESTIONS = 120.0


class TableLock:
    """The hold of the execution `execution_arn` on the target table `table`; the lock is kept in `ledger_table`.

    Every call raises TableIsBeingLoaded if another execution holds the table, AwsUnavailable and AwsRefused.
    """

    def __init__(self, dynamodb: DynamoDBClient, ledger_table: str, table: str, execution_arn: str) -> None:
        self._table = table
        self._lock = ExecutionLock(dynamodb, ledger_table, f"table#{table}", execution_arn)

    def take(self, states: SFNClient) -> None:
        """Take the table for the load of this execution."""
        if holder := self._lock.take(states):
            raise TableIsBeingLoaded(
                f"start again when execution {holder} has ended, which is loading table {self._table}, or give "
                '"wait": true in the input.'
            )

    def take_or_wait(self, states: SFNClient, waited_seconds: float) -> str | None:
        """Take the table, or return the ARN of the execution to wait for, unless this one has waited too long."""
        holder = self._lock.take(states)
        if holder and waited_seconds >= LONGEST_WAIT_SECONDS:
            raise TableIsBeingLoaded(
                f"start again when execution {holder} has ended, which is loading table {self._table}: this one has "
                f"waited {waited_seconds / 3600:.0f} hours."
            )
        return holder

    def begin(self) -> None:
        """Show that a stage or loader of this execution begins, so that nobody takes the table for free."""
        self._refuse(self._lock.touch())

    def begin_load(self, load_id: str) -> None:
        """Show that this execution is at work, and note the load that is about to change the table."""
        self._refuse(self._lock.note(load_id))

    def last_load(self) -> str | None:
        """Return the load that changed the table last, as far as one was noted."""
        return self._lock.noted()

    def check(self) -> None:
        """Look whether the table is still this execution's."""
        self._refuse(self._lock.standing().other)

    def stop(self, redrives: int) -> None:
        """Have the loaders of this execution stop, which has ended as of that redrive."""
        self._lock.stop(redrives)

    def condition(self) -> ConditionCheckTypeDef:
        """The condition, for a transaction, that the table is this execution's."""
        return self._lock.condition()

    def _refuse(self, holder: str | None) -> None:
        if holder:
            raise TableIsBeingLoaded(
                f"start a new load when execution {holder} has ended: it has taken table {self._table} since this "
                "load was stopped or failed."
            )


class LoaderHold(TableLock):
    """The hold of a loader, which stops with its execution: Step Functions does not end the functions of one.

    `begin` and `check` raise LoadStopped, too, until the execution is redriven. Should nobody note that it has ended,
    as when the event of that is lost, `check` asks Step Functions, every two minutes.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, ledger_table: str, table: str, execution_arn: str, states: SFNClient
    ) -> None:
        super().__init__(dynamodb, ledger_table, table, execution_arn)
        self._states, self._execution = states, execution_arn
        self._asked_at = time.monotonic()

    def begin(self) -> None:
        """Show that this loader begins, unless its execution was stopped."""
        # In this order: what was stopped shows no sign of life, for which others would have to wait.
        self.check()
        self._refuse(self._lock.touch(stays_stopped=True))

    def check(self) -> None:
        """Look whether the table is still this execution's, and that still runs."""
        standing = self._lock.standing()
        self._refuse(standing.other)
        if standing.stopped is not None and not self._lock.goes_on(self._states, standing.stopped):
            raise LoadStopped(f"execution {self._execution} was stopped, and so is this loader, until it is redriven.")
        if time.monotonic() - self._asked_at >= _SECONDS_BETWEEN_QUESTIONS:
            self._asked_at = time.monotonic()
            # What can't be asked now will be the next time: to write on until then does no harm that was not done.
            with suppress(AwsUnavailable):
                if self._lock.has_ended(self._states):
                    raise LoadStopped(f"execution {self._execution} has ended, and so does this loader.")
