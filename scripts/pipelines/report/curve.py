"""How fast a load went, from the legs that its pieces have kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.pipelines.report import words
from scripts.pipelines.report.drawing import Rates, TimeAxis, area, round_up
from scripts.pipelines.report.legs import legs
from scripts.pipelines.wording import duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from dynamo_load.accounting.ledger import PieceEntry
    from scripts.pipelines.report.drawing import Tick
    from scripts.pipelines.runs.model import Load

HEIGHT = 200
SPARK_HEIGHT = 40
_SPARK_COLUMNS = 40
_MOST_COLUMNS = 160
# Loaders note how far they are every two seconds.
_LEAST_COLUMN_SECONDS = 2.0
# A limit that is further above the curve would press it flat.
_MOST_OF_PEAK = 2.0


@dataclass(frozen=True)
class Curve:
    """Rows per second over the time of the loaders, and rows sent in vain above them; `limit` is a height, or None."""

    ticks: Sequence[Tick]
    most: str
    half: str
    settled: str
    in_vain: str
    limit: int | None
    limit_label: str
    told: str


def curve(load: Load, now: datetime | None) -> Curve | None:
    """The curve of a load from its first loader's start to its last one's end, or to `now`; None without any leg."""
    if not any(piece.legs for piece in load.pieces):
        return None
    begin = min(piece.started_at for piece in load.pieces)
    end = now.timestamp() if now else max(piece.updated_at for piece in load.pieces)
    axis = TimeAxis(begin, end)
    settled, in_vain = _rates(load.pieces, axis, _MOST_COLUMNS)
    peak = max(map(sum, zip(settled.per_second, in_vain.per_second, strict=True)))
    limit = _limit(load)
    if limit and limit.rows_per_second > _MOST_OF_PEAK * peak:
        limit = None
    most = round_up(max(peak, limit.rows_per_second if limit else 0.0))
    throttled = load.total.rows_throttled
    return Curve(
        ticks=axis.ticks(),
        most=words.short(most),
        half=words.short(most / 2),
        settled=area(settled.per_second, most, HEIGHT),
        in_vain=area(in_vain.per_second, most, HEIGHT, above=settled.per_second) if throttled else "",
        limit=round(HEIGHT * (1 - limit.rows_per_second / most)) if limit else None,
        limit_label=limit.label if limit else "",
        told=_told(load, settled),
    )


def spark(piece: PieceEntry) -> str:
    """The course of one piece, as high as its best moment; empty if it has no legs."""
    if not piece.legs:
        return ""
    axis = TimeAxis(piece.started_at, piece.started_at + sum(leg.seconds for leg in piece.legs))
    settled, _ = _rates([piece], axis, _SPARK_COLUMNS)
    return area(settled.per_second, max(settled.per_second), SPARK_HEIGHT)


def _rates(pieces: Sequence[PieceEntry], axis: TimeAxis, most_columns: int) -> tuple[Rates, Rates]:
    """The rows that were settled, and those that were sent in vain."""
    columns = max(1, min(most_columns, int(axis.seconds / _LEAST_COLUMN_SECONDS)))
    settled, in_vain = Rates(axis, columns), Rates(axis, columns)
    for piece in pieces:
        for leg, span in legs(piece):
            settled.add(span, leg.rows)
            in_vain.add(span, leg.throttled)
    return settled, in_vain


def _told(load: Load, settled: Rates) -> str:
    total = load.total
    vain = (
        f"{words.count(total.rows_throttled)} times a row was sent in vain as the table throttled, for "
        f"{duration(total.throttled_seconds)}, all loaders together."
        if total.rows_throttled
        else "The table never throttled."
    )
    return (
        f"At most {words.count(max(settled.per_second))} rows per second were settled, in the mean of "
        f"{duration(settled.column_seconds)}. {vain}"
    )


@dataclass(frozen=True)
class _Limit:
    """How many rows a second the load may write, and by which limit."""

    rows_per_second: float
    label: str


def _limit(load: Load) -> _Limit | None:
    """The limit on the load's write units, where there is one, by what its rows have taken of them so far.

    Rows that are left alone take none, so there is no such number where there are some.
    """
    total, capacity = load.total, load.plan.mapping.target.capacity
    units = load.plan.limits.write_budget(capacity)
    label = "write budget"
    if not units:
        units, label = capacity.limit or 0, "the capacity of the table"
    if not units or not total.write_units or total.unchanged:
        return None
    return _Limit(units * total.written / total.write_units, f"{label}, {units:,} write units per second")
