"""Several loaders at once, each with a piece of its own, on one core and into one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import Work
from benchmarks.datasets import KEY
from local.dynamodb_sink import SinkBehaviour
from local.dynamodb_sink.capacity import TableCapacity

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.datasets import Dataset
    from benchmarks.scale import Scale

FAR_LATENCY_SECONDS = 0.02
FAR_IN_FLIGHT = 6
"""So few that a loader waits for the table most of the time, and eight loaders fit onto one core."""
LIMITED_LATENCY_SECONDS = 0.005
LIMITED = TableCapacity(KEY, partitions=40, burst_seconds=0.1)
"""40,000 rows/s: what an on-demand table takes by default (Developer Guide, "Quotas in Amazon DynamoDB")."""


@dataclass(frozen=True)
class FanOutFigure:
    """One run; `table` is `far` (slow to answer, takes everything) or `limited` (throttles)."""

    table: str
    loaders: int
    repetition: int
    rows: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    requests: int
    requests_stored: int
    """Requests of which nothing was throttled or left unprocessed."""
    slowest_to_fastest: float
    """Seconds of the slowest loader divided by those of the fastest; all pieces have the same number of rows."""


def measure(bench: Bench, dataset: Dataset, scale: Scale, report: Callable[[str], None]) -> list[FanOutFigure]:
    """Give each loader one row group, for every number of loaders, and for a far and a limited table."""
    tables = {
        "far": (SinkBehaviour(latency_seconds=FAR_LATENCY_SECONDS), FAR_IN_FLIGHT),
        "limited": (
            SinkBehaviour(latency_seconds=LIMITED_LATENCY_SECONDS, capacity=LIMITED),
            Work.in_flight,
        ),
    }
    figures = []
    for repetition in range(scale.fan_out_repetitions):
        for loaders in scale.fan_out:
            for table, (behaviour, in_flight) in tables.items():
                works = [Work("piece_loader", dataset, [number], KEY, in_flight=in_flight) for number in range(loaders)]
                run = bench.run(behaviour, *works)
                seconds = [usage.wall_seconds for usage in run.usages]
                figures.append(
                    FanOutFigure(
                        table=table,
                        loaders=loaders,
                        repetition=repetition,
                        rows=run.rows,
                        cpu_seconds=run.cpu_seconds,
                        wall_seconds=run.wall_seconds,
                        peak_bytes=run.peak_bytes,
                        requests=run.sink.requests,
                        requests_stored=run.sink.answers["stored"],
                        slowest_to_fastest=max(seconds) / min(seconds),
                    )
                )
                report(
                    f"{repetition + 1}/{scale.fan_out_repetitions} {table:<7} {loaders} loaders: "
                    f"{run.rows / run.wall_seconds:>8,.0f} rows/s, {run.cpu_seconds / run.rows * 1e6:.1f} CPU s per "
                    f"million, slowest to fastest {max(seconds) / min(seconds):.2f}"
                )
    return figures
