"""One piece, from its checkpoint in the ledger to its end or the loader's deadline: where everything comes together."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dynamo_load.accounting.duplicates import superseded
from dynamo_load.accounting.watermark import Span, Watermark
from dynamo_load.encoding.items import ENCODER, ItemEncoder, key_json
from dynamo_load.encoding.row_faults import RejectedRow
from dynamo_load.errors import LoadHasFailed, PieceTakenOver, TooManyRejects
from dynamo_load.reading.piece_reader import PieceReader
from dynamo_load.reading.read_ahead import read_ahead
from dynamo_load.writing.batches import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from dynamo_load.accounting.ledger import PieceLedger, Tally
    from dynamo_load.accounting.rejects import RejectedRows
    from dynamo_load.comparing import BucketRefresh
    from dynamo_load.encoding.items import EncodedRows
    from dynamo_load.mapping import ItemMapping
    from dynamo_load.plan import Piece
    from dynamo_load.sampling import ItemSample
    from dynamo_load.writing.batches import Delivery
    from dynamo_load.writing.dry_run import DryRun
    from dynamo_load.writing.transport import BatchTransport
    from locks.table import TableLock

# BatchWriteItem takes 25 puts and 16 MB ("Constraints in Amazon DynamoDB"). Far fewer bytes, so that wide rows in
# flight don't fill the memory; an item that is larger goes alone.
_BATCH_ROWS = 25
_BATCH_BYTES = 1024 * 1024

_SECONDS_BETWEEN_RECORDS = 2.0


@dataclass(slots=True)
class PieceBatch(Batch):
    """A batch with the rows of the piece that are settled with it, and which of them its items are."""

    span: Span
    item_rows: list[int]
    """For each item its row in the chunk that begins with row `chunk_row` of the piece."""
    chunk_row: int


class PieceLoader:
    """Loads one piece; `rejects_allowed` is how many rejects end the load, `seconds_left` tells how long it has.

    With a `refresh`, the piece is a bucket of which only what has changed is written, and vanished keys are deleted if
    it says so. In the end the items of `sample` are read back.

    Raises what reading, encoding, comparing, sending, rejecting, reading back, the ledger and the lock raise, and
    TooManyRejects. It stops when another execution has the target table's `lock`, which it looks at with each
    checkpoint. Whatever happens, the ledger counts a row only after it was written, stored as rejected, found
    superseded or unchanged; what was done beyond the checkpoint is simply done again.
    """

    def __init__(
        self,
        *,
        s3: S3Client,
        bucket: str,
        mapping: ItemMapping,
        ledger: PieceLedger,
        lock: TableLock,
        rejects: RejectedRows,
        rejects_allowed: int,
        transport: BatchTransport[PieceBatch] | DryRun,
        seconds_left: Callable[[], float],
        refresh: BucketRefresh | None = None,
        sample: ItemSample | None = None,
    ) -> None:
        self._s3, self._bucket, self._mapping = s3, bucket, mapping
        self._ledger, self._lock, self._rejects, self._rejects_allowed = ledger, lock, rejects, rejects_allowed
        self._transport, self._seconds_left = transport, seconds_left
        self._refresh, self._sample = refresh, sample

    def load(self, piece: Piece) -> Tally:
        """Load a piece, or go on with it. Its totals are returned; one that isn't `finished` is handed over."""
        started = self._recorded = time.monotonic()
        before = self._ledger.take_over()
        before.encoder = before.encoder or ENCODER
        self._watermark = Watermark(before, lambda: time.monotonic() - started)
        try:
            if before.finished:
                return before
            self._lock.begin()
            self._open(piece, before.next_row)
            with closing(self._batches(piece, before.next_row)) as batches:
                self._transport.send(batches, self._on_done)
                # Before closing, which waits for the chunk that is being read and encoded.
                return self._end(piece, before)
        except (PieceTakenOver, LoadHasFailed):
            raise
        except Exception as failure:
            self._ledger.record_failure(failure)
            raise
        finally:
            self._ledger.leave()

    def _open(self, piece: Piece, next_row: int) -> None:
        """Read the keys of the rows from `next_row` on, of a bucket those of all rows: its record has to name them."""
        self._reader = PieceReader(self._s3, self._bucket, piece, self._mapping.short_columns)
        self._encoder = ItemEncoder(self._reader.schema, self._mapping) if piece.rows else None
        self._comparison = self._vanished = None
        self._start, self._replaced = 0, np.empty(0, np.bool_)
        if self._refresh:
            self._comparison = self._refresh.compare(self._reader, self._encoder)
            self._replaced = self._comparison.replaced
            self._vanished = self._comparison.vanished_keys() if self._refresh.deletes else None
            self._refresh.begin(self._comparison)
        elif self._encoder:
            # A sample is of all rows, whoever has written them.
            self._start = 0 if self._sample else self._reader.chunk_start(min(next_row, piece.rows - 1))
            keys = self._reader.columns(self._encoder.key_columns, self._start)
            self._replaced = superseded(self._encoder.keys(keys))
        # C's heap keeps for a thread what it has freed: all that the keys took, little of which is used again here.
        pa.default_memory_pool().release_unused()

    def _batches(self, piece: Piece, next_row: int) -> Generator[PieceBatch]:
        """Yield the rows from `next_row` on in batches, then the keys to delete, and settle what needs no request."""
        # A thread encodes the next chunk meanwhile: that takes longer than the requests in flight, which would all be
        # answered, and no more sent, until it is done.
        with closing(read_ahead(self._encoded_chunks())) as chunks:
            for chunk in chunks:
                if self._seconds_left() <= 0:
                    return
                yield from self._chunk_batches(chunk, max(next_row - chunk.first_row, 0))
                self._record_when_due()
        if self._vanished is not None:
            yield from self._deletions(self._vanished, piece.rows, max(next_row - piece.rows, 0))

    def _encoded_chunks(self) -> Iterator[_EncodedChunk]:
        """Yield whole chunks, also the one that a checkpoint lies in, so that their rejects are the same every time."""
        if self._encoder is None:
            return
        for chunk in self._reader.chunks(self._start):
            first = chunk.first_row - self._start
            replaced = self._replaced[first : first + len(chunk.rows)]
            items = self._encoder.encode(chunk.rows, replaced)
            if items.rejects:
                self._rejects.keep(chunk, items.rejects)
            if self._sample:
                self._sample.keep(chunk.first_row, items)
            units_saved = np.zeros(len(replaced), np.int64)
            if self._comparison:
                changed = self._comparison.changed(chunk.first_row, items)
                units_saved[items.rows[~changed]] = items.write_units[~changed]
                items = items.only(changed)
            yield _EncodedChunk(chunk.first_row, items, replaced, units_saved)

    def _chunk_batches(self, chunk: _EncodedChunk, first_row: int) -> Iterator[PieceBatch]:
        """Yield a chunk's rows from `first_row` on."""
        items, replaced, chunk_row = chunk.items, chunk.replaced, chunk.first_row
        rows = items.rows.tolist()
        offsets = items.offsets.tolist()
        units_before = [0, *np.cumsum(items.write_units).tolist()]
        rejected_before = _sums(_marked([reject.row for reject in items.rejects], len(replaced)))
        superseded_before = _sums(replaced)
        unchanged_before = _sums(chunk.units_saved > 0)
        units_saved_before = _sums(chunk.units_saved)
        begin = bisect_left(rows, first_row)
        while first_row < len(replaced):
            end = _batch_end(offsets, begin)
            # Up to the next item, so that the rows between that need no request are settled along with this one.
            next_row = rows[end] if end < len(rows) else len(replaced)
            span = Span(
                end=chunk_row + next_row,
                written=end - begin,
                unchanged=int(unchanged_before[next_row] - unchanged_before[first_row]),
                rejected=int(rejected_before[next_row] - rejected_before[first_row]),
                superseded=int(superseded_before[next_row] - superseded_before[first_row]),
                item_bytes=offsets[end] - offsets[begin],
                units_saved=int(units_saved_before[next_row] - units_saved_before[first_row]),
            )
            self._watermark.expect(span)
            if end > begin:
                # A copy: a view would keep the whole chunk for as long as this batch is sent again and again.
                body = bytes(items.text[offsets[begin] : offsets[end] - 1])
                yield PieceBatch(
                    body_items=body,
                    rows=end - begin,
                    write_units=units_before[end] - units_before[begin],
                    last_row=chunk_row + rows[end - 1],
                    deletes=False,
                    span=span,
                    item_rows=rows[begin:end],
                    chunk_row=chunk_row,
                )
            else:
                self._watermark.settle(span, write_units=0.0)
            begin, first_row = end, next_row

    def _deletions(self, keys: pa.ChunkedArray, rows: int, first: int) -> Iterator[PieceBatch]:
        """Yield requests to delete the keys from the one numbered `first` on; they count as rows behind the `rows`."""
        key = self._mapping.target.key
        for begin in range(first, len(keys), _BATCH_ROWS):
            texts = keys[begin : begin + _BATCH_ROWS].to_pylist()
            end = rows + begin + len(texts)
            span = Span(end=end, deleted=len(texts))
            self._watermark.expect(span)
            yield PieceBatch(
                body_items=b",".join(b'{"DeleteRequest":{"Key":%b}}' % key_json(text, key) for text in texts),
                rows=len(texts),
                write_units=len(texts),
                last_row=end - 1,
                deletes=True,
                span=span,
                item_rows=[],
                chunk_row=rows,
            )

    def _on_done(self, delivery: Delivery[PieceBatch]) -> None:
        span = delivery.batch.span
        if delivery.refused:
            self._keep_refused(delivery)
            span.reject(len(delivery.refused), sum(row.item_bytes for row in delivery.refused))
        self._watermark.settle(span, delivery.write_units)
        self._record_when_due()

    def _keep_refused(self, delivery: Delivery[PieceBatch]) -> None:
        """Store the rows that were refused, which are read again: hardly any are, and all would have to be kept."""
        batch = delivery.batch
        with closing(self._reader.chunks(batch.chunk_row)) as chunks:
            chunk = next(chunks)
        rejects = [
            RejectedRow(batch.item_rows[row.row], "refused_by_dynamodb", row.detail)
            for row in sorted(delivery.refused, key=lambda row: row.row)
        ]
        self._rejects.keep_refused(chunk, batch.last_row, rejects)
        refused = [batch.chunk_row + reject.row for reject in rejects]
        if self._comparison:
            self._comparison.refuse(refused)
        if self._sample:
            self._sample.drop(refused)

    def _end(self, piece: Piece, before: Tally) -> Tally:
        """Record what was reached; if that is the end, first what makes it one."""
        tally = self._watermark.tally
        deletions = 0 if self._vanished is None else len(self._vanished)
        if tally.next_row == piece.rows + deletions:
            if self._sample:
                self._sample.verify()
            if self._refresh and self._comparison:
                self._comparison.settled_before(
                    min(before.next_row, piece.rows), before.rejected, same_encoder=before.encoder == ENCODER
                )
                tally.recorded_keys = self._refresh.finish(self._comparison)
            tally.finished = True
        return self._record(tally)

    def _record_when_due(self) -> None:
        too_many = self._watermark.rejected > self._rejects_allowed
        if too_many or time.monotonic() - self._recorded >= _SECONDS_BETWEEN_RECORDS:
            self._record(self._watermark.tally)

    def _record(self, tally: Tally) -> Tally:
        self._recorded = time.monotonic()
        self._lock.check()
        self._ledger.record(tally)
        if tally.rejected > self._rejects_allowed:
            raise TooManyRejects(
                f"{tally.rejected:,} rows of one piece alone were rejected, {self._rejects_allowed:,} are allowed in "
                f"the whole load: see their reasons in {self._rejects.url}."
            )
        return tally


@dataclass(frozen=True)
class _EncodedChunk:
    """The items that have to be written of a chunk, which begins with row `first_row` of the piece.

    For each row, `replaced` tells whether a later one replaces it, `units_saved` what it costs if it is unchanged, else
    0. Row numbers of the items and their rejects are the chunk's.
    """

    first_row: int
    items: EncodedRows
    replaced: NDArray[np.bool_]
    units_saved: NDArray[np.int64]


def _batch_end(offsets: list[int], begin: int) -> int:
    """Return the item before which a batch that begins with item `begin` ends."""
    last = min(begin + _BATCH_ROWS, len(offsets) - 1)
    within = bisect_right(offsets, offsets[begin] + _BATCH_BYTES, begin, last + 1) - 1
    return min(last, max(within, begin + 1))


def _marked(rows: list[int], count: int) -> NDArray[np.bool_]:
    marks = np.zeros(count, dtype=np.bool_)
    marks[rows] = True
    return marks


def _sums(values: NDArray[np.int64] | NDArray[np.bool_]) -> list[int] | NDArray[np.int64]:
    """Return what the first 0, 1, 2 … of the values add up to; mostly that is nothing, of which a list is read fast."""
    if not values.any():
        return [0] * (len(values) + 1)
    return np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
