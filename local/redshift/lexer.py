"""Redshift's SQL text cut into tokens: where strings, comments, placeholders and statements begin and end.

Every other room of the engine relies on this one for "is this character inside a string?".
"""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kind(enum.Enum):
    """What a token is."""

    STRING = "string"  # 'ordinary' or e'escaped'
    DOLLAR_STRING = "dollar-quoted string"
    QUOTED_NAME = "quoted identifier"
    COMMENT = "comment"
    SPACE = "white space"
    WORD = "word"
    NUMBER = "number"
    PLACEHOLDER = "placeholder"  # :name
    SEMICOLON = "semicolon"
    SYMBOL = "symbol"


class Token(NamedTuple):
    """A piece of the text; the texts of all tokens, joined, are the text."""

    kind: Kind
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The text in upper case, to be compared with keywords."""
        return self.text.upper()


class UnterminatedToken(ValueError):
    """A string, comment, dollar quote or quoted identifier has no end."""


_TOKEN: Final = re.compile(
    r"""
      (?P<SPACE>\s+)
    | (?P<COMMENT>--[^\n]*|/\*)
    | (?P<STRING>[eE]?'(?:[^'\\]|\\.|'')*')
    | (?P<DOLLAR_STRING>\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
    | (?P<QUOTED_NAME>"(?:[^"]|"")*")
    | (?P<WORD>[^\W\d][\w$]*|\#\w+)
    | (?P<NUMBER>(?:\d+(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    | (?P<SYMBOL>::|:=|\$\d+|<>|!=|<=|>=|\|\||\.\.)
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
    """Cuts `sql` into tokens, white space and comments included. Raises `UnterminatedToken`."""
    position = 0
    while position < len(sql):
        match = _TOKEN.match(sql, position)
        if match is None:
            raise UnterminatedToken(f"cannot read the SQL text at character {position + 1}")
        kind, text = match.lastgroup or "", match.group()
        if text == "/*":
            text = _block_comment(sql, position)
        if kind == "OTHER":
            if text in _UNTERMINATED:
                raise UnterminatedToken(f"unterminated {_UNTERMINATED[text]} at character {position + 1}")
            kind = "SYMBOL"
        yield Token(Kind[kind], text, position)
        position += len(text)


def _block_comment(sql: str, start: int) -> str:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return sql[start : edge.end()]
    raise UnterminatedToken(f"unterminated /* comment at character {start + 1}")


def significant(sql: str) -> list[Token]:
    """The tokens of `sql` without white space and comments. Raises `UnterminatedToken`."""
    return [token for token in tokens(sql) if token.kind not in {Kind.SPACE, Kind.COMMENT}]


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
    return [
        "".join(token.text for token in piece).strip()
        for piece in found
        if any(token.kind not in {Kind.SPACE, Kind.COMMENT} for token in piece)
    ]


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
