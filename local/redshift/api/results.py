"""A statement's result as GetStatementResult shows it: typed fields, column metadata, pages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.redshift.execution import Column, StatementResult

# The size of a page is not documented; clients must follow NextToken whatever it is.
PAGE_BYTES = 1_000_000

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_SIGNED = {"int2", "int4", "int8", "float4", "float8", "numeric"}
_CASE_SENSITIVE = {"varchar", "bpchar", "text", "name", "super"}


def field(value: bool | int | float | str | None) -> dict[str, Any]:
    """One value as the API's Field: a union with a member for each kind of value."""
    match value:
        case None:
            return {"isNull": True}
        case bool():
            return {"booleanValue": value}
        case int():
            return {"longValue": value}
        case float():
            # JSON has no such numbers; the protocol writes them as text (Smithy, "AWS JSON 1.1 protocol").
            return {"doubleValue": value if math.isfinite(value) else _NOT_FINITE[str(value)]}
        case _:
            return {"stringValue": value}


def size_in_bytes(records: Sequence[tuple[Any, ...]]) -> int:
    """The size of rows in a result, in bytes of their text."""
    return sum(len(str(value).encode()) for record in records for value in record if value is not None)


def page(result: StatementResult, start: int) -> tuple[list[list[dict[str, Any]]], int]:
    """The rows from index `start` on that fit a page (at least one), and the index of the row after them."""
    end, size = start, 0
    while end < len(result.records) and (end == start or size < PAGE_BYTES):
        size += size_in_bytes(result.records[end : end + 1])
        end += 1
    return [[field(value) for value in record] for record in result.records[start:end]], end


def column_metadata(column: Column, schema: str = "", table: str = "") -> dict[str, Any]:
    """A column of a result set, or of a table, as the API's ColumnMetadata."""
    return {
        "name": column.name,
        "label": column.name,
        "typeName": column.type_name,
        "nullable": int(column.nullable),
        "length": column.length,
        "precision": column.precision,
        "scale": column.scale,
        "isSigned": column.type_name in _SIGNED,
        "isCaseSensitive": column.type_name in _CASE_SENSITIVE,
        "isCurrency": False,
        "schemaName": schema,
        "tableName": table,
    }
