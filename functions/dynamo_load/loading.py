"""One piece, from its checkpoint in the ledger to its end or the loader's deadline: where everything comes together."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from dynamo_load.accounting.duplicates import superseded
from dynamo_load.accounting.ledger import Tally
from dynamo_load.accounting.watermark import Span, Watermark
from dynamo_load.encoding.items import ENCODER, ItemEncoder, key_json
from dynamo_load.encoding.row_faults import RejectedRow
from dynamo_load.errors import LoadHasFailed, PieceTakenOver, TooManyRejects
from dynamo_load.ordering import ORDER, WINDOW_BYTES, Rounds, Stretch, is_of_rounds
from dynamo_load.reading.piece_reader import PieceReader
from dynamo_load.reading.read_ahead import read_ahead
from dynamo_load.writing.batches import MOST_BYTES, MOST_ROWS, Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from dynamo_load.accounting.ledger import PieceLedger
    from dynamo_load.accounting.rejects import RejectedRows
    from dynamo_load.comparing import BucketRefresh
    from dynamo_load.mapping import ItemMapping
    from dynamo_load.plan import Piece
    from dynamo_load.sampling import ItemSample
    from dynamo_load.writing.batches import Delivery
    from dynamo_load.writing.dry_run import DryRun
    from dynamo_load.writing.transport import BatchTransport
    from locks.table import TableLock

_SECONDS_BETWEEN_RECORDS = 2.0


@dataclass(slots=True)
class PieceBatch(Batch):
    """A batch with the rows of the piece that are settled with it, and which of them its items are."""

    span: Span
    item_rows: list[int]
    """For each item its row, counted from row `first_row` of the piece."""
    first_row: int


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
        self._settled: list[NDArray[np.int64]] = []
        try:
            if before.finished:
                return before
            self._lock.begin()
            self._open(piece)
            before.encoder = before.encoder or self._order
            if before.encoder != self._order and (self._rounds or is_of_rounds(before.encoder)):
                # The places of then are not those of today.
                before = Tally(
                    encoder=self._order,
                    seconds=before.seconds,
                    rows_throttled=before.rows_throttled,
                    throttled_seconds=before.throttled_seconds,
                )
            self._read_keys(piece, before.next_row)
            self._watermark = Watermark(before, lambda: time.monotonic() - started, lambda: self._transport.throttling)
            with closing(self._batches(piece, before.next_row)) as batches:
                self._transport.send(batches, self._on_done, self._record_when_due)
                # Before closing, which waits for the rows that are being read and encoded.
                return self._end(piece, before)
        except (PieceTakenOver, LoadHasFailed):
            raise
        except Exception as failure:
            self._ledger.record_failure(failure)
            raise
        finally:
            self._ledger.leave()

    def _open(self, piece: Piece) -> None:
        """Open the files, and find the order in which their rows are written."""
        self._reader = PieceReader(self._s3, self._bucket, piece, self._mapping.short_columns)
        self._encoder = ItemEncoder(self._reader.schema, self._mapping) if piece.rows else None
        self._rounds = Rounds.needed(self._reader, self._encoder) if self._encoder else None
        self._order = ORDER if self._rounds else ENCODER

    def _read_keys(self, piece: Piece, next_row: int) -> None:
        """Read the keys of the rows from `next_row` on, of a bucket those of all rows: its record has to name them."""
        self._comparison = self._vanished = None
        self._start, self._replaced = 0, np.empty(0, np.bool_)
        if self._refresh:
            self._comparison = self._refresh.compare(self._reader, self._encoder)
            self._replaced = self._comparison.replaced
            self._vanished = self._comparison.vanished_keys() if self._refresh.deletes else None
            self._refresh.begin(self._comparison)
        elif self._encoder:
            # A sample is of all rows, whoever has written them; and what stands in a round depends on the rows before.
            whole = self._sample or self._rounds
            self._start = 0 if whole else self._reader.chunk_start(min(next_row, piece.rows - 1))
            keys = self._reader.columns(self._encoder.key_columns, self._start)
            self._replaced = superseded(self._encoder.keys(keys))
        # C's heap keeps for a thread what it has freed: all that the keys took, little of which is used again here.
        pa.default_memory_pool().release_unused()

    def _batches(self, piece: Piece, next_row: int) -> Generator[PieceBatch]:
        """Yield the rows from `next_row` on in batches, then the keys to delete, and settle what needs no request."""
        # A thread encodes the next chunk meanwhile: that takes longer than the requests in flight, which would all be
        # answered, and no more sent, until it is done.
        with closing(read_ahead(self._stretches())) as stretches:
            for stretch in stretches:
                if self._seconds_left() <= 0:
                    return
                if self._comparison:
                    self._settled.append(stretch.rows_before(next_row))
                yield from self._stretch_batches(stretch, max(next_row - stretch.first_row, 0))
                self._record_when_due()
        if self._vanished is not None:
            yield from self._deletions(self._vanished, piece.rows, max(next_row - piece.rows, 0))

    def _stretches(self) -> Iterator[Stretch]:
        """Yield chunks, or as many together as can be put into rounds, whole ones also where a checkpoint lies in one.

        So the rejects of a chunk are the same every time.
        """
        if self._rounds is None:
            yield from (stretch for stretch, _ in self._encoded_chunks())
            return
        waiting: list[Stretch] = []
        size = 0
        for stretch, encoded_bytes in self._encoded_chunks():
            waiting.append(stretch)
            size += encoded_bytes
            if size >= WINDOW_BYTES:
                yield self._rounds.order(waiting)
                size = 0
        if waiting:
            yield self._rounds.order(waiting)

    def _encoded_chunks(self) -> Iterator[tuple[Stretch, int]]:
        """Yield each chunk, and how many bytes all its rows come to as requests, unchanged ones included."""
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
            encoded_bytes, units_saved = len(items.text), np.zeros(len(replaced), np.int64)
            if self._comparison:
                changed = self._comparison.changed(chunk.first_row, items)
                units_saved[items.rows[~changed]] = items.write_units[~changed]
                items = items.only(changed)
            yield Stretch(chunk.first_row, items, replaced, units_saved), encoded_bytes

    def _stretch_batches(self, stretch: Stretch, first: int) -> Iterator[PieceBatch]:
        """Yield a stretch's rows from its place `first` on."""
        items, replaced = stretch.items, stretch.replaced
        places, rows = items.rows.tolist(), stretch.item_rows()
        offsets = items.offsets.tolist()
        units_before = [0, *np.cumsum(items.write_units).tolist()]
        rejected_before = _sums(_marked([reject.row for reject in items.rejects], len(replaced)))
        superseded_before = _sums(replaced)
        unchanged_before = _sums(stretch.units_saved > 0)
        units_saved_before = _sums(stretch.units_saved)
        begin = bisect_left(places, first)
        while first < len(replaced):
            end = _batch_end(offsets, begin)
            # Up to the next item, so that the rows between that need no request are settled along with this one.
            following = places[end] if end < len(places) else len(replaced)
            span = Span(
                end=stretch.first_row + following,
                written=end - begin,
                unchanged=int(unchanged_before[following] - unchanged_before[first]),
                rejected=int(rejected_before[following] - rejected_before[first]),
                superseded=int(superseded_before[following] - superseded_before[first]),
                item_bytes=offsets[end] - offsets[begin],
                units_saved=int(units_saved_before[following] - units_saved_before[first]),
            )
            self._watermark.expect(span)
            if end > begin:
                # A copy: a view would keep the whole stretch for as long as this batch is sent again and again.
                body = bytes(items.text[offsets[begin] : offsets[end] - 1])
                yield PieceBatch(
                    body_items=body,
                    rows=end - begin,
                    write_units=units_before[end] - units_before[begin],
                    last_row=stretch.first_row + places[end - 1],
                    deletes=False,
                    few_keys=places[begin] >= stretch.few_keys_from,
                    span=span,
                    item_rows=rows[begin:end],
                    first_row=stretch.first_row,
                )
            else:
                self._watermark.settle(span, write_units=0.0)
            begin, first = end, following

    def _deletions(self, keys: pa.ChunkedArray, rows: int, first: int) -> Iterator[PieceBatch]:
        """Yield requests to delete the keys from the one numbered `first` on; they count as rows behind the `rows`."""
        key = self._mapping.target.key
        for begin in range(first, len(keys), MOST_ROWS):
            texts = keys[begin : begin + MOST_ROWS].to_pylist()
            end = rows + begin + len(texts)
            span = Span(end=end, deleted=len(texts))
            self._watermark.expect(span)
            yield PieceBatch(
                body_items=b",".join(b'{"DeleteRequest":{"Key":%b}}' % key_json(text, key) for text in texts),
                rows=len(texts),
                write_units=len(texts),
                last_row=end - 1,
                deletes=True,
                few_keys=False,
                span=span,
                item_rows=[],
                first_row=rows,
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
        refused = sorted((batch.first_row + batch.item_rows[row.row], row.detail) for row in delivery.refused)
        for start, of_chunk in groupby(refused, lambda row: self._reader.chunk_start(row[0])):
            self._keep_refused_of_chunk(start, list(of_chunk), batch.last_row)
        rows = [row for row, _ in refused]
        if self._comparison:
            self._comparison.refuse(rows)
        if self._sample:
            self._sample.drop(rows)

    def _keep_refused_of_chunk(self, start: int, refused: list[tuple[int, str]], last_row: int) -> None:
        with closing(self._reader.chunks(start)) as chunks:
            # A chunk that would be very large is read in parts.
            for chunk in chunks:
                rejects = [
                    RejectedRow(row - chunk.first_row, "refused_by_dynamodb", detail)
                    for row, detail in refused
                    if 0 <= row - chunk.first_row < len(chunk.rows)
                ]
                if rejects:
                    self._rejects.keep_refused(chunk, last_row, rejects)
                if refused[-1][0] < chunk.first_row + len(chunk.rows):
                    return

    def _end(self, piece: Piece, before: Tally) -> Tally:
        """Record what was reached; if that is the end, first what makes it one."""
        tally = self._watermark.tally
        deletions = 0 if self._vanished is None else len(self._vanished)
        if tally.next_row == piece.rows + deletions:
            if self._sample:
                self._sample.verify()
            if self._refresh and self._comparison:
                self._comparison.settled(
                    np.concatenate([np.empty(0, np.int64), *self._settled]),
                    before.rejected,
                    same_encoder=before.encoder == self._order,
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
                f"rejected: {tally.rejected:,} of the rows of one piece alone, allowed in the whole load: "
                f"{self._rejects_allowed:,}. See the reasons in {self._rejects.url}."
            )
        return tally


def _batch_end(offsets: list[int], begin: int) -> int:
    """Return the item before which a batch that begins with item `begin` ends."""
    last = min(begin + MOST_ROWS, len(offsets) - 1)
    within = bisect_right(offsets, offsets[begin] + MOST_BYTES, begin, last + 1) - 1
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
