"""INSERT of literals into SUPER columns: without JSON_PARSE they are scalar strings, where PostgreSQL would parse them.

AWS documentation: "Loading semi-structured data into Amazon Redshift".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.redshift.sql.expressions import sql
from local.redshift.sql.lexer import Kind, Token, closing, folded, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local.redshift.sql.session import Session

_UNTYPED: Final = frozenset({Kind.STRING, Kind.DOLLAR_STRING})


def with_strings(insert: Sequence[Token], session: Session) -> list[Token]:
    """`INSERT INTO table [(columns)] VALUES …` with the untyped values of SUPER columns made strings."""
    values = next((index for index, token in enumerate(insert) if token.word == "VALUES"), None)
    opening = next((index for index, token in enumerate(insert) if token.text == "("), len(insert))
    if values is None or insert[2:3] == []:
        return list(insert)
    table = [folded(token) for token in insert[2 : min(opening, values)] if token.text != "."]
    columns = [(column, kind.is_super) for column, kind in session.columns(table).items()]
    if opening < values:
        named = [folded(part[0]) for part in split(insert[opening + 1 : closing(insert, opening)]) if part]
        columns = [(column, dict(columns).get(column, False)) for column in named]
    if not any(is_super for _, is_super in columns):
        return list(insert)
    written = list(insert[: values + 1])
    for row in split(insert[values + 1 :]):
        fields = split(row[1:-1])
        # PostgreSQL will say so if there are more values than columns, or fewer.
        rewritten = [
            _string(field) if is_super else field for field, (_, is_super) in zip(fields, columns, strict=False)
        ] + fields[len(columns) :]
        separated = [token for field in rewritten for token in (*sql(","), *field)][1:]
        written += [*sql("," if len(written) > values + 1 else ""), row[0], *separated, row[-1]]
    return written


def _string(field: list[Token]) -> list[Token]:
    is_untyped = len(field) == 1 and (field[0].kind in _UNTYPED or field[0].text.startswith("$"))
    return [*sql(" to_jsonb(CAST("), *field, *sql(" AS text))")] if is_untyped else field
