"""What a load would take, from a few numbers: arithmetic alone, by the functions' own formulas where they have one."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from dynamo_load.duration import duration
from scripts.pipelines import prices
from scripts.pipelines.wording import count, dollars
from scripts.pipelines.wording import duration as worded
from unload.buckets import buckets_for
from unload.work_list import rows_per_piece

if TYPE_CHECKING:
    from dynamo_load.plan import LoadLimits
    from target.table import WriteCapacity

_BYTES_PER_UNIT = 1_024
# docs/performance.md, "What this means on Lambda" and "Refreshing": measured on one core, rows of about 900 bytes.
_WRITTEN_PER_SECOND = 106_000
_COMPARED_PER_SECOND = 1_000_000 / 4.29
# 625 Mbit/s ("Lambda quotas", developer guide), of which 85,000 rows of 900 bytes a second were counted on.
_BYTES_PER_SECOND = 85_000 * 900
_DOLLARS_PER_LOADER_SECOND = prices.LOADER_MEMORY_MB / 1_024 * prices.PER_GB_SECOND


@dataclass(frozen=True)
class Asked:
    """The load that is asked about.

    Items have `item_bytes` on average. `changed` is the share of the `rows` that is written: 1 in the mode upsert.
    `indexes` global secondary indexes have each item, too. `dollars` is the price of a million write units.
    """

    rows: int
    item_bytes: int
    mode: str
    changed: float
    indexes: int
    dollars: float


@dataclass(frozen=True)
class Figure:
    """A number with its unit, in `words`, how it was computed, and what says so."""

    name: str
    value: float
    unit: str
    words: str
    formula: str
    source: str


def estimate(asked: Asked, limits: LoadLimits, capacity: WriteCapacity) -> list[Figure]:
    """The figures of a load, in the order in which they follow from each other; Redshift's are not among them."""
    written = round(asked.rows * asked.changed)
    each = ceil(asked.item_bytes / _BYTES_PER_UNIT)
    units = written * each
    charged = units * (1 + asked.indexes)
    expected = duration(units, limits, capacity)
    per_second = expected.write_units_per_second
    refreshes = asked.mode != "upsert"
    pieces = (
        buckets_for(asked.rows)
        if refreshes
        else ceil(asked.rows / rows_per_piece(asked.rows, limits.loader_concurrency))
    )
    loaders = max(1, min(limits.loader_concurrency, pieces))
    sent = min(_WRITTEN_PER_SECOND, _BYTES_PER_SECOND / asked.item_bytes)
    writing, sending = units / per_second, written / (loaders * sent)
    comparing = asked.rows / (loaders * _COMPARED_PER_SECOND) if refreshes else 0.0
    seconds = max(writing, sending, comparing)
    enough = max(1, ceil(per_second / each / sent))
    dynamodb = charged * asked.dollars / 1_000_000
    lambdas = loaders * seconds * _DOLLARS_PER_LOADER_SECOND
    transitions = pieces * prices.TRANSITIONS_PER_PIECE * prices.PER_THOUSAND_TRANSITIONS / 1_000
    slowest = max((writing, expected.limited_by), (sending, "the loaders' cores"), (comparing, "comparing all rows"))
    figures = [
        Figure(
            "written", written, "rows", count(written, "row"), f"{asked.rows:,} rows x {asked.changed:.4g}",
            "the mode upsert writes every row; the others those that differ (docs/refreshing.md)",
        ),
        Figure(
            "write units", charged, "units", f"{charged:,}",
            f"{written:,} x {each:,} ({asked.item_bytes:,} bytes in units of 1 KB) x "
            f"(1 table + {asked.indexes} indexes)",
            'DynamoDB developer guide, "Read and write capacity"; a dry run counts a sample of the very rows',
        ),
        Figure(
            "pace", per_second, "units/s", f"{per_second:,} units/s", f"the least that is known: {expected.limited_by}",
            'functions/dynamo_load/duration.py; docs/loading.md, "How long, and beside whom"',
        ),
        Figure(
            "loading", seconds, "s", worded(seconds),
            f"max({units:,} / {per_second:,} a second, {written:,} / ({loaders} x {sent:,.0f})"
            + (f", {asked.rows:,} / ({loaders} x {_COMPARED_PER_SECOND:,.0f})" if refreshes else "")
            + f"); limited by {slowest[1]}",
            "docs/performance.md (measured); UNLOAD and the states around it come on top",
        ),
        Figure(
            "loaders", loaders, "loaders", f"{loaders} ({enough} would keep up)",
            f"at most loader_concurrency and {count(pieces, 'piece')}; "
            f"{per_second:,} / {each:,} / {sent:,.0f}, rounded up",
            'docs/scaling.md, "How many loaders"',
        ),
        Figure(
            "DynamoDB", dynamodb, "dollars", dollars(dynamodb), f"{charged:,} x ${asked.dollars:g} / 1,000,000",
            "AWS's price list, on demand; --price for another region",
        ),
        Figure(
            "Lambda", lambdas, "dollars", dollars(lambdas),
            f"{loaders} x {seconds:,.0f} s x ${_DOLLARS_PER_LOADER_SECOND:.9f}",
            'docs/performance.md, "What this means on Lambda"',
        ),
        Figure(
            "Step Functions", transitions, "dollars", dollars(transitions),
            f"{pieces:,} x {prices.TRANSITIONS_PER_PIECE} transitions x ${prices.PER_THOUSAND_TRANSITIONS:g} / 1,000",
            "docs/scaling.md",
        ),
    ]  # fmt: skip
    if warming := expected.warming:
        warmed = units / (warming.write_units_per_second * (1 - limits.headroom))
        figures.append(
            Figure(
                "warmed first", warmed, "s", worded(max(warmed, sending, comparing)),
                f"at {warming.write_units_per_second:,} units/s; {warming.units_charged:,} units of warm throughput "
                "are charged, once",
                'DynamoDB developer guide, "Warm throughput"',
            )
        )  # fmt: skip
    return figures
