"""Loads at the limit of a table of partitions: what of it they use, what they send in vain, and what becomes of others.

The table is a model (`local.dynamodb_sink.capacity`). All loaders of a load have one ledger and are on one core.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import datasets
from benchmarks.bench import Work
from benchmarks.datasets import COLLECTION, KEY
from local.dynamodb_sink import SinkBehaviour
from local.dynamodb_sink.capacity import TENTHS, OtherTraffic, TableCapacity

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.bench import Bench, Run
    from benchmarks.datasets import Dataset
    from benchmarks.scale import Scale

LATENCY_SECONDS = 0.005
NEW, WARM = 10, 40
"""Partitions of the tables."""
HOT_PARTITIONS = 4

NO_LIMIT = "no limit"
RANDOM, SORTED = "1,000 rows a key, in random order", "1,000 rows a key, sorted by key"
COLD, HOT = "without the hot key", "one key has half of the rows"
GROWS, SHARED = "the table doubles", "others need half of the table"

# In seconds of a load, which `Scale.limit_second` may shorten.
SECONDS = 35
WARM_UP = 5
DOUBLES_AT = 15
OTHERS_BEGIN, OTHERS_END, OTHERS_WAIT = 10, 30, 3
SUSTAINED = 2
"""A rate is reached when it is kept for so long."""
SORTED_SECONDS, HOT_SECONDS = 25, 12

GROWN_SHARE, RECOVERED_SHARE = 0.9, 0.95
_ROW_GROUPS = 8
_SORTED_ROW_GROUPS = 5


def on_partitions(partitions: int, loaders: int) -> str:
    """The name of a case with rows in random order, each with a key of its own."""
    return f"{partitions} partitions, {loaders} {'loader' if loaders == 1 else 'loaders'}"


@dataclass(frozen=True)
class Case:
    """A load into a table that takes `capacity` (None: everything)."""

    name: str
    dataset: Callable[[], Dataset]
    row_groups: int
    capacity: TableCapacity | None
    loaders: int = 1
    hot_key: str | None = None

    @property
    def works(self) -> list[Work]:
        """An equal part of the row groups for each loader."""
        dataset, each = self.dataset(), self.row_groups // self.loaders
        in_collections = self.capacity is not None and self.capacity.partition_key == COLLECTION
        key, sort_key = (COLLECTION, KEY) if in_collections else (KEY, None)
        return [
            Work("piece_loader", dataset, list(range(begin, begin + each)), key, sort_key=sort_key)
            for begin in range(0, self.row_groups, each)
        ]

    @property
    def limit_steps(self) -> list[tuple[float, float]]:
        """From which second on the table takes how many rows each second, besides the other traffic's."""
        if self.capacity is None:
            return []
        rate = self.capacity.rows_per_second
        steps = [(0.0, rate)]
        if (doubles_at := self.capacity.doubles_at_seconds) is not None:
            steps.append((doubles_at, 2 * rate))
        if other := self.capacity.other_traffic:
            steps += [(other.begins_at_seconds, rate - other.units_per_second), (other.ends_at_seconds, rate)]
        return steps


@dataclass(frozen=True)
class TableLimitFigure:
    """One load."""

    case: str
    repetition: int
    loaders: int
    rows: int
    rows_received: int
    """Rows that were sent again included."""
    requests: int
    requests_throttled: int
    """Those of which nothing was stored."""
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    steady_rows_per_second: float
    """From the end of the warm-up, which begins when every loader has begun, until the first loader was done."""
    steady_limit: float | None
    """What the table took meanwhile, in rows per second."""
    slowest_to_fastest: float
    """Rows that the fastest loader had stored meanwhile, divided by those of the slowest."""
    rows_by_second: list[int]
    limit_steps: list[tuple[float, float]]
    others_finished_seconds: float | None
    """When the last row without the hot key was stored."""
    grown_seconds: float | None
    """From the table's growth until 90 % of its new limit were reached; None if they never were."""
    others_throttled_share: float | None
    """Of the other traffic, from 3 s after its begin on."""
    recovered_seconds: float | None
    """From the other traffic's end until 95 % of the table's limit were reached; None if they never were."""


