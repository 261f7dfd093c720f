"""What a load must know of the table it writes to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

KeyType = Literal["S", "N", "B"]

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", partition keys and sort keys.
MAX_PARTITION_KEY_BYTES = 2048
MAX_SORT_KEY_BYTES = 1024

NEW_TABLE_UNITS = 4_000
"""Write units per second that a new on-demand table takes at once ("On-demand capacity mode", developer guide)."""


@dataclass(frozen=True)
class KeyAttribute:
    """A key attribute of the table, as DescribeTable names and types it."""

    name: str
    type: KeyType


@dataclass(frozen=True)
class IndexKeyAttribute(KeyAttribute):
    """A key attribute of secondary indexes: an item may lack it, but its value is as limited as the table's own key."""

    max_bytes: int


@dataclass(frozen=True)
class LocalIndex:
    """A local secondary index: it has an entry for each item that has its `sort_key`.

    An entry holds the keys of the table and the index, and the `projected` attributes (None: all of the item's).
    """

    sort_key: str
    projected: tuple[str, ...] | None


@dataclass(frozen=True)
class WriteCapacity:
    """How many write units per second the table takes, by DescribeTable; each None if there is none or it isn't known.

    `provisioned` are the units of a table that is not on demand, `on_demand_maximum` is what one that is shall not
    exceed, `warm` what it takes at once, without having to grow. A table takes no more than its global secondary
    indexes, so each is the least of the table's and theirs.
    """

    provisioned: int | None = None
    on_demand_maximum: int | None = None
    warm: int | None = None

    @property
    def limit(self) -> int | None:
        """What the table never takes more of for long, if there is such a limit."""
        return self.provisioned or self.on_demand_maximum


@dataclass(frozen=True)
class TargetTable:
    """A table's name and what it asks of its items.

    `made` tells it from other tables of that name: the time of its creation ("" as the stack is configured for it).
    `key` is the partition key and, where there is one, the sort key; `index_keys` are the key attributes of the
    secondary indexes, `local_indexes` those indexes whose entries count towards the size of an item; items expire by
    `ttl_attribute` (None: they don't), and if `ttl_required`, rows without it are not what is meant. `capacity` is what
    the table took when it was described.
    """

    name: str
    key: tuple[KeyAttribute, ...]
    ttl_attribute: str | None = None
    ttl_required: bool = False
    index_keys: tuple[IndexKeyAttribute, ...] = ()
    local_indexes: tuple[LocalIndex, ...] = ()
    made: str = ""
    capacity: WriteCapacity = WriteCapacity()

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes that mean something to the table: its key's, its TTL attribute, its indexes' keys."""
        ttl = [self.ttl_attribute] if self.ttl_attribute else []
        return tuple(dict.fromkeys([*(key.name for key in self.key), *ttl, *(key.name for key in self.index_keys)]))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(
            name=document["name"],
            key=tuple(KeyAttribute(**attribute) for attribute in document["key"]),
            ttl_attribute=document["ttl_attribute"],
            ttl_required=document["ttl_required"],
            index_keys=tuple(IndexKeyAttribute(**attribute) for attribute in document["index_keys"]),
            local_indexes=tuple(
                LocalIndex(index["sort_key"], None if index["projected"] is None else tuple(index["projected"]))
                for index in document["local_indexes"]
            ),
            made=document["made"],
            capacity=WriteCapacity(**document.get("capacity", {})),
        )
