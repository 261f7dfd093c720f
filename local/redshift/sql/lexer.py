"""Redshift's SQL text cut into tokens: where strings, comments, placeholders and statements begin and end.

Every other room of the engine relies on this one for "is this character inside a string?".
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from local.redshift.sql.failures import SqlFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class Kind(enum.Enum):
    """What a token is."""

    STRING = "string"  # 'ordinary' or e'escaped'
    DOLLAR_STRING = "dollar-quoted string"
    QUOTED_NAME = "quoted identifier"
    WORD = "word"
    NUMBER = "number"
    PLACEHOLDER = "placeholder"  # :name
    SEMICOLON = "semicolon"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """A word, string, number or symbol, with the white space and comments before it."""

    kind: Kind
    text: str
    before: str = ""

    @property
    def word(self) -> str:
        """The keyword or name in upper case; empty if the token is no plain word."""
        return self.text.upper() if self.kind is Kind.WORD else ""


class UnterminatedToken(SqlFailed):
    """A string, comment, dollar quote or quoted identifier has no end."""


_TOKEN: Final = re.compile(
    r"""
      (?P<TRIVIA>\s+|--[^\n]*|/\*)
    | (?P<STRING>[eE]?'(?:[^'\\]|\\.|'')*')
    | (?P<DOLLAR_STRING>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<QUOTED_NAME>"(?:[^"]|"")*")
    | (?P<WORD>[^\W\d][\w$]*|\#\w+)
    | (?P<NUMBER>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<SYMBOL>::|:=|\$\d+|\.\.)
    | (?P<PLACEHOLDER>:[0-9a-zA-Z_]+)
    | (?P<SEMICOLON>;)
    | (?P<OTHER>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_UNTERMINATED: Final = {"'": "quoted string", '"': "quoted identifier", "$": "dollar-quoted string"}
_ESCAPED_BYTES: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}
_ESCAPE: Final = re.compile(rb"''|\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)


def tokens(sql: str) -> Iterator[Token]:
    """Cuts `sql` into tokens. Raises `UnterminatedToken`."""
    position, before = 0, ""
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise UnterminatedToken(f"cannot read the SQL text at character {position + 1}")
        kind, text = match.lastgroup or "", match.group()
        if kind == "TRIVIA":
            text = _block_comment(sql, position) if text == "/*" else text
            before += text
        else:
            if kind == "OTHER":
                if text in _UNTERMINATED:
                    raise UnterminatedToken(f"unterminated {_UNTERMINATED[text]} at character {position + 1}")
                kind = "SYMBOL"
            yield Token(Kind[kind], text, before)
            before = ""
        position += len(text)


def _block_comment(sql: str, start: int) -> str:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return sql[start : edge.end()]
    raise UnterminatedToken(f"unterminated /* comment at character {start + 1}")


def text_of(pieces: Iterable[Token]) -> str:
    """The SQL text that the tokens spell."""
    return "".join(token.before + token.text for token in pieces)


def placeholders(sql: str) -> set[str]:
    """The names of the `:name` placeholders of `sql`.

    Text in strings, quoted identifiers, dollar quotes and comments holds none, and `::` is a cast
    (AWS documentation: "Running SQL statements with parameters when calling the Amazon Redshift Data API").
    Raises `UnterminatedToken`.
    """
    return {token.text[1:] for token in tokens(sql) if token.kind is Kind.PLACEHOLDER}


def statements(sql: str) -> list[str]:
    """The statements of `sql`, without their semicolons; empty ones are left out. Raises `UnterminatedToken`."""
    found: list[list[Token]] = [[]]
    for token in tokens(sql):
        if token.kind is Kind.SEMICOLON:
            found.append([])
        else:
            found[-1].append(token)
    return [text_of(statement).strip() for statement in found if statement]


def folded(name: Token) -> str:
    """The identifier that a word or quoted identifier stands for: a word folds to lower case.

    Whether a quoted one does is the session's setting, which `names.folded` has followed before.
    """
    return name.text[1:-1].replace('""', '"') if name.kind is Kind.QUOTED_NAME else name.text.lower()


def closing(pieces: Sequence[Token], opening: int) -> int:
    """The index of the parenthesis that closes the one at index `opening`; the end if none does."""
    depth = 0
    for index in range(opening, len(pieces)):
        if pieces[index].text in {"(", ")"}:
            depth += 1 if pieces[index].text == "(" else -1
            if depth == 0:
                return index
    return len(pieces)


def split(pieces: Sequence[Token]) -> list[list[Token]]:
    """The tokens between the commas that stand outside parentheses."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in pieces:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if parts != [[]] else []


def string_value(literal: str) -> str:
    """What a string literal stands for: quotes undoubled and backslash escapes undone, or the dollar quotes off.

    Raises `UnicodeDecodeError` if its octal or hexadecimal escapes don't spell UTF-8.
    """
    if literal.startswith("$"):
        tag = literal[: literal.index("$", 1) + 1]
        return literal[len(tag) : -len(tag)]
    body = literal[literal.index("'") + 1 : -1]
    return _ESCAPE.sub(_unescape, body.encode()).decode()


def _unescape(match: re.Match[bytes]) -> bytes:
    if match.group() == b"''":
        return b"'"
    octal, hexadecimal, other = match.groups()
    if octal or hexadecimal:
        return bytes([int(octal, 8) & 0xFF if octal else int(hexadecimal, 16)])
    return _ESCAPED_BYTES.get(other, other)


def string_literal(value: str) -> str:
    """`value` as a literal that Redshift and this engine read back as `value`: quotes and backslashes doubled."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
