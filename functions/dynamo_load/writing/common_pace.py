"""Where the loaders of one load meet, so that each has the same share of a table that throttles: a row of the ledger.

Whoever comes by leaves its rate, takes that of the one before, and goes on with the mean of both. So all rates become
equal without anybody knowing the others, and one that begins starts with what the table is known to take.
"""

from __future__ import annotations

import random
import time
import uuid
from typing import TYPE_CHECKING

from aws_errors import named_failures
from errors import AwsUnavailable
from telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

ENTRY = "pace"
MEETINGS_PER_SECOND = 10.0
"""Of all loaders together at most: the ledger has other things to do."""
FRESH_SECONDS = 10.0
KEPT_SECONDS = 3600


class CommonPace:
    """The row of the load `load_id`, which has at most `loaders` at once, in `ledger_table`; `clock` is epoch seconds.

    `dynamodb` is to give up soon: the thread that sends waits for it.
    Every call raises AwsRefused. When the ledger has no answer, a loader goes on by itself: to be fair is not worth
    failing for.
    """

    def __init__(
        self,
        dynamodb: DynamoDBClient,
        ledger_table: str,
        load_id: str,
        loaders: int,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dynamodb, self._table, self._clock = dynamodb, ledger_table, clock
        self._key: dict[str, AttributeValueTypeDef] = {"loadId": {"S": load_id}, "entry": {"S": ENTRY}}
        self._every_seconds = max(1.0, loaders / MEETINGS_PER_SECOND)
        self._next_at = 0.0
        self._me = uuid.uuid4().hex

    def known(self) -> float | None:
        """Return the rate of a loader that throttles just now, in write units per second, if there is one."""
        try:
            with named_failures():
                row = self._dynamodb.get_item(TableName=self._table, Key=self._key).get("Item", {})
        except AwsUnavailable as error:
            logger.warning("the pace of other loaders is not known", reason=str(error))
            return None
        return self._fresh(row)

    def meet(self, rate: float) -> float:
        """Leave a rate, if it is time to, and return the one to go on with."""
        now = self._clock()
        if now < self._next_at:
            return rate
        # Not all at the same moment.
        self._next_at = now + self._every_seconds * random.uniform(0.8, 1.2)  # noqa: S311
        try:
            with named_failures():
                before = self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression="SET #rate = :rate, #by = :me, #at = :now, expiresAt = :expires",
                    ExpressionAttributeNames={"#rate": "rate", "#by": "by", "#at": "at"},
                    ExpressionAttributeValues={
                        ":rate": {"N": f"{rate:.3f}"},
                        ":me": {"S": self._me},
                        ":now": {"N": f"{now:.3f}"},
                        ":expires": {"N": str(int(now) + KEPT_SECONDS)},
                    },
                    ReturnValues="ALL_OLD",
                ).get("Attributes", {})
        except AwsUnavailable as error:
            logger.warning("the loader keeps its own pace", reason=str(error))
            # An answer that doesn't come may have taken seconds, in which nothing was sent.
            self._next_at = self._clock() + FRESH_SECONDS
            return rate
        other = None if before.get("by") == {"S": self._me} else self._fresh(before)
        return rate if other is None else (rate + other) / 2

    def _fresh(self, row: Mapping[str, AttributeValueTypeDef]) -> float | None:
        if "rate" not in row or self._clock() - float(row["at"]["N"]) > FRESH_SECONDS:
            return None
        return float(row["rate"]["N"])
