"""Which column becomes which attribute of the items."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from dynamo_load.errors import AmbiguousColumns, MissingKeyColumn, MissingTtlColumn, UnknownColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dynamo_load.mapping import ItemMapping
    from target.table import TargetTable

_NEAREST_SHOWN = 3


def attribute_names(columns: Sequence[str], mapping: ItemMapping) -> dict[str, str]:
    """Return the attribute name of each column but the hash's.

    `mapping.attributes` names it, or an attribute of the table's key, TTL or indexes whose name is the column's but for
    case (Redshift writes names in lower case unless it is told otherwise), or it is the column's own name. Raises
    AmbiguousColumns, MissingKeyColumn, MissingTtlColumn, and UnknownColumn if `mapping.attributes` has a name that no
    column has in any case.
    """
    columns = [column for column in columns if column != mapping.hash_column]
    _check_distinct(columns, mapping)
    folded = {column.lower(): column for column in columns}
    names = _renamed(folded, mapping)
    target = mapping.target
    free = {name: column for name, column in folded.items() if column not in names}
    for attribute in target.attributes:
        column = free.get(attribute.lower())
        if column is None or attribute in names.values():
            continue
        if column in names:
            raise AmbiguousColumns(
                f'name the attribute of column {column!r} in the input\'s "attributes": the table has '
                f"{names[column]!r} and {attribute!r}, which both fit it."
            )
        names[column] = attribute
    names = {column: names.get(column, column) for column in columns}
    _check_one_column_each(names)
    _check_present(names, target)
    return names


def _check_distinct(columns: Sequence[str], mapping: ItemMapping) -> None:
    """Refuse a name that comes twice, and two that differ in case alone where the table or the input means one."""
    meant = {name.lower() for name in (*mapping.target.attributes, *mapping.attributes)}
    alike: dict[str, list[str]] = {}
    for column in columns:
        alike.setdefault(column.lower(), []).append(column)
    for folded, spellings in alike.items():
        if len(set(spellings)) < len(spellings):
            twice = next(name for name in spellings if spellings.count(name) > 1)
            raise AmbiguousColumns(f"column {twice!r} comes {spellings.count(twice)} times: give one of them an alias.")
        if len(spellings) > 1 and folded in meant:
            raise AmbiguousColumns(
                f"columns {', '.join(map(repr, spellings))} have one name but for case: give one of them an alias in "
                "the query."
            )


def _renamed(folded: dict[str, str], mapping: ItemMapping) -> dict[str, str]:
    names: dict[str, str] = {}
    for given, attribute in mapping.attributes.items():
        column = folded.get(given.lower())
        if column is None:
            raise UnknownColumn(
                f'correct the input\'s "attributes": {given!r} is none of the {len(folded):,} columns. '
                f"{_nearest(given, folded)}"
            )
        if column in names:
            raise AmbiguousColumns(f'correct the input\'s "attributes": they name column {column!r} twice.')
        names[column] = attribute
    return names


def _check_one_column_each(names: dict[str, str]) -> None:
    columns: dict[str, str] = {}
    for column, attribute in names.items():
        if attribute in columns:
            raise AmbiguousColumns(
                f"columns {columns[attribute]!r} and {column!r} would both become the attribute {attribute!r}: rename "
                'or leave out one of them, or correct the input\'s "attributes".'
            )
        columns[attribute] = column


def _check_present(names: dict[str, str], target: TargetTable) -> None:
    taken = set(names.values())
    missing = "none of the {:,} columns has that name, whatever the case."
    folded = {column.lower(): column for column in names}
    for key in target.key:
        if key.name not in taken:
            raise MissingKeyColumn(
                f"select a column {key.name!r}, the table's key attribute, or rename one to it with the input's "
                f'"attributes": {missing.format(len(names))} {_nearest(key.name, folded)}'
            )
    if target.ttl_required and target.ttl_attribute is not None and target.ttl_attribute not in taken:
        raise MissingTtlColumn(
            f"select a column {target.ttl_attribute!r}, the time to live, or leave the stack's DynamoDbTtl empty: "
            f"{missing.format(len(names))} {_nearest(target.ttl_attribute, folded)}"
        )


def _nearest(name: str, folded: dict[str, str]) -> str:
    """Name the few columns that look most like this name."""
    nearest = get_close_matches(name.lower(), folded, n=_NEAREST_SHOWN, cutoff=0)
    return f"Nearest: {', '.join(repr(folded[name]) for name in nearest)}."
