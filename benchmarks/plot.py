"""The plots of docs/: performance.svg (cost by way, rate by number of loaders), table-limit.svg (rate over time)."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks import table_limit
from benchmarks.peers import WAYS
from benchmarks.report import NAMES, cpu_per_million

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from matplotlib.axes import Axes

    from benchmarks.performance import Performance

_COLORS = {"wide": "#1b6ca8", "narrow": "#e08e1b", "far": "#1b6ca8", "limited": "#e08e1b"}
_LABELS = {"far": "a table that takes everything", "limited": "a table that takes 40,000 rows/s"}


def draw(performance: Performance, path: Path) -> None:
    """Draw the parts that were measured."""
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    if "peers" in performance.parts:
        _draw_peers(left, performance.parts["peers"]["runs"])
    if "fan_out" in performance.parts:
        _draw_fan_out(right, performance.parts["fan_out"]["runs"])
    _save(figure, path)


def draw_over_time(performance: Performance, path: Path) -> None:
    """Draw the rows per second of loads at the table's limit, if they were measured."""
    if "table_limit" not in performance.parts:
        return
    runs = [run for run in performance.parts["table_limit"]["runs"] if run["repetition"] == 0]
    figure = Figure(figsize=(11, 7), layout="constrained")
    panels = {
        f"{table_limit.NEW} partitions": [run for run in runs if run["case"].startswith(f"{table_limit.NEW} ")],
        f"{table_limit.WARM} partitions, 1,000 rows a key": [
            run for run in runs if run["case"] in {table_limit.RANDOM, table_limit.SORTED}
        ],
        table_limit.GROWS: [run for run in runs if run["case"] == table_limit.GROWS],
        table_limit.SHARED: [run for run in runs if run["case"] == table_limit.SHARED],
    }
    for axes, (title, shown) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        _draw_rates(axes, title, shown)
    _save(figure, path)


def _draw_rates(axes: Axes, title: str, runs: list[dict[str, Any]]) -> None:
    for run in runs:
        # The last second is not a whole one.
        rates = run["rows_by_second"][:-1]
        label = "rows stored" if run["case"] == title else run["case"].removeprefix(f"{title}, ")
        axes.plot([second + 0.5 for second in range(len(rates))], rates, label=label)
    steps, end = runs[0]["limit_steps"], max(len(run["rows_by_second"]) for run in runs)
    seconds, limits = [*(second for second, _ in steps), end], [*(rate for _, rate in steps), steps[-1][1]]
    axes.step(seconds, limits, where="post", color="#444444", linestyle="--", label="the table's limit")
    axes.set_title(title)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("seconds")
    axes.set_ylabel("rows per second")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="lower right")


def _save(figure: Figure, path: Path) -> None:
    # Without these two, every drawing of the same figures would be another file.
    with mpl.rc_context({"svg.hashsalt": "performance"}):
        figure.savefig(path, metadata={"Date": None})


def _draw_peers(axes: Axes, runs: list[dict[str, Any]]) -> None:
    for place, dataset in enumerate(("wide", "narrow")):
        costs = {
            way: [cpu_per_million(run) for run in runs if (run["dataset"], run["way"]) == (dataset, way)]
            for way in WAYS
        }
        middles = [median(costs[way]) for way in WAYS]
        spread = [
            [middle - min(costs[way]) for way, middle in zip(WAYS, middles, strict=True)],
            [max(costs[way]) - middle for way, middle in zip(WAYS, middles, strict=True)],
        ]
        positions = [number + 0.4 * (place - 0.5) for number in range(len(WAYS))]
        bars = axes.barh(
            positions, middles, 0.38, xerr=spread, color=_COLORS[dataset], ecolor="#444444", label=f"{dataset} rows"
        )
        axes.bar_label(bars, [f"{middle:.3g}" for middle in middles], padding=6)
    axes.set_xscale("log")
    axes.set_xlim(right=axes.get_xlim()[1] * 2)
    axes.set_yticks(range(len(WAYS)), [NAMES[way] for way in WAYS])
    axes.invert_yaxis()
    axes.set_xlabel("CPU seconds per million rows (logarithmic; bars: medians, lines: lowest to highest)")
    axes.legend(loc="lower right")


def _draw_fan_out(axes: Axes, runs: list[dict[str, Any]]) -> None:
    loaders = sorted({run["loaders"] for run in runs})
    for table in ("far", "limited"):
        rates = [
            median(
                run["rows"] / run["wall_seconds"] for run in runs if (run["table"], run["loaders"]) == (table, number)
            )
            for number in loaders
        ]
        axes.plot(loaders, rates, marker="o", color=_COLORS[table], label=_LABELS[table])
    axes.set_xticks(loaders)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.set_xlabel("loaders on one core")
    axes.set_ylabel("rows per second, all together")
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.legend(loc="upper left")
