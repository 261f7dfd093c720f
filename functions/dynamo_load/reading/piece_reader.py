"""The rows of one piece, read from Parquet files in S3 in chunks of bounded size, column by column.

A small row group is fetched whole; the columns of a large one are streamed side by side, each through a small buffer.
Text and bytes that a Parquet dictionary stands for are written out one chunk at a time, unless they are known to be
short. So memory follows neither the file, nor its row groups, nor what these hide. Where chunks begin depends on the
files and the plan alone: a loader that goes on at a checkpoint meets the very chunks of the one before.
"""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dynamo_load.errors import CorruptParquetFile
from dynamo_load.reading.s3_file import S3File

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterator, Mapping, Sequence

    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from dynamo_load.plan import Piece, Slice

CHUNK_ROWS = 10_000
"""Rows of a chunk, unless they are wide."""

_CHUNK_BYTES = 8 * 1024 * 1024
_MOST_WRITTEN_OUT_BYTES = 4 * _CHUNK_BYTES
# What a value takes in Arrow, and more as an attribute, even if the file has hardly a bit for it.
_VALUE_BYTES = 16
# A dictionary ends at 1 MB in the writers of Arrow and of parquet-java; indices come on top. In a column with more than
# this, most values stand page by page, where their size is no secret and making a dictionary of them would take long.
_DICTIONARY_COLUMN_BYTES = 2 * 1024 * 1024
# What all short values of a row may come to: those of a whole chunk are then no more than what is written out at once.
_SHORT_ROW_BYTES = _MOST_WRITTEN_OUT_BYTES // CHUNK_ROWS
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
    """`first_row` counts in the piece, `file_row` in the file; `bytes` is the size in the file.

    `dictionaries` are the columns of text or bytes for which few values may stand, however many rows and bytes these
    come to, and of which nobody knows that they are short.
    """

    file: S3File
    number: int
    first_row: int
    file_row: int
    rows: int
    bytes: int
    chunk_rows: int
    dictionaries: tuple[str, ...]


class PieceReader:
    """Reads the rows of one piece.

    `short` are the columns that `short_columns` chose; should their values be long after all, that costs memory alone.
    All files are opened at once, so that what is wrong with any of them is known before the first row is read. Raises
    MissingFile, FileAccessDenied, FileReadInterrupted if S3 failed or the connection broke, and CorruptParquetFile for
    what isn't Parquet or has other rows or columns than the work list and the other files.
    """

    def __init__(self, s3: S3Client, bucket: str, piece: Piece, short: Collection[str] = ()) -> None:
        with ThreadPoolExecutor(_FILES_OPENED_AT_ONCE) as pool:
            files = list(pool.map(lambda part: S3File(s3, bucket, part.key), piece.slices))
        self._groups: list[_RowGroup] = []
        schemas: list[pa.Schema] = []
        first_row = 0
        for part, file in zip(piece.slices, files, strict=True):
            with _parquet(file) as parquet:
                schemas.append(parquet.schema_arrow)
                self._groups += _row_groups(part, file, parquet, first_row, short)
            first_row += part.rows
            if not schemas[-1].equals(schemas[0]):
                raise CorruptParquetFile(
                    f"{file.url} has other columns than {files[0].url}: unload both again, by one query."
                )
        self.schema = schemas[0] if schemas else pa.schema([])

    def chunk_start(self, row: int) -> int:
        """Return the first row of the chunk that a row of the piece is in."""
        group = next(group for group in reversed(self._groups) if group.first_row <= row)
        return row - (row - group.first_row) % group.chunk_rows

    def chunks(self, start: int) -> Generator[Chunk]:
        """Yield the chunks from the one that begins at row `start`. Raises as the reader itself does."""
        for group in self._groups:
            for first_row, rows in _parts(group, self.schema, start):
                yield Chunk(first_row, group.file.key, group.file_row + first_row - group.first_row, rows)

    def columns(self, names: Sequence[str], start: int) -> Iterator[pa.RecordBatch]:
        """Yield a few columns alone, from the chunk on that begins at row `start`. Raises as the reader itself does."""
        schema = pa.schema([self.schema.field(name) for name in names])
        for group in self._groups:
            yield from (rows for _, rows in _parts(group, schema, start))


def short_columns(lengths: Mapping[str, int]) -> tuple[str, ...]:
    """Return which columns to read without the care that long values need, of those whose longest value is known.

    `lengths` are in bytes. These are the shortest columns, as many as are short together.
    """
    shortest = sorted(lengths, key=lengths.__getitem__)
    up_to = accumulate(_VALUE_BYTES + lengths[column] for column in shortest)
    return tuple(column for column, row_bytes in zip(shortest, up_to, strict=True) if row_bytes <= _SHORT_ROW_BYTES)


def file_schema(s3: S3Client, bucket: str, key: str) -> pa.Schema:
    """Return the columns of a file. Raises as PieceReader does."""
    with _parquet(S3File(s3, bucket, key)) as parquet:
        return parquet.schema_arrow


def row_group_rows(s3: S3Client, bucket: str, key: str, rows: int) -> list[int]:
    """Return the rows of each row group of a file that should have `rows` in all, at the cost of a request or two.

    Raises as PieceReader does.
    """
    file = S3File(s3, bucket, key)
    with _parquet(file) as parquet:
        metadata = parquet.metadata
        of_groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    _check_rows(file, sum(of_groups), rows)
    return of_groups


