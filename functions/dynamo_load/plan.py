"""What a load has to do, as its functions hand it to each other: pieces, and the parts of files in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Slice:
    """Row groups of one file, in this order; None means all."""

    key: str
    row_groups: tuple[int, ...] | None
    rows: int


@dataclass(frozen=True)
class Piece:
    """One loader's share of a load. Its rows count from 0, in the order of the slices."""

    name: str
    rows: int
    slices: tuple[Slice, ...]

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Piece:
        """Read an item of the Distributed Map."""
        return cls(
            name=item["piece"],
            rows=item["rows"],
            slices=tuple(Slice(part["key"], _numbers(part["row_groups"]), part["rows"]) for part in item["slices"]),
        )


def _numbers(row_groups: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if row_groups is None else tuple(row_groups)
