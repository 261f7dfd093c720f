"""Identifiers as Redshift takes them: which case they have, and up to 127 bytes where PostgreSQL has room for 63.

A longer name than PostgreSQL's stands there as its beginning and a digest of the whole, and is restored wherever a name
leaves the engine. (AWS documentation: "Names and identifiers".)
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from local.redshift.sql.lexer import Kind, Token

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_BYTES: Final = 127
_POSTGRESQL_MAX_BYTES: Final = 63
_DIGEST: Final = 16
_SHORTENED: Final = re.compile(rf'[^\s"~.]+~[0-9a-f]{{{_DIGEST}}}')
# A shortened name says by itself which name it stands for, so this only ever grows by the same pairs.
_full_names: dict[str, str] = {}
# Words before a user's name, in the statements in which one stands.
_BEFORE_A_USER: Final = frozenset({"USER", "TO", "FROM", ","})
_STATEMENTS_WITH_USERS: Final = frozenset({"CREATE", "ALTER", "DROP", "GRANT", "REVOKE"})


def folded(pieces: Sequence[Token], *, is_case_sensitive: bool) -> list[Token]:
    """The tokens with quoted names in the case that Redshift gives them, and with names that PostgreSQL has room for.

    `is_case_sensitive` is the session's enable_case_sensitive_identifier. The name of a user in quotes always keeps its
    case.
    """
    first = next((token.word for token in pieces if token.word), "")
    may_name_users = first in _STATEMENTS_WITH_USERS
    written: list[Token] = []
    for index, token in enumerate(pieces):
        text = token.text
        if token.kind is Kind.QUOTED_NAME:
            before = pieces[index - 1] if index else token
            is_user = may_name_users and (before.word or before.text) in _BEFORE_A_USER and _is_about_users(pieces)
            text = text if is_case_sensitive or is_user else text.lower()
            text = '"' + shortened(text[1:-1].replace('""', '"')).replace('"', '""') + '"'
        elif token.kind is Kind.WORD and (len(text.encode()) > _POSTGRESQL_MAX_BYTES or text.startswith("#")):
            text = '"' + shortened(text.lower()) + '"'
            token = token._replace(kind=Kind.QUOTED_NAME)  # noqa: PLW2901 - it has a "~" or a "#"
        written.append(token._replace(text=text))
    return written


def _is_about_users(pieces: Sequence[Token]) -> bool:
    words = [token.word for token in pieces]
    return words[0] in {"GRANT", "REVOKE"} or "USER" in words[:2] or "OWNER" in words


def shortened(identifier: str) -> str:
    """The name that PostgreSQL knows an identifier by: itself, unless it is longer than 63 bytes."""
    encoded = identifier.encode()
    if len(encoded) <= _POSTGRESQL_MAX_BYTES:
        return identifier
    full = encoded[:_MAX_BYTES].decode(errors="ignore")  # Redshift cuts there
    digest = hashlib.sha256(full.encode()).hexdigest()[:_DIGEST]
    beginning = full.encode()[: _POSTGRESQL_MAX_BYTES - _DIGEST - 1].decode(errors="ignore")
    short = f"{beginning}~{digest}"
    _full_names[short] = full
    return short


def restored(text: str) -> str:
    """A name, or a message, with each shortened name in it written out."""
    if "~" not in text:
        return text
    return _SHORTENED.sub(lambda match: _full_names.get(match.group(), match.group()), text)


def quoted(identifier: str) -> str:
    """The identifier in quotes, for PostgreSQL."""
    return '"' + shortened(identifier).replace('"', '""') + '"'
