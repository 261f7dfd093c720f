"""docs/performance.svg: CPU time per million rows by way, and rows per second by number of loaders."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

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
