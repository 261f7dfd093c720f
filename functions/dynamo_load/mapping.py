"""How rows become items of the target table, beyond their columns' own types."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyType = Literal["S", "N", "B"]

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", partition keys and sort keys.
MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024


@dataclass(frozen=True)
class KeyAttribute:
    """A key attribute of the target table, as DescribeTable names and types it."""

    name: str
    type: KeyType


@dataclass(frozen=True)
class IndexKeyAttribute(KeyAttribute):
    """A key attribute of secondary indexes: an item may lack it, but its value is as limited as the table's own key."""

    max_bytes: int


@dataclass(frozen=True)
class ItemMapping:
    """What the target table asks of the rows.

    The rows need a column for every attribute of the table's key, and for the `ttl_attribute` (None: items don't
    expire). `super_columns` hold JSON text; `index_keys` are the key attributes of the table's secondary indexes.
    """

    partition_key: KeyAttribute
    sort_key: KeyAttribute | None = None
    ttl_attribute: str | None = None
    super_columns: frozenset[str] = frozenset()
    index_keys: tuple[IndexKeyAttribute, ...] = ()

    @property
    def key(self) -> tuple[KeyAttribute, ...]:
        """The table's key, the partition key first."""
        return (self.partition_key,) if self.sort_key is None else (self.partition_key, self.sort_key)

    def of_load(self, super_columns: Iterable[str], index_keys: Iterable[IndexKeyAttribute]) -> ItemMapping:
        """This mapping with what is known only when a load begins."""
        return replace(self, super_columns=frozenset(super_columns), index_keys=tuple(index_keys))
