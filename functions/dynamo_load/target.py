"""The target table that the stack is configured for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast, get_args

from dynamo_load.mapping import ItemMapping, KeyAttribute, KeyType
from environment import required
from errors import MissingConfiguration

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Target:
    """The target table's name, and how rows become its items."""

    table: str
    mapping: ItemMapping

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read TARGET_TABLE, TARGET_PARTITION_KEY, TARGET_SORT_KEY, their _TYPE variables, and TTL_ATTRIBUTE.

        The sort key and the TTL attribute are empty where the table has none. Raises MissingConfiguration.
        """
        sort_key = None
        if environment.get("TARGET_SORT_KEY"):
            sort_key = _key_attribute(environment, "TARGET_SORT_KEY", "TARGET_SORT_KEY_TYPE")
        mapping = ItemMapping(
            partition_key=_key_attribute(environment, "TARGET_PARTITION_KEY", "TARGET_PARTITION_KEY_TYPE"),
            sort_key=sort_key,
            ttl_attribute=environment.get("TTL_ATTRIBUTE") or None,
        )
        return cls(required(environment, "TARGET_TABLE"), mapping)


def _key_attribute(environment: Mapping[str, str], name_variable: str, type_variable: str) -> KeyAttribute:
    text = required(environment, type_variable)
    if text not in get_args(KeyType):
        raise MissingConfiguration(f"environment variable {type_variable} is {text!r}: set it to S, N or B.")
    return KeyAttribute(required(environment, name_variable), cast("KeyType", text))
