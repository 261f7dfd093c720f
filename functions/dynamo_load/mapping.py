"""What a load's rows are to become: items of which table, and what the types of their columns don't say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from target.table import TargetTable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class ItemMapping:
    """The table that rows are loaded into, and what is to be known of their columns.

    `super_columns` are the columns of JSON text, `char_columns` those whose text is padded with blanks, and
    `short_columns` those whose text is known to be so short that memory need not be spared in reading it. `attributes`
    gives columns the name of an attribute, where it is not to be their own; `encoding.columns` says how the rest is
    named, and which columns the target asks for. `hash_column`, if there is one, holds the hash of the row's key and
    becomes no attribute.
    """

    target: TargetTable
    super_columns: tuple[str, ...] = ()
    char_columns: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    hash_column: str | None = None
    short_columns: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(
            target=TargetTable.from_json(document["target"]),
            super_columns=tuple(document["super_columns"]),
            char_columns=tuple(document["char_columns"]),
            attributes=document["attributes"],
            hash_column=document["hash_column"],
            short_columns=tuple(document.get("short_columns", ())),
        )
