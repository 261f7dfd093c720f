"""What a load need not write: the rows of a piece beside what the target is known to hold of their keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from dynamo_load.accounting.duplicates import superseded
from dynamo_load.accounting.vanishing import Compared
from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.errors import CorruptParquetFile
from dynamo_load.reading.piece_reader import PieceReader
from records.bucket_record import BucketRecord, Records, no_digests

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from dynamo_load.encoding.items import EncodedRows
    from dynamo_load.plan import LoadPlan, Piece


@dataclass(frozen=True)
class RowKeys:
    """Each row's key: its text (null if it can be none), its hash, and whether a later row has the same."""

    texts: pa.ChunkedArray
    hashes: NDArray[np.int32]
    replaced: NDArray[np.bool_]

    @classmethod
    def none(cls) -> RowKeys:
        """Those of no rows."""
        return cls(pa.chunked_array([], pa.large_binary()), np.empty(0, np.int32), np.empty(0, np.bool_))

    @classmethod
    def read(cls, reader: PieceReader, encoder: ItemEncoder, hash_column: str) -> RowKeys:
        """Read them from the key columns and the column of hashes alone. Raises as the reader does."""
        texts, hashes = [], []
        for rows in reader.columns([*encoder.key_columns, hash_column], 0):
            texts.append(encoder.key_texts(rows))
            hashes.append(rows.column(hash_column).to_numpy())
        keys = pa.chunked_array(texts, pa.large_binary())
        return cls(keys, np.concatenate(hashes), superseded(pa.table({"key": keys})))

    def noted(self, digests: NDArray[np.uint64], rows: NDArray[np.bool_]) -> BucketRecord:
        """Make a record of some of the rows, given the digests of all."""
        return BucketRecord(self.texts, self.hashes, digests).where(rows)


class Comparison:
    """The rows of a bucket beside what is known of it; what is learnt of the rows makes its new record.

    `known_keys` is how many keys the target is known to hold, or may hold; `replaced` whether a later row has a row's
    key. If the digests don't hold, only keys are known.
    """

    def __init__(self, keys: RowKeys, known: BucketRecord, *, digests_hold: bool) -> None:
        self._keys, self.replaced, self.known_keys = keys, keys.replaced, len(known.keys)
        self._place = pc.index_in(keys.texts, known.keys).fill_null(-1).to_numpy()
        self._known_digests = known.digests if digests_hold else no_digests(self.known_keys)
        has_vanished = np.ones(self.known_keys, np.bool_)
        has_vanished[self._place[self._place >= 0]] = False
        # Of the others, which are nearly all, the rows have the texts.
        self._vanished = replace(known, digests=self._known_digests).where(has_vanished)
        self._digests = no_digests(len(keys.replaced))
        self._accepted = np.zeros(len(keys.replaced), np.bool_)

    def vanished_keys(self) -> pa.ChunkedArray:
        """Return, in their order, the keys that are known, and of no row; that of a rejected row is not one of them."""
        keys = self._vanished.keys
        return keys.take(pc.sort_indices(keys))

    def intended(self) -> BucketRecord:
        """What a load that has only begun leaves: it may have written any row."""
        keys = self._keys
        return keys.noted(no_digests(len(keys.replaced)), ~keys.replaced & keys.texts.is_valid().to_numpy())

    def changed(self, first_row: int, items: EncodedRows) -> NDArray[np.bool_]:
        """Return for each item of the chunk that begins with row `first_row` whether it has to be written."""
        rows = items.rows + first_row
        digests = _digests(items)
        self._digests[rows], self._accepted[rows] = digests, True
        if not self.known_keys:
            return np.ones(len(rows), np.bool_)
        place = self._place[rows]
        known = self._known_digests[place]
        # Half by half, many times faster than to ask NumPy for any of two; zeros, which are unknown, differ from all.
        differs = (known[:, 0] != digests[:, 0]) | (known[:, 1] != digests[:, 1])
        return np.asarray((place < 0) | differs)

    def refuse(self, rows: list[int]) -> None:
        """Take note of rows that DynamoDB has refused: an earlier attempt may have written them."""
        self._digests[rows] = 0

    def settled(self, rows: NDArray[np.int64], rejected: int, *, same_encoder: bool) -> None:
        """Take account of the rows before a checkpoint, which were written by another loader, `rejected` ones apart.

        What it wrote is known if it encoded as this one does, and DynamoDB has refused none of its rows.
        """
        rejected_here = ~self._accepted[rows] & ~self.replaced[rows]
        if not same_encoder or rejected > rejected_here.sum():
            self._digests[rows] = 0

    def record(self, *, deleted: bool) -> BucketRecord:
        """What the target holds when all is done, without the vanished keys if they are `deleted`.

        What is known of a rejected row's key, or of one that no row has, stays known.
        """
        stays_known = ~self._accepted & ~self.replaced & (self._place >= 0)
        self._digests[stays_known] = self._known_digests[self._place[stays_known]]
        of_rows = self._keys.noted(self._digests, self._accepted | stays_known)
        return of_rows if deleted else of_rows.and_also(self._vanished)


