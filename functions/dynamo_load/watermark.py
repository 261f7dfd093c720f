"""Which rows of a piece are settled, when batches are written in any order."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynamo_load.ledger import Tally


@dataclass
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


class Watermark:
    """Counts the rows below the first one that isn't settled, so that nothing is counted that might be done again."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self._open: deque[Span] = deque()

    def expect(self, span: Span) -> None:
        """Add a span that follows the last one."""
        self._open.append(span)

    def settle(self, span: Span, write_units: float) -> None:
        """Count a span, and what writing it consumed, as soon as every span before it is settled."""
        span.settled = True
        span.write_units = write_units
        if span is not self._open[0]:
            return
        settled = []
        while self._open and self._open[0].settled:
            settled.append(self._open.popleft())
        tally = self.tally
        self.tally = replace(
            tally,
            next_row=settled[-1].end,
            written=tally.written + sum(span.written for span in settled),
            rejected=tally.rejected + sum(span.rejected for span in settled),
            superseded=tally.superseded + sum(span.superseded for span in settled),
            item_bytes=tally.item_bytes + sum(span.item_bytes for span in settled),
            write_units=tally.write_units + sum(span.write_units for span in settled),
        )
