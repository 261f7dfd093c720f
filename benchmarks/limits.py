"""What must hold whatever the table and the files are like, and how soon a loader writes its first row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.bench import RowsUnaccountedFor, Work
from benchmarks.datasets import KEY, keys
from local.dynamodb_sink import SinkBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bench import Bench
    from benchmarks.datasets import Dataset
    from benchmarks.scale import Scale

UNPROCESSED_SHARE = 0.3
LATENCY_SECONDS = 0.005
FIRST_ROWS = 25
COLD_STARTS = {
    "this loader": ("piece_loader", ("load_dynamo.app",)),
    "this loader, if it imported awswrangler": ("piece_loader", ("load_dynamo.app", "awswrangler")),
    "batch_writer": ("batch_writer", ()),
    "awswrangler put_df": ("put_df", ()),
}


@dataclass(frozen=True)
class UnprocessedFigure:
    """A load into a table that leaves some of the rows of each request; every key was stored exactly once."""

    rows: int
    rows_received: int
    """Rows that came in again included."""
    requests: int
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True)
class FileFigure:
    """A load of the first `rows` rows of a file, and the most memory it took."""

    row_group_rows: int
    row_groups: int
    rows: int
    file_bytes: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class ColdStartFigure:
    """Seconds from the start of a process: until it could begin, and until its first request was answered."""

    way: str
    ready_seconds: float
    ready_cpu_seconds: float
    first_write_seconds: float
    peak_bytes: int


def measure_unprocessed(bench: Bench, dataset: Dataset, scale: Scale) -> UnprocessedFigure:
    """Load into a table that leaves every item unprocessed with a probability of 30 %, counting every key."""
    row_groups = dataset.first_row_groups(scale.unprocessed_rows)
    behaviour = SinkBehaviour(
        latency_seconds=LATENCY_SECONDS, unprocessed_share=UNPROCESSED_SHARE, key=KEY, strict=True
    )
    run = bench.run(behaviour, Work("piece_loader", dataset, row_groups, KEY), ask_for_keys=True)
    if run.stored != dict.fromkeys(keys(dataset, row_groups), 1):
        raise RowsUnaccountedFor("the keys that were stored are not those of the file, each once")
    return UnprocessedFigure(
        rows=run.rows,
        rows_received=run.sink.rows_received,
        requests=run.sink.requests,
        cpu_seconds=run.cpu_seconds,
        wall_seconds=run.wall_seconds,
    )


def measure_files(
    bench: Bench, dataset: Dataset, single: Dataset, scale: Scale, report: Callable[[str], None]
) -> list[FileFigure]:
    """Load more and more of one file, then one whose only row group is large."""
    cases = [(dataset, dataset.first_row_groups(rows)) for rows in scale.file_rows] + [(single, [0])]
    figures = []
    for file, row_groups in cases:
        run = bench.run(SinkBehaviour(latency_seconds=LATENCY_SECONDS), Work("piece_loader", file, row_groups, KEY))
        figures.append(
            FileFigure(
                row_group_rows=file.row_group_rows,
                row_groups=len(row_groups),
                rows=run.rows,
                file_bytes=file.path.stat().st_size * len(row_groups) // file.row_groups,
                cpu_seconds=run.cpu_seconds,
                wall_seconds=run.wall_seconds,
                peak_bytes=run.peak_bytes,
            )
        )
        report(
            f"{run.rows:>9,} rows in {len(row_groups)} row groups: {run.cpu_seconds / run.rows * 1e6:.1f} CPU s per "
            f"million, peak {run.peak_bytes / 1e6:.0f} MB"
        )
    return figures


def measure_cold_starts(
    bench: Bench, dataset: Dataset, scale: Scale, report: Callable[[str], None]
) -> list[ColdStartFigure]:
    """Start each way anew and write one request; `dataset` has one row group, as small as can be."""
    figures = []
    for _ in range(scale.cold_starts):
        for name, (way, imports) in COLD_STARTS.items():
            work = Work(way, dataset, [0], KEY, FIRST_ROWS, imports=imports)
            usage = bench.run(SinkBehaviour(latency_seconds=LATENCY_SECONDS), work).usages[0]
            figures.append(
                ColdStartFigure(
                    way=name,
                    ready_seconds=usage.start_seconds,
                    ready_cpu_seconds=usage.start_cpu_seconds,
                    first_write_seconds=usage.start_seconds + usage.wall_seconds,
                    peak_bytes=usage.peak_bytes,
                )
            )
            report(f"{name}: ready after {usage.start_seconds:.2f} s")
    return figures
