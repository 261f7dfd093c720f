"""When a table throttles: partitions by hash of the partition key, each a token bucket, and a limit above them.

As the DynamoDB Developer Guide tells it ("Partitions and data distribution", "Burst and adaptive capacity", "Diagnosing
throttling"). The model has no clock: each call says which moment it is, in seconds since the first request, and no
moment is before an earlier call's.
"""

from __future__ import annotations

import zlib
from bisect import bisect_right
from collections import Counter
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

TENTHS = 10
"""What is counted over time is counted by tenths of a second."""

Limit = Literal["key range", "provisioned", "on-demand maximum", "account quota"]
EXCEPTIONS: dict[Limit, tuple[str, str]] = {
    "key range": ("ProvisionedThroughputExceededException", "TableWriteKeyRangeThroughputExceeded"),
    "provisioned": ("ProvisionedThroughputExceededException", "TableWriteProvisionedThroughputExceeded"),
    "on-demand maximum": ("ThrottlingException", "TableWriteMaxOnDemandThroughputExceeded"),
    "account quota": ("RequestLimitExceeded", "TableWriteAccountLimitExceeded"),
}
"""The exception of a request that exceeds a limit with all of its rows, and the throttling reason in it."""

_HASHES = 1 << 32
_HOT_AGAIN_SECONDS = 1.0
"""A partition stays hot while no more than this passes between two throttled writes."""


@dataclass(frozen=True)
class OtherTraffic:
    """Writes of others, one unit each, to keys of all partitions. What is throttled of it is not tried again."""

    units_per_second: float
    begins_at_seconds: float
    ends_at_seconds: float


@dataclass(frozen=True)
class TableCapacity:
    """What a table takes. A row is one write unit; seconds are counted from the first request."""

    partition_key: str
    """Attribute whose value's hash chooses the partition."""
    partitions: int
    units_per_partition: float = 1_000.0
    """Each second; as the Developer Guide says it of every partition."""
    burst_seconds: float = 1.0
    """Of unused capacity that a partition, and the table, can save up; all of it is there at the beginning."""
    units: float | None = None
    """What the whole table takes each second at most; None: as much as its partitions."""
    limit: Limit = "provisioned"
    """What it is that limits the whole table."""
    splits_after_seconds: float | None = None
    """A partition that throttles for so long becomes two, with half of its keys and all of its units each."""
    doubles_at_seconds: float | None = None
    """All partitions split, and the whole table takes twice as much."""
    other_traffic: OtherTraffic | None = None

    @property
    def rows_per_second(self) -> float:
        """What the table takes when every partition gets its part."""
        of_partitions = self.partitions * self.units_per_partition
        return of_partitions if self.units is None else min(self.units, of_partitions)

    @classmethod
    def from_json(cls, settings: dict[str, Any]) -> Self:
        """What `dataclasses.asdict` was made of."""
        other = settings["other_traffic"]
        return cls(**settings | {"other_traffic": OtherTraffic(**other) if other else None})


@dataclass(slots=True)
class _Bucket:
    """Units that can be taken; they come back evenly, up to those of the burst."""

    rate: float
    burst_seconds: float
    units: float
    filled_at: float = 0.0
    hot_since: float = 0.0
    throttled_at: float = -inf

    def has_unit(self, at: float) -> bool:
        self.units = min(self.units + (at - self.filled_at) * self.rate, self.rate * self.burst_seconds)
        self.filled_at = at
        return self.units >= 1


class Capacity:
    """What is left of a table's capacity, and what became of the other traffic."""

    def __init__(self, table: TableCapacity) -> None:
        self._table = table
        self._begins = [number * _HASHES // table.partitions for number in range(table.partitions)]
        self._partitions = [self._bucket(table.units_per_partition) for _ in self._begins]
        self._whole = None if table.units is None else self._bucket(table.units)
        self._doubles_at = inf if table.doubles_at_seconds is None else table.doubles_at_seconds
        self._splits_after = inf if table.splits_after_seconds is None else table.splits_after_seconds
        self._others = 0
        self.other_asked: Counter[int] = Counter()
        """Units of other traffic by tenth of a second."""
        self.other_throttled: Counter[int] = Counter()

    def take(self, keys: Sequence[bytes], at: float) -> list[Limit | None]:
        """Write rows with these values of the partition key; return which limit each exceeds, None if it is taken."""
        self.pass_time(at)
        return [self._take(zlib.crc32(key), at) for key in keys]

    def pass_time(self, at: float) -> None:
        """Let happen what is due until a moment."""
        if other := self._table.other_traffic:
            lasted = min(at, other.ends_at_seconds) - other.begins_at_seconds
            for number in range(self._others, int(lasted * other.units_per_second)):
                moment = other.begins_at_seconds + number / other.units_per_second
                self._double(moment)
                self.other_asked[int(moment * TENTHS)] += 1
                if self._take(zlib.crc32(b"other %d" % number), moment):
                    self.other_throttled[int(moment * TENTHS)] += 1
                self._others += 1
        self._double(at)

    def _take(self, hashed: int, at: float) -> Limit | None:
        place = bisect_right(self._begins, hashed) - 1
        partition = self._partitions[place]
        if not partition.has_unit(at):
            self._heat(place, at)
            return "key range"
        if self._whole is not None:
            if not self._whole.has_unit(at):
                return self._table.limit
            self._whole.units -= 1
        partition.units -= 1
        return None

    def _heat(self, place: int, at: float) -> None:
        partition = self._partitions[place]
        if at - partition.throttled_at > _HOT_AGAIN_SECONDS:
            partition.hot_since = at
        partition.throttled_at = at
        if at - partition.hot_since >= self._splits_after:
            self._split(place)

    def _split(self, place: int) -> None:
        partition = self._partitions[place]
        partition.throttled_at = -inf
        end = [*self._begins, _HASHES][place + 1]
        # A partition with a single hash has none to give away.
        if end - self._begins[place] > 1:
            self._begins.insert(place + 1, (self._begins[place] + end) // 2)
            self._partitions.insert(place + 1, copy(partition))

    def _double(self, at: float) -> None:
        if at >= self._doubles_at:
            self._doubles_at = inf
            for place in reversed(range(len(self._partitions))):
                self._split(place)
            if self._whole is not None:
                self._whole.rate *= 2

    def _bucket(self, rate: float) -> _Bucket:
        return _Bucket(rate, self._table.burst_seconds, rate * self._table.burst_seconds)
