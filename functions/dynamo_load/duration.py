"""How long a load will take: at the least of all the limits that are known, before a row is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from target.table import NEW_TABLE_UNITS

if TYPE_CHECKING:
    from dynamo_load.plan import LoadLimits
    from target.table import WriteCapacity

TABLE_QUOTA_UNITS = 40_000
"""Write units per second of a table unless AWS has raised the quota ("Quotas in Amazon DynamoDB", developer guide)."""
_TIMES_WARMER = 10


@dataclass(frozen=True)
class Warming:
    """What it would mean to warm the table to `write_units_per_second` first.

    That many more units, `units_charged`, are charged, once; the load would take `minutes`.
    """

    write_units_per_second: int
    units_charged: int
    minutes: float


@dataclass(frozen=True)
class Duration:
    """The `minutes` of a load at `write_units_per_second`, which are `limited_by` that.

    `warming` is None if a warmer table would not be loaded faster.
    """

    minutes: float
    write_units_per_second: int
    limited_by: str
    warming: Warming | None


def duration(write_units: float, limits: LoadLimits, capacity: WriteCapacity) -> Duration:
    """Estimate how long it takes to write so many units.

    A table on demand grows while it is loaded, so that a long load takes less.
    """
    free = 1 - limits.headroom
    settings = {
        "write budget": limits.max_write_units_per_second,
        "provisioned units": (capacity.provisioned or 0) * free,
        "on-demand maximum": (capacity.on_demand_maximum or 0) * free,
    }
    firm = {name: units for name, units in settings.items() if units}
    warm, known_as = capacity.warm, "warm throughput"
    if warm is None and capacity.provisioned is None:
        warm, known_as = NEW_TABLE_UNITS, "a new on-demand table"
    known = firm | ({known_as: warm * free} if warm else {})
    limited_by = min(known, key=lambda name: known[name])
    per_second = known[limited_by]
    minutes, warming = _minutes(write_units, per_second), None
    if warm:
        warmer = min(_TIMES_WARMER * warm, TABLE_QUOTA_UNITS, *(int(units / free) for units in firm.values()))
        if warmer > warm and (then := _minutes(write_units, warmer * free)) < minutes:
            warming = Warming(warmer, warmer - warm, then)
    return Duration(minutes, max(1, round(per_second)), limited_by, warming)


def _minutes(write_units: float, per_second: float) -> float:
    return round(write_units / per_second / 60, 1)
