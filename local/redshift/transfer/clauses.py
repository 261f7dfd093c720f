"""The clauses that follow UNLOAD and COPY, read one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.redshift.sql import names
from local.redshift.sql.failures import NotImitated, SqlFailed
from local.redshift.sql.lexer import Kind, Token, closing, folded, string_value, tokens

if TYPE_CHECKING:
    from collections.abc import Collection


class Clauses:
    """A statement's tokens and how far they are read. What isn't as expected raises `SqlFailed`."""

    def __init__(self, statement: str, *, is_case_sensitive: bool) -> None:
        self._tokens = names.folded(list(tokens(statement)), is_case_sensitive=is_case_sensitive)
        self._next = 0

    def __bool__(self) -> bool:
        return self._next < len(self._tokens)

    @property
    def word(self) -> str:
        """The next token in upper case if it is a word, else empty; nothing is read."""
        return self._tokens[self._next].word if self else ""

    @property
    def text(self) -> str:
        """The next token as it is written, empty at the end; nothing is read."""
        return self._tokens[self._next].text if self else ""

    def token(self) -> Token:
        """Reads one token."""
        if not self:
            raise SqlFailed("syntax error at end of input")
        self._next += 1
        return self._tokens[self._next - 1]

    def one_of(self, words: Collection[str]) -> str:
        """Reads one of `words` if it comes next, and returns it; else reads nothing and returns an empty string."""
        word = self.word
        if word not in words:
            return ""
        self._next += 1
        return word

    def expect(self, word: str) -> None:
        """Reads `word`."""
        token = self.token()
        if word not in {token.word, token.text}:
            raise SqlFailed(f'syntax error at or near "{token.text}": {word} is expected')

    def string(self) -> str:
        """Reads a quoted string, after an optional AS, and returns what it stands for."""
        self.one_of({"AS"})
        token = self.token()
        if token.kind is not Kind.STRING:
            raise SqlFailed(f'syntax error at or near "{token.text}": a quoted string is expected')
        try:
            return string_value(token.text)
        except UnicodeDecodeError as error:
            raise SqlFailed("a quoted string is not valid UTF-8") from error

    def number(self) -> float:
        """Reads a number, after an optional AS."""
        self.one_of({"AS"})
        token = self.token()
        if token.kind is not Kind.NUMBER:
            raise SqlFailed(f'syntax error at or near "{token.text}": a number is expected')
        return float(token.text)

    def megabytes(self) -> float:
        """Reads a size, `n [MB | GB]`."""
        size = self.number()
        return size * 1024 if self.one_of({"MB", "GB"}) == "GB" else size

    def group(self) -> list[Token]:
        """Reads a group in parentheses, and returns the tokens in it."""
        self.expect("(")
        start, end = self._next, closing(self._tokens, self._next - 1)
        if end == len(self._tokens):
            raise SqlFailed("syntax error at end of input: ) is expected")
        self._next = end + 1
        return self._tokens[start:end]

    def role(self) -> str:
        """Reads `IAM_ROLE { default | 'arn' }`."""
        word = self.word
        if word != "IAM_ROLE":
            raise NotImitated(f"{word} in place of IAM_ROLE") if word else SqlFailed("IAM_ROLE is missing")
        self.token()
        if self.one_of({"DEFAULT"}):
            return "default"
        role = self.string()
        if role == "SESSION":
            raise NotImitated("IAM_ROLE 'SESSION'")
        return role


def name(token: Token) -> str:
    """The identifier that a token stands for. Raises `SqlFailed` if it is none."""
    if token.kind in {Kind.QUOTED_NAME, Kind.WORD}:
        return names.restored(folded(token))
    raise SqlFailed(f'syntax error at or near "{token.text}": a name is expected')
