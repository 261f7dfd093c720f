"""Bars and curves show what was: nothing is lost, nothing overlaps, and a page stays small whatever it shows."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.pipelines.report.drawing import WIDTH, Lane, Rates, Span, TimeAxis, area, lanes, round_up
from tests.unit.report import made_runs
from tests.unit.report.conftest import report

BEGAN = 1_795_374_033.0
MOMENTS = st.floats(0, 1_000).map(lambda seconds: BEGAN + seconds)
SPANS = st.tuples(MOMENTS, MOMENTS).map(lambda ends: Span(*sorted(ends)))


@given(st.lists(st.tuples(SPANS, st.integers(0, 10**6)), max_size=20), st.integers(1, 50))
def test_rates_add_up_to_the_amounts_however_wide_their_columns(amounts: list[tuple[Span, int]], columns: int) -> None:
    rates = Rates(TimeAxis(BEGAN, BEGAN + 1_000), columns)
    for span, amount in amounts:
        rates.add(span, amount)
    whole = sum(rate * rates.column_seconds for rate in rates.per_second)
    assert whole == pytest.approx(sum(amount for _, amount in amounts), rel=1e-6, abs=1e-6)
    assert min(rates.per_second) >= 0


def test_a_rate_is_that_of_its_time() -> None:
    rates = Rates(TimeAxis(0, 10), 5)
    rates.add(Span(3, 7), 400)
    rates.add(Span(9, 9), 10)
    assert rates.per_second == [0.0, 50.0, 100.0, 50.0, 5.0]


@given(st.lists(SPANS, max_size=30))
def test_no_two_pieces_of_a_lane_overlap_and_there_are_as_few_lanes_as_can_be(spans: list[Span]) -> None:
    found = lanes(spans)
    assert sorted(number for members in found for number in members) == list(range(len(spans)))
    for members in found:
        for before, after in pairwise(members):
            assert spans[before].end <= spans[after].begin
    at_once = [sum(other.begin <= span.begin < other.end or other == span for other in spans) for span in spans]
    assert len(found) <= max(at_once, default=0)


@given(st.lists(SPANS, min_size=1, max_size=30))
def test_bars_lie_on_the_axis_and_each_can_be_seen(spans: list[Span]) -> None:
    axis = TimeAxis(BEGAN, BEGAN + 1_000)
    bars = re.findall(r"M(\d+) 0h(\d+)v10h-\2z", axis.bars(spans, 10))
    assert len(bars) == len(spans)
    for left, width in bars:
        assert int(width) >= 3
        assert int(left) + int(width) <= WIDTH


def test_pieces_that_follow_at_once_are_told_apart() -> None:
    lane = Lane(TimeAxis(0, 100))
    lane.fill(Span(0, 50), "working")
    lane.fill(Span(50, 100), "working")
    lane.fill(Span(60, 60), "failed")
    assert lane.bars("working", 0, 8) == "M0 0h499v8h-499zM500 0h100v8h-100zM601 0h398v8h-398z"
    assert lane.bars("failed", 0, 8) == "M600 0h1v8h-1z"


def test_an_area_is_closed_and_stands_on_what_is_below_it() -> None:
    assert area([5, 10], 10, 200) == "M0 200V100H500V0H1000V200H500V200H0z"
    assert area([1, 1], 10, 200, above=[5, 9]) == "M0 100V80H500V0H1000V20H500V100H0z"
    assert area([0.0], 0.0, 40) == "M0 40V40H1000V40H0z"


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.1, ["0", "0.02 s", "0.04 s", "0.06 s", "0.08 s", "0.1 s"]),
        (0.22, ["0", "0.05 s", "0.1 s", "0.15 s", "0.2 s"]),
        (0.95, ["0", "0.2 s", "0.4 s", "0.6 s", "0.8 s"]),
        (2.6, ["0", "0.5 s", "1 s", "1.5 s", "2 s", "2.5 s"]),
        (6, ["0", "1 s", "2 s", "3 s", "4 s", "5 s", "6 s"]),
        (279, ["0", "1 min", "2 min", "3 min", "4 min"]),
        (26_800, ["0", "2 h", "4 h", "6 h"]),
        (14 * 86_400, ["0", "7 d", "14 d"]),
        (100 * 86_400, ["0", *(f"{week * 7} d" for week in range(1, 15))]),
    ],
)
def test_an_axis_has_round_numbers(seconds: float, labels: list[str]) -> None:
    ticks = TimeAxis(BEGAN, BEGAN + seconds).ticks()
    assert [tick.label for tick in ticks] == labels
    assert all(0 <= tick.place <= WIDTH for tick in ticks)


@given(st.floats(1e-3, 1e12))
def test_the_end_of_an_axis_is_a_round_number_not_far_above(number: float) -> None:
    end = round_up(number)
    assert number <= end * (1 + 1e-9)
    assert end < 2.6 * number
    assert f"{end:e}".rstrip("0123456789").rstrip("e+-")[0] in "125"


@pytest.mark.parametrize("loaders", [4, 32, 150])
def test_a_page_of_4_000_pieces_stays_below_a_megabyte(loaders: int) -> None:
    assert len(report(made_runs.large_load(loaders=loaders), looked_at=1e6).encode()) < 1_000_000
