"""Redshift's dialect of SQL and PL/pgSQL, translated to PostgreSQL's.

Token by token: what both say alike stays as the user wrote it and PostgreSQL's own parser judges it, so nothing can
be misread on the way. What is Redshift's alone is rewritten where it stands, in a query as in a procedure's body
(`expressions`, `tables`, `procedures`); what a function, a type or a setting can say is in `compatibility.sql` and in
the engine's settings, so that it holds in dynamic SQL, too. The rest is refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.redshift.sql import expressions, names, procedures, queries, supers, tables
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.lexer import Token, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.redshift.sql.queries import Understood
    from local.redshift.sql.session import Session

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
# Redshift's own settings, which the translation follows.
_OWN_SETTINGS: Final = frozenset({"ENABLE_CASE_SENSITIVE_IDENTIFIER"})
_USER_SETTING: Final = 4  # where the parameter's name stands in ALTER USER name SET parameter
# What ALTER TABLE … ALTER changes of a table's physical layout.
_LAYOUT: Final = frozenset({"DISTSTYLE", "DISTKEY", "SORTKEY", "COMPOUND", "INTERLEAVED", "ENCODE"})
# Statements in which it matters what type a name has.
_TYPED: Final = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE"})
# Word sequences that only Redshift knows or that PostgreSQL would take for something else.
_REFUSED: Final = (
    ("APPEND", "FROM"),
    ("WITH", "NO", "SCHEMA", "BINDING"),
    ("ADD", "CONSTRAINT"),
    ("ADD", "PRIMARY"),
    ("ADD", "FOREIGN"),
    ("ADD", "UNIQUE"),
    ("LANGUAGE", "PLPYTHONU"),
    ("CONNECT", "BY"),
    ("REMOVE", "DUPLICATES"),
    ("ROW", "LEVEL", "SECURITY"),
)


def translate(statement: str, session: Session) -> Understood:
    """One Redshift statement, its placeholders written `$1`, `$2` …, as PostgreSQL runs it in `session`.

    Raises `NotImitated`, and `UnterminatedToken` for a procedure's body that can't be read to its end.
    """
    pieces = names.folded(list(tokens(statement)), is_case_sensitive=session.is_case_sensitive)
    _refuse(pieces)
    if procedures.is_create_routine(pieces):
        return queries.Understood(text_of(_rewrite(procedures.with_body(pieces, _rewrite, session))))
    match pieces[0].word:
        case "SET":
            return queries.Understood(text_of(_setting(pieces)))
        case "ALTER" if len(pieces) > _USER_SETTING and pieces[_USER_SETTING].word in _OWN_SETTINGS:
            # ALTER USER name SET parameter …
            own = pieces[_USER_SETTING]
            setting = [*expressions.sql(" redshift."), own._replace(before="")]
            return queries.Understood(text_of([*pieces[:_USER_SETTING], *setting, *pieces[_USER_SETTING + 1 :]]))
        case "ALTER" if _is_layout(pieces):
            return queries.Understood(text_of(_without_layout(pieces)))
        case "CALL":
            pieces = procedures.with_outputs(pieces, session)
        case "INSERT" if any(token.word == "VALUES" for token in pieces):
            pieces = supers.with_strings(pieces, session)
        case word if word in _TYPED or not word:
            understood = queries.understood(text_of(pieces), session)
            understood.text = text_of(_rewrite(list(tokens(understood.text))))
            return understood
    return queries.Understood(text_of(_rewrite(pieces)))


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


def _is_layout(pieces: Sequence[Token]) -> bool:
    """Whether it is an ALTER TABLE of how rows are spread, sorted or compressed."""
    words = [token.word for token in pieces]
    return (
        words[1] == "TABLE"
        and any(
            word == "ALTER" and index and words[index + 1 : index + 2] and words[index + 1] in _LAYOUT
            for index, word in enumerate(words)
        )
    ) or (words[1] == "TABLE" and "ENCODE" in words and "ADD" not in words)


def _without_layout(pieces: Sequence[Token]) -> list[Token]:
    """An ALTER TABLE that changes nothing, but fails if there is no such table."""
    end = next(index for index, token in enumerate(pieces) if index and token.word == "ALTER")
    return [*pieces[:end], *expressions.sql(" RESET (fillfactor)")]


def _setting(pieces: Sequence[Token]) -> list[Token]:
    name = pieces[1].word if len(pieces) > 1 else ""
    if name in _OWN_SETTINGS:
        return [*expressions.sql("SET redshift."), pieces[1]._replace(before=""), *pieces[2:]]
    if name not in _SETTINGS:
        raise NotImitated(f"SET {pieces[1].text if len(pieces) > 1 else ''}")
    return [*pieces, *expressions.sql(", redshift, pg_catalog")] if name == "SEARCH_PATH" else list(pieces)
