"""How a run comes on: what it does now, how fast its rows go, and when they will be through."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from scripts.pipelines.runs.model import Load, Run

# Long enough to even out checkpoints, which a loader makes about every two seconds, short enough to see a throttle.
_SECONDS_LOOKED_BACK = 20.0
_LOADING = "Load Pieces"


class Pace:
    """Rows per second over the last `_SECONDS_LOOKED_BACK`."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int]] = deque()

    def note(self, seconds: float, rows: int) -> None:
        """Note how many rows were settled at that moment."""
        self._looks.append((seconds, rows))
        while len(self._looks) > 2 and seconds - self._looks[1][0] >= _SECONDS_LOOKED_BACK:  # noqa: PLR2004 - a span
            self._looks.popleft()

    @property
    def rows_per_second(self) -> float:
        """0 until two looks differ."""
        if not self._looks:
            return 0.0
        (first, before), (last, now) = self._looks[0], self._looks[-1]
        return (now - before) / (last - first) if last > first else 0.0


def doing(run: Run) -> str:
    """What the run does now, in a few words: its state, and what Redshift says of the statement."""
    stage = run.stage
    if stage is None:
        return "starting"
    words = [stage.name]
    current = run.statements[-1] if run.statements else None
    if current and stage.name in {"Run Stored Procedure", "Count Rows", "Unload Redshift Table"}:
        words.append(f"statement {'is being cancelled' if current.is_stopping else current.status}")
    if stage.failures:
        last = stage.failures[-1]
        words.append(f"attempt {len(stage.failures) + 1} after {last.error}")
    return ", ".join(words)


def is_loading(run: Run) -> bool:
    """Whether loaders are at work, so that rows can be counted."""
    return run.load is not None and run.stage is not None and run.stage.name == _LOADING


def rows_worded(load: Load, pace: Pace) -> str:
    """How fast a load is, what it was throttled, what it rejected, and when it will be through."""
    total, rate = load.total, pace.rows_per_second
    words = [f"{rate:,.0f} rows/s" if rate else "starting"]
    if rate and total.rows < load.plan.rows:
        words.append(f"{duration((load.plan.rows - total.rows) / rate)} to go")
    if total.rows_throttled:
        words.append(f"throttled {duration(total.throttled_seconds)} ({count(total.rows_throttled, 'row')} sent again)")
    words.append(f"{total.rejected:,} rejected")
    failing = sum(piece.failure is not None for piece in load.pieces)
    if failing:
        words.append(f"{count(failing, 'piece')} failing")
    return ", ".join(words)
