"""The loader against the usual ways and the floor, one after the other, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Work
from benchmarks.datasets import KEY
from local.dynamodb_sink import SinkBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.datasets import Dataset
    from benchmarks.scale import Scale

WAYS = ("put_df", "batch_writer", "piece_loader", "replay")
BASELINE = "batch_writer"
LATENCY_SECONDS = 0.005


@dataclass(frozen=True)
class PeerFigure:
    """One way's run in one repetition; runs with the same `repetition` stood next to each other."""

    dataset: str
    way: str
    repetition: int
    rows: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    sink_cpu_seconds: float
    most_in_flight: int


def measure(
    bench: Bench, datasets: list[Dataset], scale: Scale, latency: float, report: Callable[[str], None]
) -> list[PeerFigure]:
    """Run every way on every data set, interleaved, against a sink that answers after `latency` seconds."""
    figures = []
    for repetition in range(scale.repetitions):
        for dataset in datasets:
            for way in WAYS:
                rows = scale.peer_rows[way, dataset.name]
                work = Work(way, dataset, dataset.first_row_groups(rows), KEY, rows)
                run = bench.run(SinkBehaviour(latency_seconds=latency), work)
                figures.append(
                    PeerFigure(
                        dataset=dataset.name,
                        way=way,
                        repetition=repetition,
                        rows=run.rows,
                        cpu_seconds=run.cpu_seconds,
                        wall_seconds=run.wall_seconds,
                        peak_bytes=run.peak_bytes,
                        sink_cpu_seconds=run.sink.cpu_seconds,
                        most_in_flight=run.sink.most_in_flight,
                    )
                )
                report(
                    f"{repetition + 1}/{scale.repetitions} {dataset.name:<6} {way:<12} {run.rows:>9,} rows: "
                    f"{run.cpu_seconds / run.rows * 1e6:6.1f} CPU s per million, "
                    f"{run.rows / run.wall_seconds:>8,.0f} rows/s, {run.peak_bytes / 1e6:.0f} MB"
                )
    return figures
