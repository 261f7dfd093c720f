"""A ceiling on write units per second that all loaders of one load keep together.

The budget is a row in the ledger table that says until when it is reserved. A loader reserves write units by moving
that time on by as many seconds as the budget takes to yield them, and may write them from the time where its own
seconds begin. So reservations follow one another and nothing that is reserved goes unused, however small a loader's
share; a budget of one unit per second is spent in a batch of 25 every 25 seconds. A loader whose turn would come too
late reserves nothing and tries again before the reserved time has run out.

This is the generic cell rate algorithm, with a queue that is bounded in time.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from dynamo_load.errors import BudgetUnavailable
from dynamo_load.writing.ledger_client import ledger_client

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.session import Session

ENTRY = "budget"
KEPT_SECONDS = 3600
LEAST_SECONDS = 0.1
"""A reservation is for so much of the budget at least: all loaders together make ten a second at most."""
AHEAD_SECONDS = 10.0
"""So far ahead a turn may be: long enough that many loaders needn't ask in vain, short for what a hand-over wastes.

Half of it for a loader that has just had a turn: one that was refused comes first.
"""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
UNANSWERED_SECONDS = 60.0


class WriteBudget:
    """This loader's access to the write budget of the load `load_id`, `units_per_second` for all its loaders together.

    The row is kept in `ledger_table` (keys `loadId` and `entry`, TTL attribute `expiresAt`), which is reached with the
    region, endpoint and credentials of `session`; `clock` gives epoch seconds.
    """

    def __init__(
        self,
        session: Session,
        ledger_table: str,
        load_id: str,
        units_per_second: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = ledger_client(session)
        self._ledger_table = ledger_table
        self._load_id = load_id
        self._units_per_second = units_per_second
        self._clock = clock
        self._units = 0.0
        self._reserved = 0.0
        self._next_at = 0.0
        """When the reserved units may be written or, if there are none, the budget be asked again."""
        self._refused = False
        self._failures = 0
        self._failing_since = 0.0

    def take(self, units: float) -> float:
        """Take `units` write units for a request that is about to be sent.

        Returns 0 if they are taken, otherwise after how many seconds to ask again; nothing is taken then. Blocks for a
        few calls to the ledger table, of a second each at most. Raises BudgetUnavailable when throttling or failures
        have kept every call from being answered for a minute, and AwsRefused if the ledger table refuses one.
        """
        while self._units < units:
            now = self._clock()
            if now < self._next_at:
                return self._next_at - now
            if self._reserved:
                self._units += self._reserved
                self._reserved = 0.0
            else:
                self._ask(max(units - self._units, self._units_per_second * LEAST_SECONDS), now)
        self._units -= units
        return 0.0

    def settle(self, units: float) -> None:
        """Pay `units` more than was taken for a request that DynamoDB charged higher; less than 0 gives back."""
        self._units -= units

    def _ask(self, units: float, now: float) -> None:
        """Reserve `units` or, if that isn't possible now, set when to ask again."""
        try:
            with named_failures(BudgetUnavailable):
                self._reserve(units, now)
        except BudgetUnavailable as error:
            if self._failures == 0:
                self._failing_since = now
            elif now - self._failing_since > UNANSWERED_SECONDS:
                raise BudgetUnavailable(
                    f"the write budget of load {self._load_id} could not be asked of table {self._ledger_table} for "
                    f"{UNANSWERED_SECONDS:.0f} s (if the table throttles, raise its capacity): {error}"
                ) from error
            longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0**self._failures)
            self._next_at = now + random.uniform(0, longest)  # noqa: S311
            self._failures += 1
        else:
            self._failures = 0

    def _reserve(self, units: float, now: float) -> None:
        seconds = units / self._units_per_second
        expires = int(now + seconds) + KEPT_SECONDS
        done, until = self._update(
            "reservedUntil + :seconds",
            "reservedUntil BETWEEN :now AND :latest",
            {
                ":seconds": seconds,
                ":now": now,
                ":latest": now + (AHEAD_SECONDS if self._refused else AHEAD_SECONDS / 2),
            },
            expires,
        )
        if not done and until < now:
            # Nothing is reserved any more; the time that nobody used is past.
            done, until = self._update(
                ":until",
                "attribute_not_exists(reservedUntil) OR reservedUntil < :now",
                {":until": now + seconds, ":now": now},
                expires,
            )
        self._refused = not done
        if done:
            self._reserved, self._next_at = units, until - seconds
        else:
            self._next_at = random.uniform(max(now, until - AHEAD_SECONDS), until)  # noqa: S311

    def _update(self, reserved_until: str, condition: str, times: dict[str, float], expires: int) -> tuple[bool, float]:
        """Set the row's time if the condition holds; returns whether it did, and the row's time now."""
        try:
            row = self._client.update_item(
                TableName=self._ledger_table,
                Key={"loadId": {"S": self._load_id}, "entry": {"S": ENTRY}},
                UpdateExpression=f"SET reservedUntil = {reserved_until}, expiresAt = :expires",
                ConditionExpression=condition,
                ExpressionAttributeValues={
                    **{name: {"N": f"{value:.6f}"} for name, value in times.items()},
                    ":expires": {"N": str(expires)},
                },
                ReturnValues="UPDATED_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as refusal:
            # There is no row before the first reservation.
            row_before: Any = refusal.response.get("Item", {"reservedUntil": {"N": "0"}})
            return False, float(row_before["reservedUntil"]["N"])
        return True, float(row["Attributes"]["reservedUntil"]["N"])
