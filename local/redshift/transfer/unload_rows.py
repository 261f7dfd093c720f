"""The rows of an UNLOAD: the query streamed out of PostgreSQL into Arrow, with the types that Redshift writes.

PostgreSQL streams CSV (COPY), Arrow parses it: both are compiled code, nothing here runs per value, and no more than
a block of rows is in memory.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from local.redshift.sql import names
from local.redshift.sql.decimals import MAX_PRECISION
from local.redshift.sql.failures import SqlFailed
from local.redshift.sql.lexer import string_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.redshift.sql.queries import Understood
    from local.redshift.sql.session import Type
    from local.redshift.transfer.database import Database, Described
    from local.redshift.transfer.unload_statement import Unload


# PostgreSQL's type → Redshift's name in the manifest, and what Parquet gets; None if Redshift refuses that.
_TYPES: Final[dict[str, tuple[str, pa.DataType | None]]] = {
    "int2": ("smallint", pa.int16()),
    "int4": ("integer", pa.int32()),
    "int8": ("bigint", pa.int64()),
    "float4": ("real", pa.float32()),
    "float8": ("double precision", pa.float64()),
    "bool": ("boolean", pa.bool_()),
    "bpchar": ("character", pa.string()),
    "varchar": ("character varying", pa.string()),
    "text": ("character varying", pa.string()),
    "name": ("character varying", pa.string()),
    "date": ("date", pa.date32()),
    "timestamp": ("timestamp without time zone", pa.timestamp("us")),
    "timestamptz": ("timestamp with time zone", pa.timestamp("us")),
    "jsonb": ("super", pa.json_()),
    "time": ("time without time zone", None),
    "timetz": ("time with time zone", None),
    "bytea": ("binary varying", None),
}
_NOT_A_PARTITION: Final = frozenset({"float8", "timestamptz", "jsonb", "time", "timetz", "bytea"})
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_VARIABLE_TEXT: Final = frozenset({"varchar", "text"})
_MAX_VARCHAR: Final = 65535
_HIVE_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_HIVE_ESCAPED: Final = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{\[\]^]")


@dataclass(frozen=True)
class UnloadColumn:
    """A column of the query: `expression` reads it, `source_type` is PostgreSQL's, `schema_type` the manifest's.

    `alias` is its name among the query's columns, which may have none or share one.
    """

    name: str
    alias: str
    expression: str
    source_type: str
    schema_type: dict[str, str | int]
    parquet_type: pa.DataType | None


class UnloadRows:
    """The result of a query, in parts that each belong into one folder.

    For Parquet a part has the query's columns; for CSV and JSON it has one column, `line`, the text with its line
    end. `columns` are the columns that are written.
    """

    def __init__(self, database: Database, query: Understood, unload: Unload) -> None:
        self._database = database
        self._query = query.text
        self._unload = unload
        self._described = _describe(database, query)
        self._partitions = [self._partition(name) for name in unload.partition_by]
        dropped = [] if unload.include_partitions else self._partitions
        self.columns = [column for column in self._described if column not in dropped]
        if unload.partition_by and not self.columns:
            raise SqlFailed("PARTITION BY must leave at least one column in the files")
        names = [column.name for column in self.columns]
        if unload.file_format == "JSON" and len(set(names)) < len(names):
            raise SqlFailed("UNLOAD to JSON needs column names that differ")

    def read(self) -> Iterator[tuple[str, pa.Table]]:
        """Runs the query, and yields its rows with the folder they belong into, folder by folder.

        Raises `SqlFailed`, `psycopg.Error`.
        """
        selected, types = self._selection()
        order = ""
        if self._partitions:
            keys = ", ".join(_text(column) for column in self._partitions)
            selected, types = [*selected, f"json_build_array({keys})::text"], [*types, pa.string()]
            order = f" ORDER BY {len(selected)}"
        aliases = ", ".join(column.alias for column in self._described)
        source = f"({self._query}\n) AS unloaded({aliases}){order}"
        for block in self._database.stream(selected, source):
            rows = _parse(block, types)
            if self._partitions:
                yield from self._by_folder(rows)
            else:
                yield "", self._named(rows)

    def _selection(self) -> tuple[list[str], list[pa.DataType]]:
        if self._unload.file_format == "PARQUET":
            return [_parquet(column) for column in self.columns], [_parquet_type(column) for column in self.columns]
        line = _csv_line(self.columns, self._unload.delimiter) if self._unload.file_format == "CSV" else None
        return [line or _json_line(self.columns)], [pa.string()]

    def _partition(self, name: str) -> UnloadColumn:
        for column in self._described:
            if column.name == name:
                if column.source_type in _NOT_A_PARTITION:
                    raise SqlFailed(f'column "{name}" has a type that PARTITION BY doesn\'t take')
                return column
        raise SqlFailed(f'column "{name}" of PARTITION BY is not in the query')

    def _by_folder(self, rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        keys = pc.run_end_encode(rows.column(rows.num_columns - 1).combine_chunks())
        start = 0
        for end, key in zip(keys.run_ends.to_pylist(), keys.values.to_pylist(), strict=True):
            values = (_HIVE_NULL if value in {None, ""} else _hive(value) for value in json.loads(key))
            folder = "".join(f"{name}={value}/" for name, value in zip(self._unload.partition_by, values, strict=True))
            yield folder, self._named(rows.slice(start, end - start).drop_columns([rows.column_names[-1]]))
            start = end

    def _named(self, rows: pa.Table) -> pa.Table:
        names = [column.name for column in self.columns] if self._unload.file_format == "PARQUET" else ["line"]
        return rows.rename_columns(names)


def _describe(database: Database, query: Understood) -> list[UnloadColumn]:
    described = database.describe(query.text)
    computed = query.types if len(query.types) == len(described) else [None] * len(described)
    return [_column(f"c{index}", *pair) for index, pair in enumerate(zip(described, computed, strict=True))]


def _column(alias: str, described: Described, computed: Type | None) -> UnloadColumn:
    source_type, precision, scale, expression = described.type_name, described.precision, described.scale, alias
    if source_type == "numeric" and precision is None and computed is not None:
        # PostgreSQL keeps no precision in a computation, and reckons in decimals where Redshift has other numbers.
        source_type, precision, scale = computed
        limits = f"({precision}, {scale})" if precision is not None else ""
        expression = f"CAST({alias} AS {source_type}{limits})"
    base, parquet_type = _TYPES.get(source_type, (source_type, None))
    schema_type: dict[str, str | int] = {"base": base}
    if source_type == "numeric" and precision is not None:
        schema_type |= {"precision": precision, "scale": scale}
        if precision <= MAX_PRECISION:
            parquet_type = pa.decimal128(precision, scale)
    elif parquet_type == pa.string():
        schema_type["max_length"] = described.length or _MAX_VARCHAR
    return UnloadColumn(names.restored(described.name), alias, expression, source_type, schema_type, parquet_type)


def _parse(block: bytes, types: list[pa.DataType]) -> pa.Table:
    columns = [str(index) for index in range(len(types))]
    stored_types = [_read_as(kind) for kind in types]
    try:
        rows = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            # One block, so that Arrow has no reason to look for line ends between rows.
            read_options=pyarrow.csv.ReadOptions(column_names=columns, block_size=len(block) + 1),
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict(zip(columns, stored_types, strict=True)),
                # PostgreSQL's NULL is nothing at all, its empty string a pair of quotes.
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t", "true"],
                false_values=["f", "false"],
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        # Arrow's own message quotes the value.
        raise SqlFailed("a value of the query is outside the range of its column's type") from None
    return rows.cast(pa.schema(zip(columns, types, strict=True)))


def _read_as(kind: pa.DataType) -> pa.DataType:
    """What Arrow reads from CSV for a type: text for JSON, and numbers for times, whose years may have any length."""
    if isinstance(kind, pa.JsonType):
        return kind.storage_type
    return {pa.date32(): pa.int32(), pa.timestamp("us"): pa.int64()}.get(kind, kind)


def _parquet(column: UnloadColumn) -> str:
    match column.source_type:
        case "date":
            return f"({column.expression} - DATE '1970-01-01')"
        case "timestamp" | "timestamptz":
            return f"(extract(epoch FROM {column.expression}) * 1000000)::bigint"
        case "jsonb":
            return f"redshift.json_serialize({column.expression})"
        case kind if kind in _VARIABLE_TEXT:
            return f"redshift.within_limit({column.expression})"
        case _:
            return column.expression


def _parquet_type(column: UnloadColumn) -> pa.DataType:
    if column.parquet_type is not None:
        return column.parquet_type
    if column.source_type == "numeric":
        raise SqlFailed(
            f'the precision of column "{column.name}" is unknown to the local Redshift or beyond 38 digits: '
            "cast it to DECIMAL(precision, scale)"
        )
    raise SqlFailed(f'column "{column.name}" has type {column.schema_type["base"]}, which UNLOAD to Parquet refuses')


def _text(column: UnloadColumn) -> str:
    match column.source_type:
        case "bool":
            return f"CASE {column.expression} WHEN true THEN 't' WHEN false THEN 'f' END"
        case "bytea":
            return f"encode({column.expression}, 'hex')"
        case "jsonb":
            return f"redshift.json_serialize({column.expression})"
        case kind if kind in _VARIABLE_TEXT:
            return f"redshift.within_limit({column.expression})"
        case _:
            return f"{column.expression}::text"


def _csv_line(columns: list[UnloadColumn], delimiter: str) -> str:
    quoted = string_literal(delimiter)
    fields = f" || {quoted} || ".join(f"redshift.csv_field({_text(column)}, {quoted})" for column in columns)
    return f"{fields} || E'\\n'"


def _json_line(columns: list[UnloadColumn]) -> str:
    members = []
    for column in columns:
        value = column.expression if column.source_type in _NUMBERS else _text(column)
        text = value if column.source_type == "jsonb" else f"to_json({value})::text"
        label = string_literal(json.dumps(column.name, ensure_ascii=False) + ":")
        members.append(f"{label} || coalesce({text}, 'null')")
    joined = " || ',' || ".join(members)
    return f"'{{' || {joined} || E'}}\\n'"


def _hive(value: str) -> str:
    return _HIVE_ESCAPED.sub(lambda match: f"%{ord(match.group()):02X}", value)
