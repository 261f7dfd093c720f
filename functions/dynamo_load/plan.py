"""What a load has to do, as its functions hand it to each other through the state machine.

The plan goes to every loader, its pieces one to each; `dataclasses.asdict` makes JSON of them, `from_json` reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dynamo_load.mapping import ItemMapping

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class LoadLimits:
    """The limits of one load.

    `max_write_units_per_second` is the budget that all loaders share (0: none), `loader_concurrency` how many loaders
    run at once, `rejects_allowed` how many rejected rows the load survives.
    """

    max_write_units_per_second: int
    loader_concurrency: int
    rejects_allowed: int


@dataclass(frozen=True)
class LoadPlan:
    """What every loader is told; its size does not grow with the rows.

    `load_id` names the load in the ledger and in the data bucket `bucket`, where the Distributed Map reads
    `pieces_key`; `pieces`, `files`, `rows` and `bytes` are totals.
    """

    load_id: str
    bucket: str
    pieces_key: str
    pieces: int
    files: int
    rows: int
    bytes: int
    mapping: ItemMapping
    limits: LoadLimits

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a plan."""
        typed = {
            "mapping": ItemMapping.from_json(document["mapping"]),
            "limits": LoadLimits(**document["limits"]),
        }
        return cls(**{**document, **typed})


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
    def from_json(cls, item: Mapping[str, Any]) -> Self:
        """Read an item of the Distributed Map."""
        return cls(
            name=item["name"],
            rows=item["rows"],
            slices=tuple(
                Slice(part["key"], None if part["row_groups"] is None else tuple(part["row_groups"]), part["rows"])
                for part in item["slices"]
            ),
        )
