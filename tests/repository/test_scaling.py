"""The arithmetic of docs/scaling.md is that of the code."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest

from dynamo_load.duration import TABLE_QUOTA_UNITS, duration
from dynamo_load.plan import LoadLimits
from target.table import NEW_TABLE_UNITS, WriteCapacity
from unload.buckets import buckets_for
from unload.work_list import rows_per_piece

ROOT = Path(__file__).resolve().parents[2]
PAGE = " ".join((ROOT / "docs/scaling.md").read_text().split())
SIZES = {"10 thousand": 10**4, "1 million": 10**6, "100 million": 10**8, "1 billion": 10**9, "10 billion": 10**10}
HOUR, DAY = 3_600, 86_400


def in_words(seconds: float) -> str:
    if seconds < 10:
        return "seconds"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < HOUR:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / HOUR:.0f} h" if seconds < 2 * DAY else f"{seconds / DAY:.0f} days"


def test_pieces_times_and_dollars_of_each_size() -> None:
    for name, rows in SIZES.items():
        pieces = ceil(rows / rows_per_piece(rows, LoadLimits().loader_concurrency))
        times = [in_words(rows / units) for units in (NEW_TABLE_UNITS, TABLE_QUOTA_UNITS)]
        dollars = rows / 1e6 * 0.625
        price = f"${dollars:.3f}" if dollars < 1 else f"${dollars:,.2f}".removesuffix(".00")
        assert f"| {name} | {pieces:,} | {times[0]} | {times[1]} | {price} |" in PAGE


def test_the_worked_example() -> None:
    expected = duration(1e9, LoadLimits(), WriteCapacity())
    assert expected.warming is not None
    assert f"{expected.minutes:,.0f} minutes at 4,000, limited by {expected.limited_by};" in PAGE
    assert f"{expected.warming.minutes:,.0f} minutes, {expected.warming.units_charged:,} units charged" in PAGE
    buckets = buckets_for(10**9)
    assert f"{buckets:,} buckets of {10**9 // buckets:,} rows" in PAGE
    larger = buckets_for(10**10)
    assert f"{larger:,} buckets, and on 16 slices {larger * 16:,} files" in PAGE


@pytest.mark.parametrize("figure", ["9.46", "7.51", "4.29", "40,005", "105,761"])
def test_the_measured_figures_it_goes_by_still_stand(figure: str) -> None:
    measurements = (ROOT / "docs/performance.md").read_text()
    assert figure in measurements, f"{figure} is not in docs/performance.md any more: look through docs/scaling.md"
