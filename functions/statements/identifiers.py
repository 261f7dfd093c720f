"""Names of database objects, which can't be bound as values: they are read strictly and quoted."""

import re
from dataclasses import dataclass

from statements.errors import InvalidIdentifier

_MAX_BYTES = 127  # "Names and identifiers" in the Amazon Redshift developer guide
_PLAIN = r"[A-Za-z_\u0080-\U0010FFFF][A-Za-z0-9_$\u0080-\U0010FFFF]*"
_QUOTED = r'"(?:[^"\x00-\x1f\x7f]|"")+"'
_PART = re.compile(rf"{_PLAIN}|{_QUOTED}")
_FOLDED = re.compile(r"[a-z_][a-z0-9_$]*")


@dataclass(frozen=True)
class Identifier:
    """A name of one or more parts: unquoted ones in lower case, quoted ones as written.

    Redshift stores letters in lower case from quotes too, unless enable_case_sensitive_identifier is on.
    """

    parts: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The name for use in SQL, each part in double quotes, so that reserved words and any character are safe."""
        return ".".join(_quote(part) for part in self.parts)

    def __str__(self) -> str:
        """The name as a person writes it: a part is quoted only where it must be."""
        return ".".join(part if _FOLDED.fullmatch(part) else _quote(part) for part in self.parts)


def parse_identifier(text: str, max_parts: int = 3) -> Identifier:
    """Read `name`, `schema.name` or `database.schema.name`; a part may stand in double quotes.

    Raises InvalidIdentifier for anything else.
    """
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(stored_part(match.group()))
        position = match.end()
        if position == len(text):
            break
        if text[position] != ".":
            raise _invalid(text, max_parts)
        position += 1
    else:
        raise _invalid(text, max_parts)
    if len(parts) > max_parts:
        raise _invalid(text, max_parts)
    for part in parts:
        if len(_utf8(part, text, max_parts)) > _MAX_BYTES:
            raise InvalidIdentifier(
                f"{part[:40]!r}… is longer than the {_MAX_BYTES} bytes that Redshift allows for a name: shorten it."
            )
    return Identifier(tuple(parts))


def stored_part(part: str) -> str:
    """Return one part of a name as it is stored: without its quotes, or else with ASCII letters in lower case."""
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return "".join(letter.lower() if letter.isascii() else letter for letter in part)


def _quote(part: str) -> str:
    return '"' + part.replace('"', '""') + '"'


def _utf8(part: str, text: str, max_parts: int) -> bytes:
    try:
        return part.encode()
    except UnicodeEncodeError as error:
        raise _invalid(text, max_parts) from error


def _invalid(text: str, max_parts: int) -> InvalidIdentifier:
    shown = text if len(text) <= 200 else text[:200] + "…"  # noqa: PLR2004
    if max_parts == 1:
        wanted = 'one name of letters, digits, _ and $ or in double quotes, such as my_name or "My name"'
    else:
        wanted = (
            f"a name of one to {max_parts} parts joined by dots, each of letters, digits, _ and $ or in double quotes, "
            'such as public.my_name or public."My name"'
        )
    return InvalidIdentifier(f"{shown!r} is not an identifier: give {wanted}.")
