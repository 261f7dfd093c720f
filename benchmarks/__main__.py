"""`python -m benchmarks`: measure, and write docs/performance.md, its figures (.json) and its plots (.svg)."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import datasets, fan_out, limits, peers, pipeline, plot, refresh, report, table_limit
from benchmarks.bench import Bench
from benchmarks.performance import Circumstances, Performance
from benchmarks.scale import FULL, QUICK

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.scale import Scale

PARTS = ("peers", "fan_out", "limits", "table_limit", "refresh", "pipeline")
DOCS = Path(__file__).parents[1] / "docs"


def main() -> None:
    """Measure the parts that are asked for; the others' figures stay as they were."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="few rows, once: only to see that all of it runs")
    parser.add_argument("--latency", type=float, default=peers.LATENCY_SECONDS, help="of the sink in part peers")
    parser.add_argument(
        "--case", default="", help="of part table_limit only cases with this in their name; not written"
    )
    parser.add_argument("--output", type=Path, help="folder to write to; docs/ unless --quick")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    output = arguments.output or (None if arguments.quick or arguments.case else DOCS)
    performance = Performance.read(output / "performance.json") if output else Performance()
    began_at = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began_at:4.0f} s  {line}", flush=True)

    scale = QUICK if arguments.quick else FULL
    if set(parts) - {"pipeline"}:
        _measure_loader(performance, parts, scale, arguments, say)
    if "pipeline" in parts:
        here = Circumstances.here_and_now()
        performance.put("pipeline", here, executions=pipeline.measure(scale, say))
    if output:
        performance.write(output / "performance.json")
        plot.draw(performance, output / "performance.svg")
        plot.draw_over_time(performance, output / "table-limit.svg")
        (output / "performance.md").write_text(report.markdown(performance))
        print(f"written to {output}")
    elif not arguments.case:
        print(report.markdown(performance))


def _measure_loader(
    performance: Performance,
    parts: list[str],
    scale: Scale,
    arguments: argparse.Namespace,
    say: Callable[[str], None],
) -> None:
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder, Bench(Path(folder)) as bench:
        directory = Path(folder)
        if {"peers", "fan_out", "limits"} & set(parts):
            say("writing Parquet files")
            wide = datasets.write(
                directory, "wide", row_groups=scale.wide_row_groups, row_group_rows=scale.row_group_rows
            )
        if "peers" in parts:
            narrow = datasets.write(
                directory, "narrow", row_groups=scale.narrow_row_groups, row_group_rows=scale.row_group_rows
            )
            here = Circumstances.here_and_now()
            figures = peers.measure(bench, [wide, narrow], scale, arguments.latency, say)
            performance.put("peers", here, latency_seconds=arguments.latency, runs=figures)
        if "fan_out" in parts:
            here = Circumstances.here_and_now()
            performance.put("fan_out", here, runs=fan_out.measure(bench, wide, scale, say))
        if "limits" in parts:
            single = datasets.write(directory, "single", row_groups=1, row_group_rows=scale.single_row_group_rows)
            tiny = datasets.write(directory, "tiny", row_groups=1, row_group_rows=limits.FIRST_ROWS)
            performance.put(
                "limits",
                Circumstances.here_and_now(),
                unprocessed=[limits.measure_unprocessed(bench, wide, scale)],
                files=limits.measure_files(bench, wide, single, scale, say),
                cold_starts=limits.measure_cold_starts(bench, tiny, scale, say),
            )
        if "table_limit" in parts:
            here = Circumstances.here_and_now()
            performance.put("table_limit", here, runs=table_limit.measure(bench, directory, scale, say, arguments.case))
        if "refresh" in parts:
            bucket = datasets.write(
                directory, "bucket", row_groups=scale.wide_row_groups, row_group_rows=scale.row_group_rows
            )
            here = Circumstances.here_and_now()
            performance.put("refresh", here, runs=refresh.measure(bench, directory, bucket, scale, say))


if __name__ == "__main__":
    main()
