"""The course of a piece: how fast its rows were settled, and when its table throttled, in a few numbers.

It is for people who look at a load, while it runs or afterwards; nothing is decided by it.
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_LEGS = 24
"""With so many the entry of a piece stays within 1 KB, so that a checkpoint still costs one write unit."""


@dataclass(frozen=True, slots=True)
class Leg:
    """`seconds` of a piece in which `rows` were settled, and rows were sent in vain `throttled` times.

    `rows` counts keys to delete, too, and rows that had to be settled once more.
    """

    seconds: float
    rows: int
    throttled: int

    def joined(self, following: Leg) -> Leg:
        """This leg and the one behind it as one."""
        return Leg(
            round(self.seconds + following.seconds, 1),
            self.rows + following.rows,
            self.throttled + following.throttled,
        )


class Course:
    """The legs of a piece since `started_at` (epoch seconds), of all its loaders, one behind the other.

    When there are too many, the two neighbours that last the shortest together become one: all stay about equally long.
    """

    def __init__(self, started_at: float, legs: tuple[Leg, ...], next_row: int, rows_throttled: int) -> None:
        self.legs = list(legs)
        self._started_at = started_at
        # Before there were legs, all that was done becomes the first of them.
        self._next_row, self._rows_throttled = (next_row, rows_throttled) if legs else (0, 0)

    def reach(self, now: float, next_row: int, rows_throttled: int) -> None:
        """Add what was done until `now` (epoch seconds)."""
        seconds = round(max(0.0, now - self._started_at - sum(leg.seconds for leg in self.legs)), 1)
        # A piece that is begun anew, in another order, settles rows for the second time.
        rows = next_row - self._next_row if next_row >= self._next_row else next_row
        leg = Leg(seconds, rows, max(0, rows_throttled - self._rows_throttled))
        self._next_row, self._rows_throttled = next_row, rows_throttled
        if leg == Leg(0.0, 0, 0):
            return
        self.legs.append(leg)
        if len(self.legs) > MOST_LEGS:
            shortest = min(range(MOST_LEGS), key=lambda at: self.legs[at].seconds + self.legs[at + 1].seconds)
            self.legs[shortest : shortest + 2] = [self.legs[shortest].joined(self.legs[shortest + 1])]

    @property
    def text(self) -> str:
        """The legs as the ledger keeps them; `legs_of` reads it."""
        return ";".join(f"{leg.seconds:.1f} {leg.rows} {leg.throttled}" for leg in self.legs)


def legs_of(text: str) -> tuple[Leg, ...]:
    """Read what `Course.text` wrote."""
    parts = [leg.split(" ") for leg in text.split(";") if leg]
    return tuple(Leg(float(seconds), int(rows), int(throttled)) for seconds, rows, throttled in parts)
