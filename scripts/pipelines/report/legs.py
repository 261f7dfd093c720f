"""When the legs of a piece were."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.pipelines.report.drawing import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dynamo_load.accounting.course import Leg
    from dynamo_load.accounting.ledger import PieceEntry


def legs(piece: PieceEntry) -> Iterator[tuple[Leg, Span]]:
    """Yield the legs of a piece, and when they were."""
    at = piece.started_at
    for leg in piece.legs:
        yield leg, Span(at, at + leg.seconds)
        at += leg.seconds
