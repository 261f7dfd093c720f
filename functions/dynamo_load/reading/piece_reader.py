"""The rows of one piece, read from Parquet files in S3 in chunks of bounded size, column by column.

A small row group is fetched whole; the columns of a large one are streamed side by side, each through a small buffer,
so memory follows neither the file nor its row groups. Where chunks begin depends on the files alone: a loader that goes
on at a checkpoint meets the very chunks of the one before.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dynamo_load.errors import CorruptParquetFile
from dynamo_load.reading.s3_file import S3File

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from mypy_boto3_s3 import S3Client

    from dynamo_load.plan import Piece, Slice

CHUNK_ROWS = 10_000
"""Rows of a chunk, unless they are wide."""

_CHUNK_BYTES = 8 * 1024 * 1024
# A row group of this size is fetched in one request or a few (UNLOAD writes 32 to 128 MB), a larger one in streams.
_FETCHED_WHOLE_BYTES = 64 * 1024 * 1024
_STREAM_BYTES = 2 * 1024 * 1024
_FILES_OPENED_AT_ONCE = 8


@dataclass(frozen=True)
class Chunk:
    """Neighbouring rows of one row group: `first_row` counts in the piece, `file_row` in the file `key`."""

    first_row: int
    key: str
    file_row: int
    rows: pa.RecordBatch


@dataclass(frozen=True)
class _RowGroup:
    """`first_row` counts in the piece, `file_row` in the file; `bytes` is the size in the file."""

    file: S3File
    number: int
    first_row: int
    file_row: int
    rows: int
    bytes: int
    chunk_rows: int


class PieceReader:
    """Reads the rows of one piece.

    All files are opened at once, so that what is wrong with any of them is known before the first row is read. Raises
    MissingFile, FileAccessDenied, FileReadInterrupted if S3 failed or the connection broke, and CorruptParquetFile for
    what isn't Parquet or has other rows or columns than the work list and the other files.
    """

    def __init__(self, s3: S3Client, bucket: str, piece: Piece) -> None:
        with ThreadPoolExecutor(_FILES_OPENED_AT_ONCE) as pool:
            files = list(pool.map(lambda part: S3File(s3, bucket, part.key), piece.slices))
        self._groups: list[_RowGroup] = []
        schemas: list[pa.Schema] = []
        first_row = 0
        for part, file in zip(piece.slices, files, strict=True):
            with _parquet(file) as parquet:
                schemas.append(parquet.schema_arrow)
                self._groups += _row_groups(part, file, parquet.metadata, first_row)
            first_row += part.rows
            if not schemas[-1].equals(schemas[0]):
                raise CorruptParquetFile(
                    f"{file.url} has other columns than {files[0].url}: unload both again, by one query."
                )
        self.schema = schemas[0]

    def chunk_start(self, row: int) -> int:
        """Return the first row of the chunk that a row of the piece is in."""
        group = next(group for group in reversed(self._groups) if group.first_row <= row)
        return row - (row - group.first_row) % group.chunk_rows

    def chunks(self, start: int) -> Generator[Chunk]:
        """Yield the chunks from the one that begins at row `start`. Raises as the reader itself does."""
        for group in self._groups:
            if group.first_row + group.rows > start:
                yield from _chunks(group, max(0, start - group.first_row))

    def columns(self, names: Sequence[str], start: int) -> pa.Table:
        """Return a few whole columns, of all rows from row `start`. Raises as the reader itself does."""
        schema = pa.schema([self.schema.field(name) for name in names])
        batches: list[pa.RecordBatch] = []
        for group in self._groups:
            skip = start - group.first_row
            if skip >= group.rows:
                continue
            with _parquet(group.file, group.bytes) as parquet:
                table = parquet.read_row_group(group.number, columns=list(names), use_threads=False)
            batches += table.select(names).slice(max(0, skip)).to_batches()
        return pa.Table.from_batches(batches, schema=schema)


def row_group_rows(s3: S3Client, bucket: str, key: str) -> list[int]:
    """Return the rows of each row group of a file, at the cost of a request or two. Raises as PieceReader does."""
    with _parquet(S3File(s3, bucket, key)) as parquet:
        metadata = parquet.metadata
        return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


@contextmanager
def _parquet(file: S3File, row_group_bytes: int = 0) -> Iterator[pq.ParquetFile]:
    """Open a file to read row groups of about this size from it."""
    whole = row_group_bytes <= _FETCHED_WHOLE_BYTES
    source = pa.PythonFile(file, mode="r")
    try:
        with pq.ParquetFile(
            source,
            pre_buffer=whole,
            buffer_size=0 if whole else _STREAM_BYTES,
            # Redshift's own unit. In nanoseconds, Arrow's choice, years beyond 1677 to 2262 would become others.
            coerce_int96_timestamp_unit="us",
        ) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise CorruptParquetFile(f"{file.url} can't be read as Parquet ({error}): unload it again.") from error


def _row_groups(part: Slice, file: S3File, metadata: pq.FileMetaData, first_row: int) -> list[_RowGroup]:
    wanted = range(metadata.num_row_groups) if part.row_groups is None else part.row_groups
    groups = []
    file_rows = [0]
    for number in range(metadata.num_row_groups):
        file_rows.append(file_rows[-1] + metadata.row_group(number).num_rows)
    for number in wanted:
        if number >= metadata.num_row_groups:
            raise CorruptParquetFile(f"{file.url} has no row group {number}: unload it again.")
        group = metadata.row_group(number)
        groups.append(
            _RowGroup(
                file=file,
                number=number,
                first_row=first_row,
                file_row=file_rows[number],
                rows=group.num_rows,
                bytes=sum(group.column(column).total_compressed_size for column in range(group.num_columns)),
                chunk_rows=_chunk_rows(group),
            )
        )
        first_row += group.num_rows
    rows = sum(group.rows for group in groups)
    if rows != part.rows:
        raise CorruptParquetFile(
            f"{file.url} has {rows:,} rows where the work list has {part.rows:,}: list the unloaded files again."
        )
    return [group for group in groups if group.rows]


def _chunk_rows(group: pq.RowGroupMetaData) -> int:
    rows: int = _CHUNK_BYTES * group.num_rows // max(1, group.total_byte_size)
    return max(1, min(CHUNK_ROWS, rows))


def _chunks(group: _RowGroup, start: int) -> Iterator[Chunk]:
    with _parquet(group.file, group.bytes) as parquet:
        row = 0
        for batch in parquet.iter_batches(group.chunk_rows, row_groups=[group.number], use_threads=False):
            for rows in _in_parts(batch):
                if row >= start:
                    yield Chunk(group.first_row + row, group.file.key, group.file_row + row, rows)
                row += len(rows)


def _in_parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut up a batch that is far larger than its row group promised: few long values, repeated often, encode well."""
    part_rows = max(1, len(batch) * _CHUNK_BYTES * 4 // max(1, batch.nbytes))
    return (batch.slice(first, part_rows) for first in range(0, len(batch), part_rows))
