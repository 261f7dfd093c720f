"""What the translation of a statement must know of the session that it runs in: its settings, and what tables hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from local.redshift.sql import names

if TYPE_CHECKING:
    from collections.abc import Sequence

CASE_SENSITIVE: Final = "enable_case_sensitive_identifier"
# NUMERIC(p, s) has the modifier p << 16 | s, plus 4.
_MODIFIER_OFFSET: Final = 4


class Connection(Protocol):
    """What runs a query and returns a cursor over its rows."""

    def execute(self, query: Any, parameters: Any = ..., /) -> Any:
        """A cursor over the rows of a query with `%s` placeholders."""


class Type(NamedTuple):
    """A type by PostgreSQL's name for it, `super` for SUPER; precision and scale are those of a numeric with limits."""

    name: str
    precision: int | None = None
    scale: int = 0

    @property
    def is_super(self) -> bool:
        """Whether it is SUPER."""
        return self.name in {"super", "jsonb"}


class Session:
    """A connection, asked for what it knows of the session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.is_case_sensitive = self._setting(CASE_SENSITIVE)

    def columns(self, table: Sequence[str]) -> dict[str, Type]:
        """The columns of a table or view in order, with their types; none if there is no such table."""
        found = self._connection.execute(
            "SELECT attname, typname, atttypmod FROM pg_catalog.pg_attribute "
            "JOIN pg_catalog.pg_type t ON t.oid = atttypid "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            [".".join(names.quoted(part) for part in table)],
        ).fetchall()
        return {column: _type(kind, modifier) for column, kind, modifier in found}

    def modes(self, procedure: Sequence[str]) -> list[list[str]]:
        """For each procedure of a name, with or without its schema, the modes of its arguments: i, o, b."""
        found = self._connection.execute(
            "SELECT DISTINCT coalesce(proargmodes::text[], array_fill('i'::text, ARRAY[pronargs::integer])) "
            "FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = pronamespace "
            "WHERE prokind = 'p' AND proname = %s AND CASE WHEN %s = '' THEN pg_catalog.pg_function_is_visible(p.oid) "
            "ELSE nspname = %s END",
            [procedure[-1], *(2 * ["".join(procedure[-2:-1])])],
        ).fetchall()
        return [modes for (modes,) in found]

    def _setting(self, name: str) -> bool:
        found = self._connection.execute(
            "SELECT nullif(current_setting(%s, true), '')::boolean", [f"redshift.{name}"]
        ).fetchone()
        return found is not None and found[0] is True


def _type(kind: str, modifier: int) -> Type:
    if kind != "numeric" or modifier < 0:
        return Type(kind)
    return Type(kind, (modifier - _MODIFIER_OFFSET) >> 16, (modifier - _MODIFIER_OFFSET) & 0xFFFF)
