"""Rows count as settled only up to the first that isn't; what loaders before did is added to."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dynamo_load.accounting.ledger import Tally
from dynamo_load.accounting.watermark import Span, Watermark
from dynamo_load.writing.batches import Throttling

BEFORE = Tally(
    next_row=12,
    written=4,
    unchanged=3,
    rejected=2,
    superseded=1,
    deleted=2,
    item_bytes=400,
    write_units=5.5,
    units_saved=4,
    seconds=100.0,
    rows_throttled=11,
    throttled_seconds=2.0,
)


@st.composite
def _spans(draw: st.DrawFn) -> tuple[list[Span], list[int]]:
    """Neighbouring spans after the rows that are done, and an order in which they are settled."""
    counts = draw(st.lists(st.tuples(*[st.integers(0, 3)] * 5), min_size=1, max_size=8))
    row, spans = BEFORE.next_row, []
    for written, unchanged, rejected, superseded, deleted in counts:
        row += written + unchanged + rejected + superseded + deleted
        spans.append(
            Span(
                row,
                written=written,
                unchanged=unchanged,
                rejected=rejected,
                superseded=superseded,
                deleted=deleted,
                item_bytes=100 * written,
                units_saved=2 * unchanged,
            )
        )
    return spans, draw(st.permutations(range(len(spans))))


@given(_spans())
def test_spans_count_in_their_order_whatever_the_order_they_are_settled_in(drawn: tuple[list[Span], list[int]]) -> None:
    spans, order = drawn
    watermark = Watermark(BEFORE, lambda: 0.0, Throttling)
    for span in spans:
        watermark.expect(span)
    settled: set[int] = set()
    for number in order:
        settled.add(number)
        watermark.settle(spans[number], write_units=0.5)
        done = next((n for n in range(len(spans)) if n not in settled), len(spans))
        assert watermark.tally == replace(
            BEFORE,
            next_row=spans[done - 1].end if done else BEFORE.next_row,
            written=BEFORE.written + sum(span.written for span in spans[:done]),
            unchanged=BEFORE.unchanged + sum(span.unchanged for span in spans[:done]),
            rejected=BEFORE.rejected + sum(span.rejected for span in spans[:done]),
            superseded=BEFORE.superseded + sum(span.superseded for span in spans[:done]),
            deleted=BEFORE.deleted + sum(span.deleted for span in spans[:done]),
            units_saved=BEFORE.units_saved + sum(span.units_saved for span in spans[:done]),
            item_bytes=BEFORE.item_bytes + sum(span.item_bytes for span in spans[:done]),
            write_units=BEFORE.write_units + 0.5 * done,
        )
        assert watermark.tally.next_row == watermark.tally.rows + watermark.tally.deleted


def test_seconds_and_throttled_rows_of_a_piece_are_those_of_all_its_loaders() -> None:
    tally = Watermark(BEFORE, lambda: 3.5, lambda: Throttling(7, 0.5)).tally
    assert (tally.seconds, tally.rows_throttled, tally.throttled_seconds) == (103.5, 18, 2.5)