class BucketRefresh:
    """How the bucket that is a piece of a load is refreshed. Raises what `PieceReader` and `Records` raise.

    `deletes` says whether the vanished keys are deleted.
    """

    def __init__(self, s3: S3Client, plan: LoadPlan, piece: Piece) -> None:
        if plan.refresh is None or plan.mapping.hash_column is None or piece.bucket is None:
            raise ValueError(f"piece {piece.name} of load {plan.load_id} is not a bucket.")
        target = plan.mapping.target
        self._records = Records(s3, plan.bucket, target.name, target.made)
        self._plan, self._refresh, self._number = plan, plan.refresh, piece.bucket
        self._hash_column = plan.mapping.hash_column
        self.deletes = plan.refresh.deletes

    def compare(self, reader: PieceReader, encoder: ItemEncoder | None) -> Comparison:
        """Read the keys of the rows, and what is known of them; without rows there is no encoder."""
        keys = RowKeys.none() if encoder is None else RowKeys.read(reader, encoder, self._hash_column)
        if (keys.hashes & (self._refresh.buckets - 1) != self._number).any():
            raise CorruptParquetFile(
                f"bucket {self._number} of load {self._plan.load_id} has rows of another one: unload again."
            )
        known = self._records.known(self._refresh.current, self._refresh.begun, self._number, self._refresh.buckets)
        # What reading has freed is as much as looking the keys up will take.
        pa.default_memory_pool().release_unused()
        return Comparison(keys, known, digests_hold=self._refresh.digests_hold)

    def begin(self, comparison: Comparison) -> None:
        """Note, before anything is written, what may be; a dry run notes nothing."""
        if not self._plan.dry_run:
            self._records.begin(self._plan.load_id, self._number, comparison.intended())

    def finish(self, comparison: Comparison) -> int:
        """Note what the target holds when all is written, and return how many keys these are."""
        record = comparison.record(deleted=self.deletes)
        if not self._plan.dry_run:
            self._records.finish(self._plan.load_id, self._number, record)
        return len(record.keys)


def count_vanished(s3: S3Client, plan: LoadPlan, piece: Piece) -> Compared:
    """Count the keys of a piece that would be deleted, from keys alone. Raises what reading and encoding raise."""
    reader = PieceReader(s3, plan.bucket, piece, plan.mapping.short_columns)
    encoder = ItemEncoder(reader.schema, plan.mapping) if piece.rows else None
    comparison = BucketRefresh(s3, plan, piece).compare(reader, encoder)
    return Compared(comparison.known_keys, len(comparison.vanished_keys()))


def _digests(items: EncodedRows) -> NDArray[np.uint64]:
    """Return the XXH3 hash of each item's text: two rows that differ have it in common once in 2^128 times.

    It is not one that withstands a forger. Who can forge rows can write what he likes to the target anyway.
    """
    text, offsets = items.text, items.offsets.tolist()
    digests = [xxhash.xxh3_128_digest(text[begin:end]) for begin, end in pairwise(offsets)]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)
