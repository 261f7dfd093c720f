"""What a refresh costs beside a full load: rows of which few, none or all differ from what the target holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.bench import Work
from benchmarks.datasets import KEY
from benchmarks.task import LOAD, MADE, TABLE
from local.dynamodb_sink import SinkBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.bench import Bench
    from benchmarks.datasets import Dataset
    from benchmarks.scale import Scale

LATENCY_SECONDS = 0.005
FULL_LOAD, FIRST_LOAD = "full load without a record", "first load, which makes the record"
SHARES = (0.0, 0.01, 1.0)
"""Of the rows that differ from what the target holds."""


@dataclass(frozen=True)
class RefreshFigure:
    """One load of the rows; `changed` of them had to be written."""

    case: str
    repetition: int
    rows: int
    changed: int
    requests: int
    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int


def measure(
    bench: Bench, directory: Path, dataset: Dataset, scale: Scale, report: Callable[[str], None]
) -> list[RefreshFigure]:
    """Load rows in full, then refresh them, each case once in each repetition; at last a large bucket, once."""
    figures = []
    row_groups = dataset.first_row_groups(scale.refresh_rows)
    for repetition in range(scale.repetitions):
        figures += _cases(bench, directory, dataset, row_groups, repetition, report)
    everything = list(range(dataset.row_groups))
    return figures + _cases(bench, directory, dataset, everything, scale.repetitions, report)


def _cases(
    bench: Bench,
    directory: Path,
    dataset: Dataset,
    row_groups: list[int],
    repetition: int,
    report: Callable[[str], None],
) -> list[RefreshFigure]:
    figures = []

    def load(case: str, way: str, known: str | None, changed: int) -> None:
        work = Work(way, dataset, row_groups, KEY, known=known)
        run = bench.run(SinkBehaviour(latency_seconds=LATENCY_SECONDS), work, changed=changed)
        figures.append(
            RefreshFigure(
                case=case,
                repetition=repetition,
                rows=run.rows,
                changed=changed,
                requests=run.sink.requests,
                cpu_seconds=run.cpu_seconds,
                wall_seconds=run.wall_seconds,
                peak_bytes=run.peak_bytes,
            )
        )
        report(f"{case}: {run.cpu_seconds / run.rows * 1e6:.1f} CPU s per million, peak {run.peak_bytes / 1e6:.0f} MB")

    rows = len(row_groups) * dataset.row_group_rows
    load(FULL_LOAD, "piece_loader", None, rows)
    load(FIRST_LOAD, "refresh", None, rows)
    record = pq.read_table(_object(directory, LOAD))
    for share in SHARES:
        known, changed = f"known-{share:g}", int(rows * share)
        pq.write_table(_of_other_items(record, changed), _object(directory, known))
        load(f"{share:.0%} changed", "refresh", known, changed)
    return figures


def _object(directory: Path, load_id: str) -> Path:
    """The file in which the object store keeps a record."""
    return directory / f"records-{TABLE}-{MADE}-{load_id}-00000.parquet"


def _of_other_items(record: pa.Table, changed: int) -> pa.Table:
    """A record in which the items of so many rows, evenly over all, are other ones."""
    digests = record["digest"].to_pylist()
    for row in np.linspace(0, len(digests) - 1, changed, dtype=np.int64).tolist():
        digests[row] = bytes(~byte & 0xFF for byte in digests[row])
    return record.set_column(2, record.schema.field("digest"), pa.array(digests, pa.binary(16)))
