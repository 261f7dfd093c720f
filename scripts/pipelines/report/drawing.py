"""Bars and curves over the time of a run, as paths of SVG: 1,000 units wide whatever the time, as high as they say.

They are stretched to the width that the page has; so nothing in them is text.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDTH = 1_000
_LEAST_BAR = 3
_TICKS = 6
_STEPS = tuple(
    [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30]
    + [60 * step for step in (1, 2, 5, 10, 15, 30)]
    + [3_600 * step for step in (1, 2, 3, 6, 12)]
    + [86_400 * step for step in (1, 2, 7)]
)


@dataclass(frozen=True)
class Span:
    """From when to when something lasted, in epoch seconds."""

    begin: float
    end: float


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, at `place` of its 1,000 units."""

    place: int
    label: str


@dataclass(frozen=True)
class TimeAxis:
    """The time that a page shows, in epoch seconds."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is; never nothing."""
        return max(self.end - self.begin, 0.1)

    def place(self, at: float) -> float:
        """Where a moment is on the axis; one before or behind it is at its end."""
        return min(max((at - self.begin) / self.seconds, 0.0), 1.0) * WIDTH

    def ticks(self) -> list[Tick]:
        """Round numbers of seconds (or parts of one), minutes, hours or days since the beginning, some six at most."""
        step = next((step for step in _STEPS if self.seconds / step <= _TICKS), _STEPS[-1])
        return [
            Tick(round(self.place(self.begin + number * step)), _elapsed(number * step, step))
            for number in range(int(self.seconds / step) + 1)
        ]

    def bars(self, spans: Iterable[Span], height: int) -> str:
        """A bar for each span, none so short that it could not be seen."""
        return "".join(
            _bar(left, max(_LEAST_BAR, round(self.place(span.end)) - left), 0, height)
            for span in spans
            for left in [min(round(self.place(span.begin)), WIDTH - _LEAST_BAR)]
        )


def _elapsed(at: float, step: float) -> str:
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if step % unit == 0:
            return f"{at / unit:g} {name}" if at else "0"
    return f"{at:g} s" if at else "0"


def _bar(left: int, width: int, top: int, height: int) -> str:
    return f"M{left} {top}h{width}v{height}h-{width}z"


def lanes(spans: Sequence[Span]) -> list[list[int]]:
    """Put spans, by their places in the list, into as few lanes as let none overlap another."""
    found: list[list[int]] = []
    ends: list[float] = []
    for number in sorted(range(len(spans)), key=lambda number: spans[number].begin):
        free = next((lane for lane, end in enumerate(ends) if end <= spans[number].begin), len(ends))
        if free == len(ends):
            found.append([])
            ends.append(0.0)
        found[free].append(number)
        ends[free] = spans[number].end
    return found


class Lane:
    """A row of cells, 1,000 over the axis, each of one kind at most; so a lane stays small whatever it shows."""

    def __init__(self, axis: TimeAxis) -> None:
        self._axis = axis
        self._cells = [""] * WIDTH

    def fill(self, span: Span, kind: str) -> None:
        """Give the cells of a span, one at least, a kind; what follows at once is a cell apart if there is room."""
        left = min(floor(self._axis.place(span.begin)), WIDTH - 1)
        right = max(left + 1, ceil(self._axis.place(span.end)) - 1)
        self._cells[left:right] = [kind] * (right - left)

    def bars(self, kind: str, top: int, height: int) -> str:
        """The cells of a kind."""
        drawn, at = [], 0
        for found, cells in groupby(self._cells):
            width = len(list(cells))
            if found == kind:
                drawn.append(_bar(at, width, top, height))
            at += width
        return "".join(drawn)


class Rates:
    """Amounts per second over an axis, each the mean of as many seconds as a column is wide."""

    def __init__(self, axis: TimeAxis, columns: int) -> None:
        self._axis = axis
        self.column_seconds = axis.seconds / columns
        self.per_second = [0.0] * columns

    def add(self, span: Span, amount: float) -> None:
        """Spread an amount evenly over a span; one without length is all in its column."""
        first, last = self._column(span.begin), self._column(span.end)
        if first == last:
            self.per_second[first] += amount / self.column_seconds
            return
        for column in range(first, last + 1):
            begin = self._axis.begin + column * self.column_seconds
            inside = min(span.end, begin + self.column_seconds) - max(span.begin, begin)
            self.per_second[column] += amount * inside / (span.end - span.begin) / self.column_seconds

    def _column(self, at: float) -> int:
        return min(max(floor((at - self._axis.begin) / self.column_seconds), 0), len(self.per_second) - 1)


def area(values: Sequence[float], most: float, height: int, above: Sequence[float] | None = None) -> str:
    """The area under a curve of steps, up to `most` high; or between it and the curve that it stands `above`."""
    below = above or [0.0] * len(values)
    tops = [(low + value) for low, value in zip(below, values, strict=True)]
    places = [round(column * WIDTH / len(values)) for column in range(len(values) + 1)]

    def level(value: float) -> int:
        return round(height * (1 - min(value / most, 1.0))) if most else height

    there = "".join(f"V{level(top)}H{place}" for top, place in zip(tops, places[1:], strict=True))
    back = "".join(f"V{level(low)}H{place}" for low, place in zip(reversed(below), reversed(places[:-1]), strict=True))
    return f"M0 {level(below[0])}{there}{back}z"


def round_up(number: float) -> float:
    """The next number that reads well at the end of an axis: 1, 2, 2.5 or 5 and zeros."""
    if number <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(number))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if number <= power * step * (1 + 1e-9))
