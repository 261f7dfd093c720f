"""How rows become items of the target table, beyond their columns' own types."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from target.table import TargetTable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ItemMapping:
    """What the rows of a load are made to fit.

    The rows need a column for every attribute of the target's key, and for its TTL attribute. Of the columns,
    `super_columns` hold JSON text, `char_columns` are padded with blanks, and `attributes` names those that shall not
    have their own names in the items; `hash_column`, if there is one, holds the hash of the row's key and becomes none.
    """

    target: TargetTable
    super_columns: tuple[str, ...] = ()
    char_columns: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    hash_column: str | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(
            target=TargetTable.from_json(document["target"]),
            super_columns=tuple(document["super_columns"]),
            char_columns=tuple(document["char_columns"]),
            attributes=document["attributes"],
            hash_column=document["hash_column"],
        )
