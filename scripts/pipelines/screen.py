"""What is shown: for people in colours and at the width of their terminal, as plain lines elsewhere, or as JSON."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType

# Where a word that is longer than a line, such as an ARN or a path, may be broken: behind one of the first, and only
# where that is not enough behind one of the second.
_JOINTS = (re.compile(r"(?<=[:/,|&=?;])"), re.compile(r"(?<=[_.-])"))
_NARROWEST = 12
# What a terminal would obey, or could not show: control characters, and halves of surrogate pairs.
_NOT_SHOWN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Screen:
    """Prints results to standard output and failures to standard error.

    Texts are shown as they are: no markup in them is interpreted. With `as_json`, nothing is printed but documents.
    """

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)
        self._errors = Console(highlight=False, soft_wrap=True, stderr=True)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it now."""
        return self._console.is_terminal and not self.as_json

    def line(self, text: str = "", *, style: str = "", indent: int = 0) -> None:
        """Show a text, its lines as they are; in a terminal, broken between words where they are too long for it."""
        if self.as_json:
            return
        for line in wrapped(text, self._room(indent)):
            self._console.print(Text(f"{' ' * indent}{line}", style=style))

    def hint(self, words: str, command: str, *, indent: int = 2) -> None:
        """Say what a person can do next, with the command on a line of its own, unbroken so that it can be copied."""
        self.line(f"{words}:", style="dim", indent=indent)
        if not self.as_json:
            self._console.print(Text(f"{' ' * indent}  {command}"))

    def done(self, text: str) -> None:
        """Show that something is as it should be."""
        self._marked("✓", "green", text)

    def failed(self, text: str) -> None:
        """Show that something is not as it should be."""
        self._marked("✗", "bold red", text)

    def refuse(self, text: str) -> None:
        """Say on standard error why a command ends here; also beside JSON."""
        for line in wrapped(text, self._errors.width if self._errors.is_terminal else None):
            self._errors.print(Text(line, style="bold red" if self._errors.is_terminal else ""))

    def document(self, document: Any) -> None:
        """Print a JSON document, in ASCII, which every terminal and pipe takes."""
        print(json.dumps(document, indent=2))

    def pairs(self, pairs: Sequence[tuple[str, str]], *, indent: int = 2) -> None:
        """Show names and their values below each other; what is empty is left out."""
        shown = [(name, value) for name, value in pairs if value]
        longest = max((len(name) for name, _ in shown), default=0)
        for name, value in shown:
            room = self._room(indent + longest + 2)
            first, *others = wrapped(value, room)
            self.line(f"{' ' * indent}{name:{longest}}  {first}")
            for other in others:
                self.line(f"{' ' * (indent + longest + 2)}{other}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
        """Show a table; the columns in `right` are aligned so. In a terminal the last one is broken if it must be."""
        widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
        before = sum(widths[:-1]) + 2 * (len(widths) - 1)
        for row in (columns, *rows):
            cells = [
                f"{cell:>{width}}" if column in right else f"{cell:{width}}"
                for cell, width, column in zip(row[:-1], widths, columns, strict=False)
            ]
            first, *others = wrapped(row[-1], self._room(before))
            self.line("  ".join([*cells, first]).rstrip(), style="bold" if row is columns else "")
            for other in others:
                self.line(f"{' ' * before}{other}")

    @contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Yield a function that shows something below all lines, in the place of what it showed before."""
        if not self.is_terminal:
            yield lambda _renderable: None
            return
        with Live(console=self._console, refresh_per_second=8, transient=True) as live:
            yield live.update

    def _marked(self, mark: str, style: str, text: str) -> None:
        if self.as_json:
            return
        first, *others = wrapped(text, self._room(2))
        self._console.print(Text.assemble((f"{mark} ", style), first))
        for other in others:
            self._console.print(Text(f"  {other}"))

    def _room(self, indent: int) -> int | None:
        return max(_NARROWEST, self._console.width - indent) if self.is_terminal else None


def wrapped(text: str, width: int | None) -> list[str]:
    """The lines of a text, those longer than `width` (None: no limit) broken between words, with their indentation.

    A word that is longer than a line is broken behind a colon, slash or the like, and within only if it has none. What
    a terminal would obey is shown as an escape: texts of rows and of Redshift may hold anything.
    """
    shown = _NOT_SHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text.replace("\r\n", "\n"))
    return [piece for line in shown.split("\n") for piece in (_broken(line, width) if width else [line])]


def _broken(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    blanks = line[: len(line) - len(line.lstrip(" "))]
    lines, current = [], blanks
    for word in line.split():
        glue = "" if current == blanks else " "
        if len(current) + len(glue) + len(word) <= width:
            current += glue + word
            continue
        if current != blanks:
            lines.append(current)
            current = blanks
        for part in _parts(word, width - len(blanks)):
            if len(current) + len(part) > width and current != blanks:
                lines.append(current)
                current = blanks
            current += part
    return [*lines, current]


def _parts(word: str, width: int) -> list[str]:
    """A word in parts that fit, of which several may go on a line."""
    parts = [word]
    for joints in _JOINTS:
        parts = [piece for part in parts for piece in (joints.split(part) if len(part) > width else [part])]
    return [part[start : start + width] for part in parts for start in range(0, len(part), width)]
