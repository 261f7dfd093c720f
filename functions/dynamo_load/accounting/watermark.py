"""Which rows of a piece are settled, when batches are written in any order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dynamo_load.accounting.ledger import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynamo_load.writing.batches import Throttling


@dataclass(slots=True)
class Span:
    """Neighbouring rows of a piece up to row `end` (exclusive), settled together; most are one batch.

    `written` of them are to be written and `deleted` keys to be deleted, the others need no request. `units_saved` is
    what writing the unchanged ones would cost.
    """

    end: int
    written: int = 0
    unchanged: int = 0
    rejected: int = 0
    superseded: int = 0
    deleted: int = 0
    item_bytes: int = 0
    units_saved: int = 0
    write_units: float = 0.0
    settled: bool = False

    def reject(self, rows: int, item_bytes: int) -> None:
        """Count some of the rows as rejected that were to be written, `item_bytes` together."""
        self.written -= rows
        self.rejected += rows
        self.item_bytes -= item_bytes


class Watermark:
    """Counts the rows below the first one that isn't settled, so that nothing is counted that might be done again."""

    def __init__(self, tally: Tally, seconds: Callable[[], float], throttling: Callable[[], Throttling]) -> None:
        self._tally, self._seconds, self._throttling = replace(tally), seconds, throttling
        self._open: deque[Span] = deque()

    @property
    def tally(self) -> Tally:
        """The rows counted, and the seconds and the throttling so far."""
        throttling = self._throttling()
        return replace(
            self._tally,
            seconds=self._tally.seconds + self._seconds(),
            rows_throttled=self._tally.rows_throttled + throttling.rows,
            throttled_seconds=self._tally.throttled_seconds + throttling.seconds,
        )

    @property
    def rejected(self) -> int:
        """The rejected rows counted."""
        return self._tally.rejected

    def expect(self, span: Span) -> None:
        """Add a span that follows the last one."""
        self._open.append(span)

    def settle(self, span: Span, write_units: float) -> None:
        """Count a span, and what writing it consumed, as soon as every span before it is settled."""
        span.settled = True
        span.write_units = write_units
        tally = self._tally
        while self._open and self._open[0].settled:
            counted = self._open.popleft()
            tally.next_row = counted.end
            tally.written += counted.written
            tally.unchanged += counted.unchanged
            tally.rejected += counted.rejected
            tally.superseded += counted.superseded
            tally.deleted += counted.deleted
            tally.item_bytes += counted.item_bytes
            tally.write_units += counted.write_units
            tally.units_saved += counted.units_saved
