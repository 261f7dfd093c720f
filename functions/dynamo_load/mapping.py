"""How rows become items of the target table, beyond their columns' own types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from target.table import TargetTable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ItemMapping:
    """What the rows of a load are made to fit.

    The rows need a column for every attribute of the target's key, and for its TTL attribute. `super_columns` hold
    JSON text.
    """

    target: TargetTable
    super_columns: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(TargetTable.from_json(document["target"]), tuple(document["super_columns"]))
