"""Runs one Redshift statement on a connection: placeholders bound, dialect translated, UNLOAD and COPY carried out."""

from __future__ import annotations

import decimal
import functools
import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import psycopg
from botocore.exceptions import ClientError
from psycopg.types.string import TextLoader

from local.redshift import dynamic
from local.redshift.sql import dialect, lexer, names
from local.redshift.sql.failures import NotImitated, SqlCancelled, SqlFailed
from local.redshift.sql.session import Session
from local.redshift.transfer import copy_from, unload
from local.redshift.transfer.database import Connected
from local.redshift.transfer.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from psycopg.abc import Buffer

    from local.redshift.sql.queries import Understood
    from local.redshift.sql.session import Type
    from local.redshift.transfer.storage import Storage

__all__ = ["Column", "SqlCancelled", "SqlFailed", "StatementResult", "run"]


@dataclass(frozen=True)
class Column:
    """One column of a result set; `type_name` is Redshift's, `length`, `precision` and `scale` are its driver's."""

    name: str
    type_name: str
    nullable: bool
    length: int
    precision: int
    scale: int


@dataclass(frozen=True)
class StatementResult:
    """What a statement returned.

    `columns` is empty if there is no result set. Values in `records` are None, bool, int or float; every other type
    is the text that Redshift would show. `rows` counts rows returned or affected, -1 if that says nothing.
    """

    columns: list[Column]
    records: list[tuple[Any, ...]]
    rows: int


class _SuperLoader(TextLoader):
    """SUPER as Redshift shows it: PostgreSQL writes a blank after each comma and colon."""

    _blanks = re.compile(r'("(?:[^"\\]|\\.)*")|([:,]) ')

    def load(self, data: Buffer) -> str:
        return self._blanks.sub(r"\1\2", str(super().load(data)))


class _VarbyteLoader(TextLoader):
    """VARBYTE as Redshift shows it: in hexadecimal digits, without PostgreSQL's mark before them."""

    def load(self, data: Buffer) -> str:
        return str(super().load(data)).removeprefix("\\x")


_LOADERS: Final = {"jsonb": _SuperLoader, "bytea": _VarbyteLoader}
# More than PostgreSQL's decimals have, so that nothing is rounded on the way.
_MOST_DIGITS: Final = 140_000
_MAX_VARCHAR_BYTES: Final = 65_535
_SYSTEM_VIEW: Final = re.compile(r'relation "((?:pg_catalog\.)?(?:(?:stl|stv|svl|svv|svcs|sys)_\w+|pg_table_def))"')
# What PostgreSQL says of a text that is no SQL, or names a function, operator or type, that it knows.
_NOT_UNDERSTOOD: Final = (
    psycopg.errors.SyntaxError,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.UndefinedObject,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.AmbiguousFunction,
)


def run(
    connection: psycopg.Connection[Any], sql: str, parameters: Mapping[str, str], storage: Storage
) -> StatementResult:
    """Runs the one statement in `sql` with its `:name` placeholders bound, and returns its result.

    Transactions are the caller's, by the connection's own switch: with `connection.autocommit` on, the statement is
    its own transaction, committed on return, and a procedure may COMMIT; otherwise it joins the connection's open
    transaction, which the caller commits or rolls back.

    Raises `SqlFailed` (also for what this engine doesn't imitate) and `SqlCancelled` (`connection.cancel_safe()` from
    another thread).
    """
    if "\0" in sql:
        raise SqlFailed('invalid byte sequence for encoding "UTF8": 0x00')  # PostgreSQL would ignore what follows it
    texts = lexer.statements(sql)
    if len(texts) != 1:
        raise SqlFailed("cannot insert multiple commands into a prepared statement" if texts else "no SQL statement")
    text, values = _bind(texts[0], parameters)
    try:
        match next(lexer.tokens(text)).word:
            case "UNLOAD":
                return StatementResult([], [], unload.run(Connected(connection), text, storage))
            case "COPY":
                return StatementResult([], [], copy_from.run(Connected(connection), text, storage))
            case "TRUNCATE" if not connection.autocommit:
                raise NotImitated("TRUNCATE in a transaction, which it would commit,")
            case "CALL":
                with dynamic.answered(connection, storage):
                    return _query(connection, dialect.translate(text, Session(connection)), values)
            case _:
                return _query(connection, dialect.translate(text, Session(connection)), values)
    except psycopg.errors.QueryCanceled as error:
        raise SqlCancelled from error
    except psycopg.Error as error:
        raise _failed(error) from error
    except ClientError as error:
        raise SqlFailed(storage_error(error)) from error


def _failed(error: psycopg.Error) -> SqlFailed:
    # The detail and context that PostgreSQL adds may hold row contents.
    message = names.restored(error.diag.message_primary or str(error))
    view = _SYSTEM_VIEW.match(message)
    if isinstance(error, psycopg.errors.UndefinedTable) and view:
        return NotImitated(f"the system view {view[1]}")
    if isinstance(error, _NOT_UNDERSTOOD) and not message.startswith("procedure "):
        message += " (so says PostgreSQL, on which the local Redshift runs; Redshift itself may know it)"
    return SqlFailed(message)


