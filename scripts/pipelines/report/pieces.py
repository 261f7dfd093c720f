"""The pieces of a load that took longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.pipelines.report import words
from scripts.pipelines.report.curve import spark
from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from dynamo_load.accounting.ledger import PieceEntry
    from scripts.pipelines.runs.model import Load

_MOST = 10


@dataclass(frozen=True)
class PieceRow:
    """One of the slowest pieces."""

    name: str
    state: str
    rows: str
    took: str
    per_second: str
    in_vain: str
    spark: str


def slowest(load: Load) -> list[PieceRow]:
    """The pieces at which loaders were longest, that one first."""
    longest = sorted(load.pieces, key=lambda piece: piece.tally.seconds, reverse=True)[:_MOST]
    return [
        PieceRow(
            name=piece.piece,
            state=_state(piece),
            rows=words.count(piece.rows),
            took=duration(piece.tally.seconds),
            per_second=words.count(piece.tally.next_row / piece.tally.seconds) if piece.tally.seconds else "none",
            in_vain=words.count(piece.tally.rows_throttled),
            spark=spark(piece),
        )
        for piece in longest
    ]


def told(load: Load) -> str:
    """How many pieces there are, and how long they took."""
    pieces = f"{load.finished_pieces:,} of {count(load.plan.pieces, 'piece')} loaded"
    seconds = sorted(piece.tally.seconds for piece in load.pieces if piece.finished)
    if not seconds:
        return f"{pieces}."
    if len(seconds) == 1:
        return f"{pieces}, in {duration(seconds[0])}."
    middle, longest = duration(seconds[len(seconds) // 2]), duration(seconds[-1])
    return f"{pieces}: half of these took no more than {middle} each, the slowest {longest}."


def _state(piece: PieceEntry) -> str:
    if piece.finished:
        return "loaded"
    at = f"at row {piece.tally.next_row:,}"
    if piece.failure:
        return f"failed {at}"
    return f"{'stopped' if piece.stopped else 'loading' if piece.busy_until else 'waiting'} {at}"
