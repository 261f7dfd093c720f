"""The rows that are loaded: reviews in 16 columns (wide), and five small columns of the same (narrow)."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from local import reviews

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from benchmarks.task import Task

KEY = "review_id"
COLLECTION = "customer_id"
"""The partition key of tables in which KEY is the sort key."""
HASH = "load_hash"
NARROW = [KEY, COLLECTION, "product_id", "star_rating", "helpful_votes"]
_NARROW_SCHEMA = pa.schema([reviews.SCHEMA.field(name) for name in NARROW])
_BUCKET_SCHEMA = reviews.SCHEMA.append(pa.field(HASH, pa.int32()))


_TABLE = Path(__file__).parents[1] / "scripts" / "setup_redshift_table.sql"


def lengths() -> dict[str, int]:
    """Return how many bytes the text columns may have, as the manifest of an UNLOAD of the reviews' table tells."""
    return {name: int(length) for name, length in re.findall(r"(\w+) +VARCHAR\((\d+)\)", _TABLE.read_text())}


@dataclass(frozen=True)
class Dataset:
    """A Parquet file whose row groups all have `row_group_rows` rows."""

    name: str
    path: Path
    row_groups: int
    row_group_rows: int

    def first_row_groups(self, rows: int) -> list[int]:
        """Return the fewest row groups that have this many rows."""
        return list(range(-(-rows // self.row_group_rows)))


def write(directory: Path, name: str, *, row_groups: int, row_group_rows: int) -> Dataset:
    """Write the `wide` or `narrow` rows, `single` for wide ones in row groups as large as you like.

    `bucket` are wide ones too, with the column that an UNLOAD into buckets adds.
    """
    path = directory / f"{name}.parquet"
    schema = {"narrow": _NARROW_SCHEMA, "bucket": _BUCKET_SCHEMA}.get(name, reviews.SCHEMA)
    batches = (batch.select(schema.names) for batch in map(_hashed, reviews.batches(row_groups * row_group_rows)))
    reviews.write_parquet(path, batches, schema=schema, row_group_rows=row_group_rows)
    return Dataset(name, path, row_groups, row_group_rows)


def customer(number: int) -> str:
    """The value of COLLECTION that stands for a number; their order is that of the numbers."""
    return f"customer-{number:08}"


def write_collections(
    directory: Path, name: str, customers: NDArray[np.int64], order: NDArray[np.int64], *, row_groups: int
) -> Dataset:
    """Write narrow rows whose customers are given, and of these the rows `order`, in that order."""
    path = directory / f"{name}.parquet"
    rows = pa.Table.from_batches(batch.select(NARROW) for batch in reviews.batches(len(customers)))
    names = pa.array(list(map(customer, customers.tolist())))
    rows = rows.set_column(rows.schema.get_field_index(COLLECTION), COLLECTION, names).take(order)
    row_group_rows = len(order) // row_groups
    reviews.write_parquet(path, rows.to_batches(), schema=_NARROW_SCHEMA, row_group_rows=row_group_rows)
    return Dataset(name, path, row_groups, row_group_rows)


def _hashed(rows: pa.RecordBatch) -> pa.RecordBatch:
    hashes = [zlib.crc32(key.encode()) & 0x7FFFFFFF for key in rows.column(KEY).to_pylist()]
    return rows.append_column(HASH, pa.array(hashes, pa.int32()))


def keys(dataset: Dataset, row_groups: list[int]) -> list[str]:
    """Return the keys of some row groups."""
    with pq.ParquetFile(dataset.path) as file:
        names: list[str] = file.read_row_groups(row_groups, columns=[KEY]).column(KEY).to_pylist()
    return names


def rows_of(task: Task, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """Read the task's rows from its file, in batches of `batch_rows` or fewer."""
    left = task.rows
    with pq.ParquetFile(task.file) as file:
        for batch in file.iter_batches(min(batch_rows, left), row_groups=task.row_groups, use_threads=False):
            yield batch.slice(0, left)
            left -= len(batch)
            if left <= 0:
                return


def plain_rows(task: Task, batch_rows: int) -> Iterator[pa.RecordBatch]:
    """As `rows_of`, with dates as text, which is the only type here that boto3 doesn't take."""
    for batch in rows_of(task, batch_rows):
        columns = [column.cast(pa.string()) if pa.types.is_date(column.type) else column for column in batch.columns]
        yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
