"""Redshift's dialect of SQL and PL/pgSQL, translated to PostgreSQL's.

Token by token: what both say alike stays as the user wrote it and PostgreSQL's own parser judges it, so nothing can
be misread on the way. What is Redshift's alone is rewritten where it stands, in a query as in a procedure's body
(`expressions`, `tables`, `procedures`); what a function, a type or a setting can say is in `compatibility.sql` and in
the engine's settings, so that it holds in dynamic SQL, too. The rest is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from local.redshift.sql import expressions, procedures, supers, tables
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.lexer import Token, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

_STATEMENTS: Final = frozenset(
    {
        *("SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "LOCK", "CALL"),
        *("CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "SET", "ANALYZE", "("),
    }
)
_OBJECTS: Final = frozenset({"TABLE", "VIEW", "SCHEMA", "USER", "GROUP", "ROLE", "PROCEDURE", "FUNCTION"})
_MODIFIERS: Final = frozenset({"OR", "REPLACE", "LOCAL", "TEMP", "TEMPORARY"})
# Settings that mean the same in both; every other one would be accepted and do nothing.
_SETTINGS: Final = frozenset({"SEARCH_PATH", "STATEMENT_TIMEOUT", "TIMEZONE"})
# Word sequences that only Redshift knows or that PostgreSQL would take for something else.
_REFUSED: Final = (
    ("APPEND", "FROM"),
    ("WITH", "NO", "SCHEMA", "BINDING"),
    ("ADD", "CONSTRAINT"),
    ("ADD", "PRIMARY"),
    ("ADD", "FOREIGN"),
    ("ADD", "UNIQUE"),
    ("ALTER", "DISTSTYLE"),
    ("LANGUAGE", "PLPYTHONU"),
    ("ALTER", "DISTKEY"),
    ("ALTER", "SORTKEY"),
    ("ALTER", "COMPOUND"),
    ("ALTER", "ENCODE"),
    ("CONNECT", "BY"),
    ("REMOVE", "DUPLICATES"),
    ("ROW", "LEVEL", "SECURITY"),
)


def translate(statement: str, connection: psycopg.Connection[Any]) -> str:
    """One Redshift statement, its placeholders written `$1`, `$2` …, as PostgreSQL runs it on `connection`.

    Raises `NotImitated`, and `UnterminatedToken` for a procedure's body that can't be read to its end.
    """
    pieces = list(tokens(statement))
    _refuse(pieces)
    if procedures.is_create_routine(pieces):
        pieces = procedures.with_body(pieces, _rewrite)
    if pieces[0].word == "CALL":
        pieces = procedures.with_outputs(pieces, connection)
    if pieces[0].word == "INSERT":
        pieces = supers.with_strings(pieces, connection)
    if pieces[0].word == "SET":
        return text_of(_setting(pieces))
    return text_of(_rewrite(pieces))


def _rewrite(pieces: Sequence[Token]) -> list[Token]:
    return expressions.rewrite(tables.rewrite(pieces))


def _refuse(pieces: Sequence[Token]) -> None:
    words = [token.word for token in pieces]
    first = words[0] or pieces[0].text
    if first not in _STATEMENTS:
        raise NotImitated(f"the statement {first}")
    if first in {"CREATE", "ALTER", "DROP", "COMMENT"}:
        named = next((word for word in words[1:] if word not in _MODIFIERS | {"ON"}), "")
        if named not in _OBJECTS | ({"COLUMN"} if first == "COMMENT" else set()):
            raise NotImitated(f"{first} {named or pieces[-1].text}")
    for refused in _REFUSED:
        for start in range(len(words)):
            if tuple(words[start : start + len(refused)]) == refused:
                raise NotImitated(" ".join(refused))


def _setting(pieces: Sequence[Token]) -> list[Token]:
    name = pieces[1].word if len(pieces) > 1 else ""
    if name not in _SETTINGS:
        raise NotImitated(f"SET {pieces[1].text if len(pieces) > 1 else ''}")
    return [*pieces, *expressions.sql(", redshift, pg_catalog")] if name == "SEARCH_PATH" else list(pieces)
