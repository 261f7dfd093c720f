"""What the demo shows: steps with their times, live in a terminal, as plain lines elsewhere."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PLAIN_PROGRESS_SECONDS = 2.0
# Of a mail, so that what led to it stays to be seen in a terminal of 24 lines.
_PANEL_LINES = 8
_INDENT = "  "


class Display:
    """Prints to standard output. Texts are shown as they are: no markup in them is interpreted.

    In a terminal, lines that are too long go on below, indented; elsewhere each stays one line.
    """

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
        """Show one line below a heading; it goes on below where its own indentation ends."""
        unindented = text.lstrip()
        self._show(_INDENT + text[: len(text) - len(unindented)], unindented, style=style)

    def note(self, text: str) -> None:
        """Show one line of lesser weight."""
        self.line(text, style="dim")

    def done(self, text: str) -> None:
        """Show that something is as it should be."""
        self._show("  ✓ ", text, mark_style="green")

    def failed(self, reason: str) -> None:
        """Show why the demo ends here."""
        self._show("  ✗ ", reason, mark_style="bold red")

    def panel(self, title: str, text: str) -> None:
        """Show a longer text: in a terminal the beginning of it in a frame, elsewhere all of it."""
        lines = [line.rstrip() for line in text.strip().splitlines()]
        if not self._console.is_terminal:
            self.line(title)
            for line in lines:
                self.line(f"  {line}".rstrip())
            return
        shown = [part for line in lines if line for part in wrapped(line, self._console.width - 4)]
        if (left_out := len(shown) - _PANEL_LINES) > 1:
            shown = [*shown[:_PANEL_LINES], f"… {left_out} more lines"]
        self._console.print(Panel(Text("\n".join(shown)), title=Text(title), title_align="left", padding=(0, 1)))

    def beside(self, titles: tuple[str, str], rows: Sequence[tuple[str, str, str]]) -> None:
        """Show names with two values each, side by side; what is too wide for a terminal is cut off."""
        table = [("", *titles), *rows]
        widths = [max(cell_len(row[column]) for row in table) for column in (0, 1)]
        if self._console.is_terminal:
            widths[1] = min(widths[1], (self._console.width - widths[0] - 6) // 2)
        for name, left, right in table:
            cells = [set_cell_size(name, widths[0]), _cut(left, widths[1]), right]
            text = _INDENT + "  ".join(cells)
            if self._console.is_terminal:
                text = _cut(text, self._console.width - 1)
            self._console.print(Text(text.rstrip(), style="" if name else "dim"), soft_wrap=True)

    def _show(self, mark: str, text: str, *, style: str = "", mark_style: str = "") -> None:
        width = self._console.width - cell_len(mark) if self._console.is_terminal else None
        first, *others = wrapped(text, width) if width else [text]
        self._console.print(Text.assemble((mark, mark_style or style), (first, style)), soft_wrap=True)
        for other in others:
            self._console.print(Text(" " * cell_len(mark) + other, style=style), soft_wrap=True)

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


def wrapped(text: str, width: int) -> list[str]:
    """Break a text into lines of at most so many columns.

    It is broken at blanks; a word that is longer than a line behind punctuation, as an ARN, a path or JSON has it; and
    what is longer still wherever the line ends.
    """
    lines = [""]
    for word in re.findall(r"\s*\S+", text):
        parts = [word]
        if cell_len(word.strip()) > width:
            behind_punctuation = re.findall(r"[^,:/|;&]*[,:/|;&]+|[^,:/|;&]+", word)
            parts = [piece for part in behind_punctuation for piece in chop_cells(part, width)]
        for part in parts:
            if lines[-1] and cell_len(lines[-1] + part) > width:
                lines.append("")
            lines[-1] += part if lines[-1] else part.lstrip()
    return lines


def _cut(text: str, width: int) -> str:
    """Return a text in exactly so many columns, with "…" for what is cut off."""
    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"