@contextmanager
def _parquet(file: S3File, row_group_bytes: int = 0, dictionaries: Sequence[str] = ()) -> Iterator[pq.ParquetFile]:
    """Open a file to read row groups of about this size from it, some columns as dictionaries."""
    whole = row_group_bytes <= _FETCHED_WHOLE_BYTES
    # A position of its own: refused rows are read again while a thread reads ahead in the same file.
    source = pa.PythonFile(copy.copy(file), mode="r")
    try:
        with pq.ParquetFile(
            source,
            pre_buffer=whole,
            buffer_size=0 if whole else _STREAM_BYTES,
            read_dictionary=dictionaries,
            # JSON as Arrow's own type for it is never a dictionary.
            arrow_extensions_enabled=not dictionaries,
            # Of pages that have a checksum; UNLOAD's documentation does not say whether its own do.
            page_checksum_verification=True,
            # Redshift's own unit. In nanoseconds, Arrow's choice, years beyond 1677 to 2262 would become others.
            coerce_int96_timestamp_unit="us",
        ) as parquet:
            yield parquet
    except (pa.ArrowException, OSError) as error:
        raise CorruptParquetFile(f"{file.url} can't be read as Parquet ({error}): unload it again.") from error


def _row_groups(
    part: Slice, file: S3File, parquet: pq.ParquetFile, first_row: int, short: Collection[str]
) -> list[_RowGroup]:
    metadata, schema = parquet.metadata, parquet.schema_arrow
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
                dictionaries=tuple(column for column in _dictionaries(group, schema) if column not in short),
            )
        )
        first_row += group.num_rows
    _check_rows(file, sum(group.rows for group in groups), part.rows)
    return [group for group in groups if group.rows]


def _check_rows(file: S3File, found: int, listed: int) -> None:
    if found != listed:
        raise CorruptParquetFile(
            f"{file.url} has {found:,} rows in place of the {listed:,} that are listed: run the load again."
        )


def _chunk_rows(group: pq.RowGroupMetaData) -> int:
    row_bytes = max(group.total_byte_size / max(1, group.num_rows), _VALUE_BYTES * group.num_columns)
    return max(1, min(CHUNK_ROWS, int(_CHUNK_BYTES / max(1, row_bytes))))


def _dictionaries(group: pq.RowGroupMetaData, schema: pa.Schema) -> tuple[str, ...]:
    columns = (group.column(number) for number in range(group.num_columns))
    encoded = {
        column.path_in_schema
        for column in columns
        if column.has_dictionary_page and column.total_uncompressed_size <= _DICTIONARY_COLUMN_BYTES
    }
    return tuple(field.name for field in schema if field.name in encoded and _is_of_any_length(field.type))


def _parts(group: _RowGroup, schema: pa.Schema, start: int) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield parts of bounded size, and the row of the piece that each begins with, from the one at row `start` on."""
    if group.first_row + group.rows <= start:
        return
    with _parquet(group.file, group.bytes, group.dictionaries) as parquet:
        row = group.first_row
        for batch in parquet.iter_batches(
            group.chunk_rows, row_groups=[group.number], columns=schema.names, use_threads=False
        ):
            for rows in _in_parts(batch):
                if row >= start:
                    yield row, _written_out(rows.select(schema.names), schema)
                row += len(rows)


def _in_parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut up a batch that would be far larger than its row group promised, were its dictionaries written out."""
    if sum(map(_most_written_out_bytes, batch.columns)) <= _MOST_WRITTEN_OUT_BYTES:
        yield batch
        return
    ends = np.cumsum(sum((_written_out_bytes(column) for column in batch.columns), np.zeros(len(batch), np.int64)))
    begin = 0
    while begin < len(batch):
        before = ends[begin - 1] if begin else 0
        end = max(begin + 1, int(np.searchsorted(ends, before + _MOST_WRITTEN_OUT_BYTES, side="right")))
        yield batch.slice(begin, end - begin)
        begin = end


def _written_out(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return the rows in the types that the file gives them: values in the place of what stood for them."""
    columns = [
        column if column.type == field.type else _plain(column).cast(field.type)
        for column, field in zip(rows.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _most_written_out_bytes(column: pa.Array) -> int:
    """Return what a column takes at most while it is written out, at a fraction of what each row's value costs."""
    if pa.types.is_dictionary(column.type):
        return len(column) * (pc.max(_lengths(column.dictionary)).as_py() or 0)
    return column.nbytes if _is_of_any_length(column.type) else 0


def _written_out_bytes(column: pa.Array) -> NDArray[np.int64]:
    """Return the bytes that each row's value takes while it is written out, 0 in a column whose values all take few."""
    if pa.types.is_dictionary(column.type):
        of_values = _lengths(column.dictionary)
        # Arrow reserves the dictionary's average for every row before it copies a value.
        average = (pc.sum(of_values).as_py() or 0) // max(1, len(of_values))
        return np.maximum(_numbers(pc.take(of_values, column.indices)), average)
    if _is_of_any_length(column.type):
        return _numbers(_lengths(column))
    return np.zeros(len(column), np.int64)


def _numbers(lengths: pa.Array) -> NDArray[np.int64]:
    return np.asarray(lengths.cast(pa.int64()).fill_null(0).to_numpy(), np.int64)


def _lengths(values: pa.Array) -> pa.Array:
    return pc.binary_length(values.storage if isinstance(values.type, pa.JsonType) else values)


def _is_of_any_length(kind: pa.DataType) -> bool:
    """Whether values of a type are as long as they like: text, JSON and bytes."""
    if isinstance(kind, pa.JsonType):
        kind = kind.storage_type
    return kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
