"""The records: for each key of a bucket, what its item is known to be. Parquet in S3."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from aws_errors import named_failures
from data_bucket import record_key
from records.errors import RecordUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from records.table_state import Generation

DIGEST_BYTES = 16
_FORMAT = b"1"
_SCHEMA = pa.schema(
    [
        pa.field("key", pa.large_binary(), nullable=False),
        pa.field("hash", pa.int32(), nullable=False),
        pa.field("digest", pa.binary(DIGEST_BYTES), nullable=False),
    ],
    metadata={"format": _FORMAT},
)


@dataclass(frozen=True)
class BucketRecord:
    """Keys, each once: the encoder's text of it, its hash, and the digest of the item.

    `keys` are of the type `large_binary`, `digests` has two halves of 64 bits for each key. A digest of zeros says that
    there may be an item, whose contents are not known.
    """

    keys: pa.ChunkedArray
    hashes: NDArray[np.int32]
    digests: NDArray[np.uint64]

    @classmethod
    def empty(cls) -> Self:
        """Nothing is known."""
        return cls(pa.chunked_array([], pa.large_binary()), np.empty(0, np.int32), no_digests(0))

    def and_also(self, other: BucketRecord) -> Self:
        """These keys, and others that are none of them."""
        return type(self)(
            pa.chunked_array([*self.keys.chunks, *other.keys.chunks], pa.large_binary()),
            np.concatenate([self.hashes, other.hashes]),
            np.concatenate([self.digests, other.digests]),
        )

    def where(self, wanted: NDArray[np.bool_]) -> Self:
        """The keys that are wanted."""
        if wanted.all():
            return self
        return type(self)(self.keys.filter(pa.array(wanted)), self.hashes[wanted], self.digests[wanted])


def no_digests(count: int) -> NDArray[np.uint64]:
    """So many digests of items whose contents are not known."""
    return np.zeros((count, 2), np.uint64)


@dataclass(frozen=True)
class _Part:
    """What one object says of those keys whose hash is `number` but for a multiple of `buckets`."""

    number: int
    buckets: int
    record: BucketRecord


class Records:
    """The records of the table that was made at `made`, in the data bucket `bucket`.

    Every call raises AwsUnavailable and AwsRefused.
    """

    def __init__(self, s3: S3Client, bucket: str, table: str, made: str) -> None:
        self._s3, self._bucket, self._table, self._made = s3, bucket, table, made

    def begin(self, load_id: str, number: int, intended: BucketRecord) -> None:
        """Store what a load may leave of the bucket `number`, in the place of the empty object that says "not begun".

        Only in its place: what a loader before this one has stored says the same, or more.
        """
        key = self._key(load_id, number)
        with named_failures():
            try:
                stored = self._s3.head_object(Bucket=self._bucket, Key=key)
                if stored["ContentLength"]:
                    return
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=_parquet(intended), IfMatch=stored["ETag"])
            except ClientError as error:
                match error.response["Error"]["Code"]:
                    case "PreconditionFailed":
                        return
                    case "404" | "NoSuchKey":
                        raise self._unreadable(key, "is missing") from error
                raise

    def finish(self, load_id: str, number: int, record: BucketRecord) -> None:
        """Store what a load has left of the bucket `number`."""
        with named_failures():
            self._s3.put_object(Bucket=self._bucket, Key=self._key(load_id, number), Body=_parquet(record))

    def known(self, current: Generation | None, begun: Sequence[Generation], number: int, buckets: int) -> BucketRecord:
        """Return all that the table may hold of bucket `number` of `buckets`.

        A key has a digest only if all agree on it: the current record and that of each load which has begun to change
        the key's bucket hold the key, with this very digest. Raises RecordUnreadable if a record is missing, damaged,
        or of a newer version.
        """
        parts = list(self._parts(current, begun, number, buckets))
        if not parts:
            return BucketRecord.empty()
        if len(parts) == 1:
            return parts[0].record
        together = reduce(BucketRecord.and_also, (part.record for part in parts))
        keys = pa.chunked_array([together.keys.unique()])
        hashes = together.hashes[pc.index_in(keys, together.keys).to_numpy()]
        return BucketRecord(keys, hashes, _agreed(keys, hashes, parts))

    def _parts(
        self, current: Generation | None, begun: Sequence[Generation], number: int, buckets: int
    ) -> Iterator[_Part]:
        """Yield what each object with keys of the bucket says of them, but for loads that have not begun with it."""
        for generation in [current, *begun] if current else begun:
            # A load of fewer buckets has all keys in one, together with others'; one of more has them in several.
            for part in range(number % generation.buckets, generation.buckets, buckets):
                record = self._read(generation.load_id, part)
                if record is not None:
                    yield _Part(part, generation.buckets, record.where(record.hashes & (buckets - 1) == number))
                elif generation is current:
                    raise self._unreadable(self._key(generation.load_id, part), "is empty")

    def _read(self, load_id: str, number: int) -> BucketRecord | None:
        """Return one object; None if the load has not begun to change the bucket."""
        key = self._key(load_id, number)
        with named_failures():
            try:
                stored = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
            except self._s3.exceptions.NoSuchKey as error:
                raise self._unreadable(key, "is missing") from error
        if not stored:
            return None
        try:
            table = pq.read_table(pa.BufferReader(stored), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(key, f"is damaged ({error})") from error
        if not table.schema.equals(_SCHEMA, check_metadata=False) or table.schema.metadata != _SCHEMA.metadata:
            raise self._unreadable(key, "is not of a format that this version knows")
        if not table.num_rows:
            return BucketRecord.empty()
        keys, (hashes, digests) = table.column(0), (column.combine_chunks() for column in table.columns[1:])
        halves = np.frombuffer(digests.buffers()[1], np.uint64, 2 * len(digests), digests.offset * DIGEST_BYTES)
        return BucketRecord(keys, hashes.to_numpy(), halves.reshape(-1, 2))

    def _key(self, load_id: str, number: int) -> str:
        return record_key(self._table, self._made, load_id, number)

    def _unreadable(self, key: str, what: str) -> RecordUnreadable:
        return RecordUnreadable(
            'give "full": true (with "mode": "changes" or "mirror"), which writes all rows and notes them anew: '
            f"s3://{self._bucket}/{key}, which says what table {self._table} holds, {what}."
        )


def _parquet(record: BucketRecord) -> BinaryIO:
    halves = pa.py_buffer(np.ascontiguousarray(record.digests))
    digests = pa.Array.from_buffers(pa.binary(DIGEST_BYTES), len(record.keys), [None, halves])
    file = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([record.keys, pa.array(record.hashes), digests], schema=_SCHEMA),
        file,
        # Neither hashes nor digests can be compressed, and no two keys are the same.
        compression={"key": "zstd", "hash": "none", "digest": "none"},
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    file.seek(0)
    return file


def _agreed(keys: pa.ChunkedArray, hashes: NDArray[np.int32], parts: Sequence[_Part]) -> NDArray[np.uint64]:
    """Return the digests that all parts which could hold a key have for it."""
    agreed = no_digests(len(keys))
    is_first = np.ones(len(keys), np.bool_)
    for part in parts:
        place = pc.index_in(keys, part.record.keys).fill_null(-1).to_numpy()
        digests = no_digests(len(keys))
        digests[place >= 0] = part.record.digests[place[place >= 0]]
        concerned = hashes & (part.buckets - 1) == part.number
        agrees = is_first | (digests == agreed).all(axis=1)
        agreed[concerned] = np.where(agrees[:, None], digests, 0)[concerned]
        is_first &= ~concerned
    return agreed
