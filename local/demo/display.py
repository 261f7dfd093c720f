"""What the demo shows: steps with their times, live in a terminal, as plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PLAIN_PROGRESS_SECONDS = 2.0


class Display:
    """Prints to standard output. Texts are shown as they are: no markup in them is interpreted."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the display was made."""
        return time.monotonic() - self._started

    def heading(self, text: str) -> None:
        """Begin a part of the demo."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def line(self, text: str, *, style: str = "") -> None:
        """Show one line below a heading."""
        self._console.print(Text(f"  {text}", style=style), soft_wrap=True)

    def note(self, text: str) -> None:
        """Show one line of lesser weight."""
        self.line(text, style="dim")

    def done(self, text: str) -> None:
        """Show that something is as it should be."""
        self._console.print(Text.assemble(("  ✓ ", "green"), text), soft_wrap=True)

    def failed(self, reason: str) -> None:
        """Show why the demo ends here."""
        self._console.print(Text.assemble(("  ✗ ", "bold red"), reason), soft_wrap=True)

    def panel(self, title: str, text: str) -> None:
        """Show a longer text, in a frame if this is a terminal."""
        if not self._console.is_terminal:
            self.line(title)
            for line in text.strip().splitlines():
                self.line(f"  {line}".rstrip())
            return
        self._console.print(Panel(Text(text.strip()), title=Text(title), title_align="left", padding=(0, 1)))

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show what is being done for as long as it takes, and the seconds it took.

        Yields a function that shows a line meanwhile.
        """
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(Text(what)):
                yield self.note
        else:
            self.line(f"{what} …")
            yield self.note
        self.done(f"{what} ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def loading(self) -> Iterator[RowProgress]:
        """Show how a load comes on: rows, rows per second, time to go, rejects."""
        if not self._console.is_terminal:
            yield RowProgress(_PlainBar(self))
            return
        columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn(), TextColumn("rows  {task.description}"))
        with Progress(*columns, console=self._console) as progress:
            yield RowProgress(_LiveBar(progress))


class RowProgress:
    """Turns counts of rows into what is shown of them."""

    def __init__(self, bar: _LiveBar | _PlainBar) -> None:
        self._bar = bar
        self._finished = False

    def update(self, settled: int, total: int, rejected: int, seconds: float) -> None:
        """Show that `settled` of `total` rows are dealt with after `seconds`, `rejected` of them refused."""
        if self._finished:
            return
        rate = settled / seconds if seconds else 0.0
        speed = f"{rate:,.0f} rows/s, {(total - settled) / rate:.0f} s to go" if rate else "starting"
        self._bar.show(settled, total, f"{speed}, {rejected:,} rejected")
        self._finished = settled == total


class _LiveBar:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=None, visible=False)

    def show(self, done: int, total: int, text: str) -> None:
        self._progress.update(self._task, completed=done, total=total, description=text, visible=True)


class _PlainBar:
    def __init__(self, display: Display) -> None:
        self._display = display
        self._shown = float("-inf")

    def show(self, done: int, total: int, text: str) -> None:
        now = time.monotonic()
        if done == total or now - self._shown >= PLAIN_PROGRESS_SECONDS:
            self._display.line(f"  {done:,} of {total:,} rows, {text}")
            self._shown = now