def cases(directory: Path, scale: Scale) -> list[Case]:
    """All cases; the rows of those that are run are written to `directory`."""
    second, units = scale.limit_second, scale.limit_units

    def rows(partitions: int, seconds: float) -> int:
        return int(partitions * units * seconds * second)

    @cache
    def reviews(partitions: int) -> Dataset:
        each = -(-rows(partitions, SECONDS) // _ROW_GROUPS)
        return datasets.write(directory, f"{partitions}-partitions", row_groups=_ROW_GROUPS, row_group_rows=each)

    @cache
    def collections(*, in_order: bool) -> Dataset:
        # A partition takes what one key has in a second.
        customers = np.arange(rows(WARM, SORTED_SECONDS)) // rows(1, 1)
        order = np.arange(len(customers)) if in_order else _shuffled(len(customers))
        name = "sorted" if in_order else "random"
        return datasets.write_collections(directory, name, customers, order, row_groups=_SORTED_ROW_GROUPS)

    @cache
    def mixture(*, with_hot: bool) -> Dataset:
        customers = np.minimum(np.arange(2 * others), others)
        order = _shuffled(2 * others)
        name, order = ("hot", order) if with_hot else ("cold", order[order < others])
        return datasets.write_collections(directory, name, customers, order, row_groups=1)

    others = rows(HOT_PARTITIONS, HOT_SECONDS)
    hot_key = datasets.customer(others)
    new = TableCapacity(KEY, NEW, units)
    warm = replace(new, partitions=WARM)
    of_collections = replace(warm, partition_key=COLLECTION)
    small = replace(of_collections, partitions=HOT_PARTITIONS)
    few = (1, min(4, max(scale.fan_out)))
    other = OtherTraffic(NEW * units / 2, OTHERS_BEGIN * second, OTHERS_END * second)
    return [
        Case(NO_LIMIT, partial(reviews, NEW), _ROW_GROUPS, None),
        *(
            Case(on_partitions(NEW, loaders), partial(reviews, NEW), _ROW_GROUPS, new, loaders)
            for loaders in scale.fan_out
        ),
        *(Case(on_partitions(WARM, loaders), partial(reviews, WARM), _ROW_GROUPS, warm, loaders) for loaders in few),
        Case(RANDOM, partial(collections, in_order=False), _SORTED_ROW_GROUPS, of_collections),
        Case(SORTED, partial(collections, in_order=True), _SORTED_ROW_GROUPS, of_collections),
        Case(COLD, partial(mixture, with_hot=False), 1, small, hot_key=hot_key),
        Case(HOT, partial(mixture, with_hot=True), 1, small, hot_key=hot_key),
        Case(GROWS, partial(reviews, WARM), 3, replace(new, doubles_at_seconds=DOUBLES_AT * second)),
        Case(SHARED, partial(reviews, NEW), _ROW_GROUPS, replace(new, other_traffic=other)),
    ]


def measure(
    bench: Bench, directory: Path, scale: Scale, report: Callable[[str], None], only: str = ""
) -> list[TableLimitFigure]:
    """Run every case whose name has `only` in it, again and again."""
    chosen = [case for case in cases(directory, scale) if only in case.name]
    figures = []
    for repetition in range(scale.fan_out_repetitions):
        for case in chosen:
            behaviour = SinkBehaviour(
                latency_seconds=LATENCY_SECONDS, key=KEY, capacity=case.capacity, hot_key=case.hot_key
            )
            figure = _figure(case, repetition, bench.run(behaviour, *case.works), scale.limit_second)
            figures.append(figure)
            report(f"{repetition + 1}/{scale.fan_out_repetitions} {_said(figure)}")
    return figures


def _figure(case: Case, repetition: int, run: Run, second: float) -> TableLimitFigure:
    sink = run.sink
    stored = sink.rows_stored_by_tenth
    steady = stored[: max(1, int((min(usage.ended_at for usage in run.usages) - sink.began_at) * TENTHS))]
    limits = _by_tenth(case.limit_steps, len(steady))
    by_loader = list(sink.rows_stored_by_access_key.values())
    warm = int(WARM_UP * second * TENTHS) + max(map(_first, by_loader))
    if warm >= len(steady) or not limits:
        # A load that is over by then is all there is to measure, and without a limit there is none to find.
        warm = 0
    of_loaders = [sum(rows[warm : len(steady)]) for rows in by_loader]
    sustained = max(1, int(SUSTAINED * second * TENTHS))
    capacity, grown, share, recovered = case.capacity, None, None, None
    if capacity and capacity.doubles_at_seconds is not None:
        goal = GROWN_SHARE * 2 * capacity.rows_per_second
        grown = seconds_until(steady, goal, capacity.doubles_at_seconds, sustained)
    if capacity and (other := capacity.other_traffic):
        goal = RECOVERED_SHARE * capacity.rows_per_second
        recovered = seconds_until(steady, goal, other.ends_at_seconds, sustained)
        begin = int((other.begins_at_seconds + OTHERS_WAIT * second) * TENTHS)
        share = sum(sink.other_throttled_by_tenth[begin:]) / max(1, sum(sink.other_asked_by_tenth[begin:]))
    finished = None
    if case.hot_key:
        hot = sink.hot_rows_stored_by_tenth + [0] * len(stored)
        finished = (1 + max(tenth for tenth, rows in enumerate(stored) if rows > hot[tenth])) / TENTHS
    return TableLimitFigure(
        case=case.name,
        repetition=repetition,
        loaders=case.loaders,
        rows=run.rows,
        rows_received=sink.rows_received,
        requests=sink.requests,
        requests_throttled=sink.answers.get("throttled", 0),
        cpu_seconds=run.cpu_seconds,
        wall_seconds=run.wall_seconds,
        peak_bytes=run.peak_bytes,
        steady_rows_per_second=_mean(steady[warm:]) * TENTHS,
        steady_limit=_mean(limits[warm:]) if limits else None,
        slowest_to_fastest=max(of_loaders) / max(1, min(of_loaders)),
        rows_by_second=[sum(stored[begin : begin + TENTHS]) for begin in range(0, len(stored), TENTHS)],
        limit_steps=case.limit_steps,
        others_finished_seconds=finished,
        grown_seconds=grown,
        others_throttled_share=share,
        recovered_seconds=recovered,
    )


def _shuffled(rows: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).permutation(rows)


def _mean(numbers: Sequence[float]) -> float:
    return sum(numbers) / len(numbers)


def _by_tenth(steps: list[tuple[float, float]], tenths: int) -> list[float]:
    """What of these steps holds in each tenth of a second."""
    if not steps:
        return []
    return [next(rate for second, rate in reversed(steps) if second * TENTHS <= tenth) for tenth in range(tenths)]


def _first(rows: list[int]) -> int:
    """The first tenth of a second with rows."""
    return next(tenth for tenth, count in enumerate(rows) if count)


def seconds_until(rows: list[int], rows_per_second: float, since: float, sustained: int) -> float | None:
    """Seconds from `since` until rows by tenths of a second are at a rate for `sustained` tenths; None: never."""
    begin = int(since * TENTHS)
    for tenth in range(begin, len(rows) - sustained + 1):
        if _mean(rows[tenth : tenth + sustained]) * TENTHS >= rows_per_second:
            return (tenth - begin) / TENTHS
    return None


def _said(figure: TableLimitFigure) -> str:
    limit = figure.steady_limit
    parts = [
        f"{figure.case}: {figure.steady_rows_per_second:>8,.0f} rows/s",
        f"{figure.steady_rows_per_second / limit:.1%} of the limit" if limit else "",
        f"{figure.rows_received / figure.rows:.2f} sends per row",
        f"{figure.cpu_seconds / figure.rows * 1e6:.1f} CPU s per million",
        f"slowest to fastest {figure.slowest_to_fastest:.2f}" if figure.loaders > 1 else "",
        f"others finished after {figure.others_finished_seconds:.1f} s"
        if figure.others_finished_seconds is not None
        else "",
        f"grown after {figure.grown_seconds} s" if figure.case == GROWS else "",
        f"others throttled {figure.others_throttled_share:.1%}" if figure.others_throttled_share is not None else "",
        f"recovered after {figure.recovered_seconds} s" if figure.case == SHARED else "",
    ]
    return ", ".join(part for part in parts if part)