def _query(connection: psycopg.Connection[Any], understood: Understood, values: list[str]) -> StatementResult:
    with psycopg.RawCursor(connection) as cursor:
        for type_name in _TYPES.keys() - _PYTHON_TYPES:
            cursor.adapters.register_loader(type_name, _LOADERS.get(type_name, TextLoader))
        cursor.execute(understood.text.encode(), values or None)
        if cursor.description is None:
            return StatementResult(columns=[], records=[], rows=cursor.rowcount)
        records, columns = cursor.fetchall(), _columns(cursor)
        if len(understood.types) == len(columns):
            for index, computed in enumerate(understood.types):
                if columns[index].type_name == "numeric" and cursor.description[index].precision is None and computed:
                    columns[index], records = _as_computed(columns[index], computed, index, records)
        _check_texts(columns, records)
        return StatementResult(columns=columns, records=records, rows=len(records))


def _as_computed(
    column: Column, computed: Type, index: int, records: list[tuple[Any, ...]]
) -> tuple[Column, list[tuple[Any, ...]]]:
    """A column of decimals that PostgreSQL computed, with the type and scale that Redshift computes."""
    type_name, precision, scale = _TYPES.get(computed.name, (computed.name, 0, 0))
    if computed.precision is not None:
        precision, scale = computed.precision, computed.scale
    convert: Callable[[str], Any]
    match computed.name:
        case "numeric" if computed.precision is not None:
            with decimal.localcontext(prec=_MOST_DIGITS):
                step = Decimal(1).scaleb(-scale)
            convert = functools.partial(_with_scale, step=step)
        case "float4" | "float8":
            convert = float
        case _:
            return column, records
    changed = [
        (*record[:index], None if record[index] is None else convert(record[index]), *record[index + 1 :])
        for record in records
    ]
    return replace(column, type_name=type_name, precision=precision, scale=scale), changed


def _with_scale(text: str, step: Decimal) -> str:
    with decimal.localcontext(prec=_MOST_DIGITS, rounding=decimal.ROUND_HALF_UP):
        value = Decimal(text)
        return format(value.quantize(step) if value.is_finite() else value, "f")


def _check_texts(columns: list[Column], records: list[tuple[Any, ...]]) -> None:
    texts = [index for index, column in enumerate(columns) if column.type_name == "varchar"]
    for record in records:
        for index in texts:
            if len((record[index] or "").encode()) > _MAX_VARCHAR_BYTES:
                raise SqlFailed(f"value too long for type character varying({_MAX_VARCHAR_BYTES})")


def _bind(statement: str, parameters: Mapping[str, str]) -> tuple[str, list[str]]:
    """Numbers the placeholders `$1`, `$2` …: each occurrence on its own, because its type is found where it stands."""
    pieces: list[lexer.Token] = []
    values: list[str] = []
    for token in lexer.tokens(statement):
        if token.kind is lexer.Kind.PLACEHOLDER:
            name = token.text[1:]
            if name not in parameters:
                raise SqlFailed(f"the statement's parameter :{name} was given no value")
            values.append(parameters[name])
            pieces.append(token._replace(text=f"${len(values)}"))
        elif token.text.startswith("$") and token.kind is lexer.Kind.SYMBOL:
            raise SqlFailed(f"there is no parameter {token.text}")
        else:
            pieces.append(token)
    return lexer.text_of(pieces), values


# PostgreSQL type → Redshift's name, and the precision and scale its JDBC driver reports for it.
_TYPES: Final[dict[str, tuple[str, int, int]]] = {
    "bool": ("bool", 1, 0),
    "int2": ("int2", 5, 0),
    "int4": ("int4", 10, 0),
    "int8": ("int8", 19, 0),
    "float4": ("float4", 8, 8),
    "float8": ("float8", 17, 17),
    "numeric": ("numeric", 18, 0),
    "bpchar": ("bpchar", 1, 0),
    "varchar": ("varchar", 65535, 0),
    "text": ("varchar", 65535, 0),
    "name": ("varchar", 128, 0),
    "date": ("date", 13, 0),
    "time": ("time", 15, 6),
    "timetz": ("timetz", 21, 6),
    "timestamp": ("timestamp", 29, 6),
    "timestamptz": ("timestamptz", 35, 6),
    "interval": ("interval", 49, 0),
    "bytea": ("varbyte", 65535, 0),
    "jsonb": ("super", 0, 0),
    "oid": ("oid", 10, 0),
}
_PYTHON_TYPES: Final = frozenset({"bool", "int2", "int4", "int8", "float4", "float8", "oid"})


def _columns(cursor: psycopg.Cursor[Any]) -> list[Column]:
    not_null = _not_null_columns(cursor)
    columns = []
    for index, described in enumerate(cursor.description or []):
        known = cursor.adapters.types.get(described.type_code)
        type_name, precision, scale = _TYPES.get(known.name if known else "", (described.type_display, 0, 0))
        if described.precision is not None:
            precision, scale = described.precision, described.scale or 0
        elif type_name in {"varchar", "bpchar"} and described.display_size is not None:
            precision = described.display_size
        columns.append(Column(names.restored(described.name), type_name, index not in not_null, 0, precision, scale))
    return columns


def _not_null_columns(cursor: psycopg.Cursor[Any]) -> set[int]:
    """Which columns of the result come straight from a table column declared NOT NULL."""
    result = cursor.pgresult
    if result is None:
        return set()
    sources = {i: (result.ftable(i), result.ftablecol(i)) for i in range(result.nfields) if result.ftable(i)}
    if not sources:
        return set()
    with psycopg.Cursor(cursor.connection) as catalog:
        catalog.execute(
            "SELECT attrelid::int8, attnum::int4 FROM pg_catalog.pg_attribute "
            "WHERE attrelid = ANY(%s::oid[]) AND attnotnull",
            [sorted({table for table, _ in sources.values()})],
        )
        declared = set(catalog.fetchall())
    return {index for index, source in sources.items() if source in declared}
