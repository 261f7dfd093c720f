"""What ran when: a row for each state, and the pieces of a load in lanes."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from scripts.pipelines.report.drawing import Lane, Span, lanes
from scripts.pipelines.report.legs import legs
from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from datetime import datetime

    from scripts.pipelines.report.drawing import TimeAxis
    from scripts.pipelines.runs.model import Load, Run, Stage

BAR_HEIGHT = 10
_MOST_LANES = 120
_LEAST_LANE, _MOST_LANE = 2, 14
_LANES_HEIGHT = 260
# States that do something. Of these, one that took less than such a share of the run is worth no row unless it failed.
_AT_WORK = frozenset({"Task", "Map", "Wait"})
_LEAST_SHARE = 0.004


@dataclass(frozen=True)
class StateRow:
    """A state in the timeline, with all its visits."""

    name: str
    bars: str
    failed: bool
    took: str
    note: str


@dataclass(frozen=True)
class Loaders:
    """The loaders in the timeline: a bar for each piece, in as few lanes as there were loaders at once.

    `throttled` is when a piece's rows were sent in vain, `told` says in words what is drawn.
    """

    height: int
    working: str
    throttled: str
    failed: str
    told: str


def states(run: Run, axis: TimeAxis, looked_at: datetime) -> tuple[list[StateRow], str]:
    """A row for each state, and a sentence about those that are not worth one."""
    visits: dict[str, list[Stage]] = {}
    for stage in run.stages:
        if stage.kind in _AT_WORK:
            visits.setdefault(stage.name, []).append(stage)
    rows, left_out = [], []
    for name, of_state in visits.items():
        seconds = sum(stage.seconds(looked_at) for stage in of_state)
        failures = [failure for stage in of_state for failure in stage.failures]
        is_now = of_state[-1].left_at is None
        if seconds < _LEAST_SHARE * axis.seconds and not failures and not is_now:
            left_out.append(name)
            continue
        notes = [f"{len(of_state)} times"] if len(of_state) > 1 else []
        if failures:
            # Of attempts that were retried, the last one may have ended well.
            names = ", ".join(dict.fromkeys(failure.error for failure in failures))
            notes.append(f"{len(failures)} failed: {names}")
        spans = [Span(stage.entered_at.timestamp(), (stage.left_at or looked_at).timestamp()) for stage in of_state]
        failed = bool(of_state[-1].failures) and not run.succeeded
        rows.append(StateRow(name, axis.bars(spans, BAR_HEIGHT), failed, duration(seconds), "; ".join(notes)))
    told = f"Not shown, as they took next to no time: {', '.join(left_out)}." if left_out else ""
    return rows, told


def loaders(load: Load, axis: TimeAxis) -> Loaders:
    """The pieces that were begun, each from its begin to what was noted of it last."""
    spans = [Span(piece.started_at, piece.updated_at) for piece in load.pieces]
    found = lanes(spans)
    shown = found[:_MOST_LANES]
    height = max(_LEAST_LANE, min(_MOST_LANE, _LANES_HEIGHT // len(shown)))
    drawn: dict[str, list[str]] = {"working": [], "throttled": [], "failed": []}
    for top, members in zip(range(0, height * len(shown), height), shown, strict=True):
        pieces, in_vain = Lane(axis), Lane(axis)
        for member in members:
            piece = load.pieces[member]
            pieces.fill(spans[member], "failed" if piece.failure else "working")
            for leg, span in legs(piece):
                if leg.throttled:
                    in_vain.fill(span, "throttled")
        bar = height - height // 4
        for kind in ("working", "failed"):
            drawn[kind].append(pieces.bars(kind, top, bar))
        # Along the lower edge, so that the piece can be seen as well.
        drawn["throttled"].append(in_vain.bars("throttled", top + bar - (strip := ceil(bar / 3)), strip))
    few = f"; the first {_MOST_LANES} of them are drawn" if len(found) > _MOST_LANES else ""
    return Loaders(
        height=len(shown) * height,
        working="".join(drawn["working"]),
        throttled="".join(drawn["throttled"]),
        failed="".join(drawn["failed"]),
        told=f"{len(load.pieces):,} of {count(load.plan.pieces, 'piece')} begun, {len(found):,} at once at most{few}",
    )
