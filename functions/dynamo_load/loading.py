"""One piece, from its checkpoint in the ledger to its end or the loader's deadline: where everything comes together."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dynamo_load.accounting.duplicates import superseded
from dynamo_load.accounting.watermark import Span, Watermark
from dynamo_load.encoding.items import ItemEncoder
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
    from dynamo_load.encoding.items import EncodedRows
    from dynamo_load.mapping import ItemMapping
    from dynamo_load.plan import Piece
    from dynamo_load.writing.batches import Delivery
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

    Raises what reading, encoding, sending, rejecting, the ledger and the lock raise, and TooManyRejects. It stops when
    another execution has the target table's `lock`, which it looks at with each checkpoint. Whatever happens, the
    ledger counts a row only after it was written, stored as rejected or found superseded; what was done beyond the
    checkpoint is simply done again.
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
        transport: BatchTransport[PieceBatch],
        seconds_left: Callable[[], float],
    ) -> None:
        self._s3, self._bucket, self._mapping = s3, bucket, mapping
        self._ledger, self._lock, self._rejects, self._rejects_allowed = ledger, lock, rejects, rejects_allowed
        self._transport, self._seconds_left = transport, seconds_left

    def load(self, piece: Piece) -> Tally:
        """Load a piece, or go on with it. Its totals are returned; `next_row` short of its rows hands it over."""
        started = self._recorded = time.monotonic()
        before = self._ledger.take_over()
        self._piece = piece
        self._watermark = Watermark(before, lambda: time.monotonic() - started)
        try:
            if before.finished:
                return before
            self._lock.begin()
            if not piece.rows:
                return self._record()
            self._reader = PieceReader(self._s3, self._bucket, piece)
            encoder = ItemEncoder(self._reader.schema, self._mapping)
            with closing(self._batches(self._reader, encoder, before.next_row)) as batches:
                self._transport.send(batches, self._on_done)
                # Before closing, which waits for the chunk that is being read and encoded.
                return self._record()
        except (PieceTakenOver, LoadHasFailed):
            raise
        except Exception as failure:
            self._ledger.record_failure(failure)
            raise
        finally:
            self._ledger.leave()

    def _batches(self, reader: PieceReader, encoder: ItemEncoder, next_row: int) -> Generator[PieceBatch]:
        """Yield the rows from `next_row` on in batches, and settle the chunks that have none to write."""
        start = reader.chunk_start(next_row)
        replaced = superseded(encoder.keys(reader.columns(encoder.key_columns, start)))
        # A thread encodes the next chunk meanwhile: that takes longer than the requests in flight, which would all be
        # answered, and no more sent, until it is done.
        with closing(read_ahead(self._encoded_chunks(reader, encoder, start, replaced))) as chunks:
            for chunk in chunks:
                if self._seconds_left() <= 0:
                    return
                yield from self._chunk_batches(chunk, max(next_row - chunk.first_row, 0))
                self._record_when_due()

    def _encoded_chunks(
        self, reader: PieceReader, encoder: ItemEncoder, start: int, replaced: NDArray[np.bool_]
    ) -> Iterator[_EncodedChunk]:
        """Yield the chunks from row `start` on, whole, so that their rejects are the same every time."""
        for chunk in reader.chunks(start):
            first = chunk.first_row - start
            replaced_here = replaced[first : first + len(chunk.rows)]
            items = encoder.encode(chunk.rows, replaced_here)
            if items.rejects:
                self._rejects.keep(chunk, items.rejects)
            yield _EncodedChunk(chunk.first_row, items, replaced_here)

    def _chunk_batches(self, chunk: _EncodedChunk, first_row: int) -> Iterator[PieceBatch]:
        """Yield a chunk's rows from `first_row` on."""
        items, replaced, chunk_row = chunk.items, chunk.replaced, chunk.first_row
        rows = items.rows.tolist()
        offsets = items.offsets.tolist()
        units_before = _sums(items.write_units)
        rejected_before = _sums(_marked([reject.row for reject in items.rejects], len(replaced)))
        superseded_before = _sums(replaced)
        begin = bisect_left(rows, first_row)
        while first_row < len(replaced):
            end = _batch_end(offsets, begin)
            # Up to the next item, so that the rows between that need no request are settled along with this one.
            next_row = rows[end] if end < len(rows) else len(replaced)
            span = Span(
                end=chunk_row + next_row,
                written=end - begin,
                rejected=rejected_before[next_row] - rejected_before[first_row],
                superseded=superseded_before[next_row] - superseded_before[first_row],
                item_bytes=offsets[end] - offsets[begin],
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
                    span=span,
                    item_rows=rows[begin:end],
                    chunk_row=chunk_row,
                )
            else:
                self._watermark.settle(span, write_units=0.0)
            begin, first_row = end, next_row

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

    def _record_when_due(self) -> None:
        too_many = self._watermark.rejected > self._rejects_allowed
        if too_many or time.monotonic() - self._recorded >= _SECONDS_BETWEEN_RECORDS:
            self._record()

    def _record(self) -> Tally:
        self._recorded = time.monotonic()
        tally = self._watermark.tally
        tally.finished = tally.next_row == self._piece.rows
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
    """The items of those rows of a chunk that no later row replaces; it begins with row `first_row` of the piece.

    `replaced` tells for each row whether it is replaced. Row numbers of the items and their rejects are the chunk's.
    """

    first_row: int
    items: EncodedRows
    replaced: NDArray[np.bool_]


def _batch_end(offsets: list[int], begin: int) -> int:
    """Return the item before which a batch that begins with item `begin` ends."""
    last = min(begin + _BATCH_ROWS, len(offsets) - 1)
    within = bisect_right(offsets, offsets[begin] + _BATCH_BYTES, begin, last + 1) - 1
    return min(last, max(within, begin + 1))


def _marked(rows: list[int], count: int) -> NDArray[np.bool_]:
    marks = np.zeros(count, dtype=np.bool_)
    marks[rows] = True
    return marks


def _sums(values: NDArray[np.int64] | NDArray[np.bool_]) -> list[int]:
    """Return what the first 0, 1, 2 … of the values add up to."""
    return [0, *np.cumsum(values, dtype=np.int64).tolist()]
