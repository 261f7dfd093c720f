"""Watching a run until it ends: its states, its statement, its rows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from errors import TransientError
from scripts.pipelines.progress import Pace, doing, is_loading, rows_worded
from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from dynamo_load.accounting.ledger import PieceEntry
    from scripts.pipelines.context import Context
    from scripts.pipelines.runs.model import Run, Stage, Summary

_SHOWN_KINDS = frozenset({"Task", "Map", "Wait"})
# A log should say that all is well, and not fill.
_SECONDS_BETWEEN_LINES = 10.0
_MOST_FAILURES = 10


class StoppedWatching(Exception):
    """Ctrl-C came; the run goes on."""


def watch(context: Context, summary: Summary, every_seconds: float) -> Run:
    """Show how a run comes on until it has ended; return it then. Raises StoppedWatching at Ctrl-C.

    A look that fails is made again, `_MOST_FAILURES` times in a row at most; then what the reader raises is raised.
    """
    try:
        with context.screen.live() as show:
            view = _View(context, show)
            failures = 0
            while True:
                try:
                    run = context.reader.read(summary)
                except TransientError as error:
                    failures += 1
                    if failures == _MOST_FAILURES:
                        raise
                    view.fail(str(error))
                else:
                    failures = 0
                    view.update(run)
                    if not run.is_running:
                        return run
                time.sleep(every_seconds)
    except KeyboardInterrupt:
        raise StoppedWatching from None


class _View:
    """Lines for what is done, and below them, or every few seconds, what is being done."""

    def __init__(self, context: Context, show: Callable[[RenderableType], None]) -> None:
        self._screen, self._show = context.screen, show
        self._done, self._said, self._said_at, self._pace = 0, "", float("-inf"), Pace()
        self._pieces: tuple[PieceEntry, ...] = ()
        self._spinner = Spinner("dots")

    def update(self, run: Run) -> None:
        while self._done < len(run.stages) and run.stages[self._done].left_at:
            self._tell(run.stages[self._done])
            self._done += 1
        if not run.is_running:
            self._show(Text())
        elif is_loading(run) and run.load:
            if run.load.pieces is not self._pieces:
                self._pieces = run.load.pieces
                self._pace.note(time.monotonic(), run.load.total.rows)
            done, rows, words = run.load.total.rows, run.load.plan.rows, rows_worded(run.load, self._pace)
            self._say(f"{done:,} of {rows:,} rows, {words}", changed=False)
            self._spinner.update(text="")
            bar = Table.grid(padding=(0, 1))
            bar.add_row(self._spinner, ProgressBar(rows, done, width=30), f"{done:,} of {rows:,} rows")
            self._show(Group(bar, Text(f"  {words}", style="dim")))
        else:
            words = doing(run)
            self._say(words, changed=words != self._said)
            self._said = words
            waited = duration(run.stages[-1].seconds()) if run.stages else ""
            self._spinner.update(text=Text(f"{words}, {waited}" if waited else words))
            self._show(self._spinner)

    def fail(self, why: str) -> None:
        """Tell that it could not be seen how the run comes on; it goes on all the same."""
        self._screen.line(f"  … could not look, and looks again: {why}")

    def _tell(self, stage: Stage) -> None:
        if stage.kind in _SHOWN_KINDS:
            retried = f", failed {count(len(stage.failures), 'time')}" if stage.failures else ""
            self._screen.line(f"  {stage.name} ({duration(stage.seconds())}{retried})")

    def _say(self, words: str, *, changed: bool) -> None:
        """In a log, whatever is new, and that all goes on."""
        now = time.monotonic()
        if not self._screen.is_terminal and (changed or now - self._said_at >= _SECONDS_BETWEEN_LINES):
            self._screen.line(f"  … {words}")
            self._said_at = now
