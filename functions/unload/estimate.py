"""What a load would take, from a sample of its rows: the report of a dry run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Self

from environment import number

if TYPE_CHECKING:
    from dynamo_load.encoding.items import EncodedRows
    from unload.manifest import Manifest

# What a new on-demand table takes at once ("On-demand capacity mode", DynamoDB developer guide). Loaders go as fast as
# the table lets them, so one that is used to more, or has warm throughput, is loaded faster.
_UNITS_PER_SECOND_WITHOUT_BUDGET = 4_000


@dataclass(frozen=True)
class DryRunReport:
    """Files, rows and bytes that were unloaded, and what writing the rows would take.

    `write_units`, `dollars` and `minutes` are estimated from `sampled_rows` rows, of which `sampled_rejects` would be
    rejected; `minutes` at `write_units_per_second`, which is the write budget or else what a new on-demand table takes.
    Writes to global secondary indexes come on top.
    """

    files: int
    rows: int
    bytes: int
    write_units: int
    dollars: float
    minutes: float
    write_units_per_second: int
    sampled_rows: int
    sampled_rejects: int


@dataclass(frozen=True)
class WritePrice:
    """Dollars per million write units."""

    dollars_per_million: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read DOLLARS_PER_MILLION_WRITE_UNITS; raises MissingConfiguration."""
        return cls(number(environment, "DOLLARS_PER_MILLION_WRITE_UNITS"))


def estimate(
    manifest: "Manifest", sample: "Iterable[EncodedRows]", *, max_write_units_per_second: int, price: WritePrice
) -> DryRunReport:
    """Scale the sample's write units to all rows; `max_write_units_per_second` 0 means no budget."""
    accepted = rejected = sampled_units = 0
    for rows in sample:
        accepted += len(rows.rows)
        rejected += len(rows.rejects)
        sampled_units += int(rows.write_units.sum())
    sampled = accepted + rejected
    write_units = ceil(sampled_units * manifest.rows / sampled) if sampled else 0
    per_second = max_write_units_per_second or _UNITS_PER_SECOND_WITHOUT_BUDGET
    return DryRunReport(
        files=len(manifest.files),
        rows=manifest.rows,
        bytes=manifest.bytes,
        write_units=write_units,
        dollars=round(write_units * price.dollars_per_million / 1_000_000, 2),
        minutes=round(write_units / per_second / 60, 1),
        write_units_per_second=per_second,
        sampled_rows=sampled,
        sampled_rejects=rejected,
    )
