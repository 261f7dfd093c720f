"""Which rows of a piece are settled, when batches are written in any order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamo_load.accounting.ledger import Tally

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class Span:
    """Neighbouring rows of a piece up to row `end` (exclusive), settled together; most are one batch.

    `written` of them are to be written, the others are rejected or superseded.
    """

    end: int
    written: int
    rejected: int
    superseded: int
    item_bytes: int
    write_units: float = 0.0
    settled: bool = False

    def reject(self, rows: int, item_bytes: int) -> None:
        """Count some of the rows as rejected that were to be written, `item_bytes` together."""
        self.written -= rows
        self.rejected += rows
        self.item_bytes -= item_bytes


class Watermark:
    """Counts the rows below the first one that isn't settled, so that nothing is counted that might be done again."""

    def __init__(self, tally: Tally, seconds: Callable[[], float]) -> None:
        self._next_row, self._written = tally.next_row, tally.written
        self.rejected, self._superseded = tally.rejected, tally.superseded
        self._item_bytes, self._write_units = tally.item_bytes, tally.write_units
        self._seconds_before, self._seconds = tally.seconds, seconds
        self._open: deque[Span] = deque()

    @property
    def tally(self) -> Tally:
        """The rows counted, and the `seconds` so far."""
        return Tally(
            next_row=self._next_row,
            written=self._written,
            rejected=self.rejected,
            superseded=self._superseded,
            item_bytes=self._item_bytes,
            write_units=self._write_units,
            seconds=self._seconds_before + self._seconds(),
        )

    def expect(self, span: Span) -> None:
        """Add a span that follows the last one."""
        self._open.append(span)

    def settle(self, span: Span, write_units: float) -> None:
        """Count a span, and what writing it consumed, as soon as every span before it is settled."""
        span.settled = True
        span.write_units = write_units
        while self._open and self._open[0].settled:
            counted = self._open.popleft()
            self._next_row = counted.end
            self._written += counted.written
            self.rejected += counted.rejected
            self._superseded += counted.superseded
            self._item_bytes += counted.item_bytes
            self._write_units += counted.write_units
