"""The pieces of a load that took longest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.pipelines.report import words
from scripts.pipelines.report.curve import spark
from scripts.pipelines.wording import duration

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
    pieces, plan = load.pieces, load.plan
    told = f"{load.finished_pieces:,} of {plan.pieces:,} pieces loaded"
    if not pieces:
        return f"{told}."
    seconds = sorted(piece.tally.seconds for piece in pieces)
    median = seconds[len(seconds) // 2]
    return f"{told}; one took {duration(median)} in the middle, {duration(seconds[-1])} at most."


def _state(piece: PieceEntry) -> str:
    if piece.finished:
        return "loaded"
    at = f"at row {piece.tally.next_row:,}"
    if piece.failure:
        return f"failed {at}"
    return f"{'stopped' if piece.stopped else 'loading' if piece.busy_until else 'waiting'} {at}"
