"""The usual way, and the baseline: boto3's `Table.batch_writer` in 8 threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING

import boto3

from benchmarks.datasets import plain_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from mypy_boto3_dynamodb.service_resource import Table

    from benchmarks.task import Task

_THREADS = 8
_ROWS_PER_WRITER = 1_000


def prepare(task: Task) -> Callable[[], int]:
    """Make a table resource for each thread, as they may not be shared."""
    tables: SimpleQueue[Table] = SimpleQueue()
    for _ in range(_THREADS):
        tables.put(boto3.resource("dynamodb").Table("sink"))

    def write(rows: pa.RecordBatch) -> int:
        table = tables.get()
        with table.batch_writer() as writer:
            for row in rows.to_pylist():
                writer.put_item(Item={name: value for name, value in row.items() if value is not None})
        tables.put(table)
        return len(rows)

    def load() -> int:
        with ThreadPoolExecutor(_THREADS) as pool:
            return sum(pool.map(write, plain_rows(task, _ROWS_PER_WRITER)))

    return load
