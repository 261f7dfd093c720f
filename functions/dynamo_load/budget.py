"""A ceiling on write units per second that all loaders of one load keep together.

Every loader asks for its share through a counter in the ledger table, one for each quarter of a second, to which an
UpdateItem adds what is wanted and answers the sum: what fits under the ceiling is granted, and what doesn't is not, so
that however many loaders add, no quarter is granted more than its part. A loader asks at most once per quarter, and
only for what it is about to send.
"""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from dynamo_load.errors import BudgetUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_dynamodb import DynamoDBClient

PARTS_PER_SECOND = 4
COUNTER_KEPT_SECONDS = 3600


class WriteBudget:
    """This loader's access to the write budget of the load `load_id`.

    Parameters
    ----------
    client : a DynamoDB client for the ledger table.
    ledger_table : the table of the counters, with keys `loadId` and `entry` and the TTL attribute `expiresAt`.
    load_id : the load whose loaders share the budget.
    units_per_second : the ceiling, in write units per second, for all of them together.
    clock : epoch seconds.

    """

    def __init__(
        self,
        client: DynamoDBClient,
        ledger_table: str,
        load_id: str,
        units_per_second: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._ledger_table = ledger_table
        self._load_id = load_id
        self._units_per_part = units_per_second / PARTS_PER_SECOND
        self._clock = clock
        self._granted = 0.0
        self._taken = 0.0
        self._wanted = self._units_per_part / PARTS_PER_SECOND
        self._granted_in_full = False
        self._asked_part = -1

    def take(self, units: float) -> float:
        """Take `units` write units for a request that is about to be sent.

        Returns 0 if they are taken, otherwise after how many seconds it is worth to ask again; nothing is taken then,
        but what was granted meanwhile is kept for the next call. Blocks for one UpdateItem at most. Raises
        BudgetUnavailable if the counter can't be updated.
        """
        now = self._clock()
        part = int(now * PARTS_PER_SECOND)
        if self._granted < units and part > self._asked_part:
            self._ask(part, units)
        if self._granted >= units:
            self._granted -= units
            self._taken += units
            return 0.0
        # Not all at the stroke of the next part, or the same loader would always be first.
        return (part + 1 + random.uniform(0, 0.5)) / PARTS_PER_SECOND - now  # noqa: S311

    def settle(self, units: float) -> None:
        """Pay `units` more than was taken for a request that DynamoDB charged higher; less than 0 gives back."""
        self._granted -= units

    def _ask(self, part: int, units: float) -> None:
        """Ask for what this loader is likely to send in this part, and keep what no other loader has of it."""
        if self._granted_in_full:
            self._wanted = 2 * self._taken / (part - self._asked_part)
        wanted = min(self._units_per_part, max(units - min(self._granted, 0.0), self._wanted))
        second, quarter = divmod(part, PARTS_PER_SECOND)
        try:
            answer = self._client.update_item(
                TableName=self._ledger_table,
                Key={"loadId": {"S": self._load_id}, "entry": {"S": f"budget#{second}"}},
                UpdateExpression="ADD #quarter :wanted SET expiresAt = :expires_at",
                ExpressionAttributeNames={"#quarter": f"quarter{quarter}"},
                ExpressionAttributeValues={
                    ":wanted": {"N": f"{wanted:.3f}"},
                    ":expires_at": {"N": str(second + COUNTER_KEPT_SECONDS)},
                },
                ReturnValues="UPDATED_NEW",
            )
        except (BotoCoreError, ClientError) as error:
            raise BudgetUnavailable(
                f"the write budget of load {self._load_id} could not be asked of table {self._ledger_table}: {error}"
            ) from error
        asked_by_others = float(answer["Attributes"][f"quarter{quarter}"]["N"]) - wanted
        granted = min(wanted, max(0.0, self._units_per_part - asked_by_others))
        self._granted_in_full = granted >= wanted - 0.001
        self._granted += granted
        self._taken = 0.0
        self._asked_part = part
