"""What the demo shows: steps with their times, live in a terminal, as plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.panel import Panel
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
