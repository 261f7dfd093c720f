"""The query that is unloaded: checked by its tokens, so that no valid Redshift is refused for a parser's sake.

The tokens are cut by the rules of Redshift's own lexer, PostgreSQL's: what hides a semicolon or a parenthesis is a
comment, a string with doubled quotes or backslashes, a `$$` string or a quoted identifier, and nothing else. Whether
the query makes sense is for Redshift to say.

What is taken reads: it begins with SELECT or WITH, stays within the parentheses that UNLOAD's SELECT puts around it,
and neither makes a table (INTO), nor hides another statement in a WITH, nor calls what administers the cluster. What a
function of the users' own does is up to the rights of the database user.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from errors import InvalidInput
from statements.identifiers import parse_identifier, stored_part
from unload.errors import InvalidQuery
from unload.request import LoadRequest

_SHOWN_CHARACTERS = 30

# "System administration functions" in the Redshift database guide, but for CURRENT_SETTING, which only reads.
_ADMINISTRATION = frozenset(
    {
        *("change_query_priority", "change_session_priority", "change_user_priority", "pg_cancel_backend"),
        *("pg_terminate_backend", "reboot_cluster", "set_config"),
    }
)
# What begins a statement that is more than a query.
_CHANGING = frozenset(
    {
        *("alter", "analyze", "call", "copy", "create", "delete", "drop", "execute", "grant", "insert"),
        *("lock", "merge", "refresh", "revoke", "set", "truncate", "unload", "update", "vacuum"),
    }
)

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
    | (?P<comment>/\*)
    | (?P<string>'(?:[^'\\]|''|\\.)*+')
    | (?P<quoted_name>"(?:[^"]|"")*+")
    | (?P<dollar_string>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$)
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<number>[0-9]+)
    | (?P<open>['"]|\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$)
    | (?P<symbol>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")


def requested_query(request: LoadRequest, configured: str) -> str:
    """The SELECT to unload: the input's `query` or `table`, else the one the stack is configured with.

    Raises InvalidQuery, InvalidIdentifier, and InvalidInput when there is neither.
    """
    if request.table is not None:
        return table_query(request.table, request.columns, request.where)
    query = configured if request.query is None else request.query
    if request.query is None and not configured:
        raise InvalidInput("the stack has no UnloadQuery, so the input must say what to unload: give query or table.")
    return single_select(query)


def table_query(table: str, columns: list[str] | None, where: str | None) -> str:
    """`SELECT` of some or all columns of a table, its names quoted. Raises InvalidIdentifier and InvalidQuery."""
    names = ", ".join(parse_identifier(column, max_parts=1).sql for column in columns) if columns else "*"
    query = f"SELECT {names} FROM {parse_identifier(table).sql}"  # noqa: S608 - names are parsed and quoted
    if where is None:
        return query
    # The line breaks keep a comment at the condition's end from swallowing the parenthesis.
    return f"{query} WHERE (\n{_condition(where)}\n)"


class _Token(NamedTuple):
    """A word, a quoted text, a number or a symbol, and where it begins and ends in the query."""

    kind: str
    text: str
    start: int
    end: int


_END = _Token("end", "", 0, 0)


def single_select(text: str) -> str:
    """The query with blanks for semicolons at its end; raises InvalidQuery unless it is exactly one SELECT or WITH."""
    tokens = _tokens(text, "query")
    characters = list(text)
    while tokens and tokens[-1].text == ";":
        # A blank, as without one its neighbours may be read as one: `5 -;-- x`, which is no query, as `5`.
        characters[tokens.pop().start] = " "
    _check_one_expression(tokens, "query")
    _check_reads(tokens, "query")
    first = next((token for token in tokens if token.text != "("), tokens[0])
    if first.text.lower() not in {"select", "with"}:
        raise InvalidQuery(f"query begins with {_described(first)}: UNLOAD takes one SELECT, or WITH and a SELECT.")
    return "".join(characters)


def _check_reads(tokens: list[_Token], field: str) -> None:
    """Refuse what more than a query can stand in one, or what administers: Redshift, too, would refuse most of it."""
    for token, following in pairwise((*tokens, _END)):
        name = _name(token)
        if name == "into" and token.kind == "word":
            raise InvalidQuery(
                f"{field} has INTO at character {token.start + 1}: UNLOAD takes a query that makes no table. "
                'A name is taken in double quotes: "into".'
            )
        if name in _ADMINISTRATION and following.text == "(":
            raise InvalidQuery(f"{field} calls {name} at character {token.start + 1}: only what reads can be unloaded.")
    for verb in _bodies(tokens):
        if verb in _CHANGING:
            raise InvalidQuery(f"{field} has {verb.upper()} in a WITH: only what reads can be unloaded.")


def _name(token: _Token) -> str:
    """A word or a quoted name as Redshift knows it, which folds both by default; empty for all else."""
    return stored_part(token.text).lower() if token.kind in {"word", "quoted_name"} else ""


def _bodies(tokens: list[_Token]) -> Iterator[str]:
    """The words that begin what stands in parentheses after `AS`, `AS MATERIALIZED` or the like."""
    after_as = opened = False
    for token in tokens:
        word = token.text.lower()
        if after_as and opened and word != "(":
            yield word
        opened = after_as and word == "("
        after_as = opened or word == "as" or (after_as and word in {"not", "materialized"})


def _described(token: _Token) -> str:
    """Words and symbols as they are; of anything else, which may be a value, only the kind."""
    if token.kind in {"word", "quoted_name", "symbol"}:
        return repr(token.text[:_SHOWN_CHARACTERS])
    return f"a {token.kind.replace('_', ' ')}"


def _condition(text: str) -> str:
    tokens = _tokens(text, "where")
    _check_one_expression(tokens, "where")
    _check_reads(tokens, "where")
    return text


def _tokens(text: str, field: str) -> list[_Token]:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidQuery(f"{field} holds a character that is not text (U+0000 or half a surrogate pair): remove it.")
    tokens: list[_Token] = []
    position = 0
    while found := _TOKEN.match(text, position):
        kind, position = found.lastgroup or "", found.end()
        if kind == "comment":
            position = _comment_end(text, found.start(), field)
        elif kind == "open":
            raise _left_open(field)
        elif kind != "space":
            if _is_bit_string(tokens, found):
                raise InvalidQuery(
                    f"{field} has a backslash in a bit string ({found[0][:_SHOWN_CHARACTERS]}): remove it."
                )
            tokens.append(_Token(kind, found[0], found.start(), position))
    return tokens


def _is_bit_string(tokens: list[_Token], found: re.Match[str]) -> bool:
    r"""Whether this is `B'…\…'` or `X'…\…'`: Redshift's documents don't say if a backslash escapes there."""
    before = tokens[-1] if tokens else None
    return (
        "\\" in found[0]
        and found.lastgroup == "string"
        and before is not None
        and before.end == found.start()
        and before.text.lower() in {"b", "x"}
    )


def _comment_end(text: str, start: int, field: str) -> int:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(text, start):
        depth += 1 if edge[0] == "/*" else -1
        if not depth:
            return edge.end()
    raise _left_open(field)


def _left_open(field: str) -> InvalidQuery:
    return InvalidQuery(f"{field} leaves a string, a quoted identifier, a $$ string or a comment open: close it.")


def _check_one_expression(tokens: list[_Token], field: str) -> None:
    if not tokens:
        raise InvalidQuery(f"{field} is empty: write one, or leave the field out.")
    depth = 0
    for token in tokens:
        match token.text:
            case ";":
                raise InvalidQuery(f"{field} has a semicolon at character {token.start + 1}: give one statement only.")
            case "(":
                depth += 1
            case ")":
                depth -= 1
        if depth < 0:
            raise InvalidQuery(f"{field} closes a parenthesis at character {token.start + 1} that it never opened.")
    if depth:
        raise InvalidQuery(f"{field} leaves {depth} of its parentheses open: close them.")
