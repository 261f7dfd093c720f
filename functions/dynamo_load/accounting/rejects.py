"""Rows that DynamoDB can never accept, kept whole in S3 with the reason and the place they came from.

One JSON line per row. The rows that can be known by themselves go into one object per chunk that has any, those that
DynamoDB itself refused into one per batch. Chunks and batches are the same whoever loads them, so that one that is
loaded again writes the same object again.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING

import pyarrow as pa

from aws_errors import named_failures
from data_bucket import rejects_prefix, rejects_url
from dynamo_load.encoding.attributes import plain_values
from dynamo_load.errors import RejectsNotStored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mypy_boto3_s3 import S3Client

    from dynamo_load.encoding.row_faults import RejectedRow
    from dynamo_load.reading.piece_reader import Chunk


class RejectedRows:
    """The rejected rows of one piece; `url` is where those of the whole load are."""

    def __init__(self, s3: S3Client, bucket: str, load_id: str, piece: str) -> None:
        self._s3, self._bucket = s3, bucket
        self._prefix = f"{rejects_prefix(load_id)}{piece}-"
        self.url = rejects_url(bucket, load_id)

    def keep(self, chunk: Chunk, rejects: Sequence[RejectedRow]) -> None:
        """Store the rejected rows of a chunk, whose `row` counts in the chunk. Raises RejectsNotStored."""
        self._put(f"{chunk.first_row:09d}", chunk, rejects)

    def keep_refused(self, chunk: Chunk, last_row: int, rejects: Sequence[RejectedRow]) -> None:
        """Store as `keep` does what DynamoDB refused of a batch, of which `last_row` is that of no other.

        A piece that begins anew in another order has other batches, and may keep a refused row in two objects.
        """
        self._put(f"{chunk.first_row:09d}-{last_row:09d}-refused", chunk, rejects)

    def _put(self, name: str, chunk: Chunk, rejects: Sequence[RejectedRow]) -> None:
        rows = chunk.rows.take([reject.row for reject in rejects])
        columns = {name: _readable(rows.column(name)) for name in rows.schema.names}
        lines = [
            json.dumps(
                {
                    "file": chunk.key,
                    "file_row": chunk.file_row + reject.row,
                    "piece_row": chunk.first_row + reject.row,
                    "reason": reject.reason,
                    "detail": reject.detail,
                    "row": {name: values[position] for name, values in columns.items()},
                },
                ensure_ascii=False,
            )
            for position, reject in enumerate(rejects)
        ]
        with named_failures(RejectsNotStored):
            self._s3.put_object(
                Bucket=self._bucket,
                Key=f"{self._prefix}{name}.jsonl",
                # Inside a JSON string, the backslash's escape of a byte that is not UTF-8 is JSON's own.
                Body=("\n".join(lines) + "\n").encode("utf-8", "backslashreplace"),
            )


def _readable(column: pa.Array) -> list[Any]:
    """Return values that JSON can hold: bytes in base64; exact numbers, times, NaN and infinities as text.

    `corrected` reads them back, every value as it was.
    """
    column = plain_values(column)
    if pa.types.is_large_string(column.type):
        # Text that isn't UTF-8 may be why the row was rejected: byte FF becomes \udcff.
        values = column.cast(pa.large_binary()).to_pylist()
        return [value if value is None else value.decode("utf-8", "surrogateescape") for value in values]
    if pa.types.is_timestamp(column.type):
        # Without the zone, for which Arrow would need the system's database of zones; it is always UTC.
        column = column.view(pa.timestamp(column.type.unit))
    if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
        # Arrow writes the years that Python's dates can't hold, too.
        column = column.cast(pa.string())
    return [_json_value(value) for value in column.to_pylist()]


def _json_value(value: Any) -> Any:
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case float() if not math.isfinite(value):
            return str(value)
        case _:
            return value
