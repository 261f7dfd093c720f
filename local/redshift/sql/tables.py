"""CREATE TABLE as Redshift writes it: how rows are spread, sorted and compressed is left out, the rest kept true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.redshift.sql.expressions import spaced, sql
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.lexer import Kind, Token, closing, split

if TYPE_CHECKING:
    from collections.abc import Sequence

# Words of a table's or column's physical layout, and how many tokens follow each; a parenthesis after them is
# dropped as well (AWS documentation: "CREATE TABLE").
_LAYOUT: Final = {"BACKUP": 1, "DISTSTYLE": 1, "DISTKEY": 0, "SORTKEY": 0, "ENCODE": 1}
# Types that hold 256 bytes if a column names no length (AWS documentation: "Character types").
_NO_LENGTH: Final = {"VARCHAR": "varchar", "NVARCHAR": "varchar", "TEXT": "varchar", "BPCHAR": "char"}


def rewrite(pieces: Sequence[Token]) -> list[Token]:
    """The text with each CREATE TABLE in it, and each ADD COLUMN, in PostgreSQL's words. Raises `NotImitated`."""
    written: list[Token] = []
    index = 0
    while index < len(pieces):
        words = [token.word for token in pieces[index : index + 4]]
        if words[0] == "CREATE" and "TABLE" in words:
            end = _statement_end(pieces, index)
            written += _create_table(pieces[index:end])
            index = end
        elif words[:2] == ["ADD", "COLUMN"]:
            end = _statement_end(pieces, index)
            written += [*pieces[index : index + 3], *_type_and_attributes(pieces[index + 3 : end])]
            index = end
        else:
            written.append(pieces[index])
            index += 1
    return written


def _statement_end(pieces: Sequence[Token], start: int) -> int:
    return next((i for i in range(start, len(pieces)) if pieces[i].kind is Kind.SEMICOLON), len(pieces))


def _create_table(statement: Sequence[Token]) -> list[Token]:
    """`CREATE … TABLE … [(definitions)] [layout] [AS query]`."""
    written: list[Token] = []
    index = 0
    if any(token.text.startswith('"#') for token in statement[2:6]):
        written, index = [statement[0], *sql(" TEMP")], 1  # a name that begins with # makes the table temporary
    while index < len(statement) and statement[index].word != "AS":
        token = statement[index]
        if token.text == "(":
            end = closing(statement, index)
            written += [token, *_definitions(statement[index + 1 : end]), *statement[end : end + 1]]
            index = end + 1
        elif written and written[-1].text != "." and (after := _after_layout(statement, index)):
            index = after
        else:
            written.append(token)
            index += 1
    return written + list(statement[index:])


def _after_layout(pieces: Sequence[Token], index: int) -> int | None:
    """The index behind a clause of the physical layout; None if none begins at `index`."""
    word = pieces[index].word
    if word in {"COMPOUND", "INTERLEAVED"}:
        index, word = index + 1, "SORTKEY"
    if word not in _LAYOUT:
        return None
    index += 1 + _LAYOUT[word]
    if word == "SORTKEY" and index < len(pieces) and pieces[index].word == "AUTO":
        return index + 1
    if index < len(pieces) and pieces[index].text == "(" and word in {"DISTKEY", "SORTKEY"}:
        return closing(pieces, index) + 1
    return index


def _definitions(pieces: Sequence[Token]) -> list[Token]:
    written: list[list[Token]] = []
    for definition in split(pieces):
        unnamed = definition[2:] if definition[0].word == "CONSTRAINT" else definition
        words = [token.word for token in unnamed[:2]]
        if words[0] in {"UNIQUE", "FOREIGN"}:
            continue  # Redshift keeps them as a hint and enforces nothing.
        if words == ["PRIMARY", "KEY"]:
            # Of a primary key Redshift enforces one thing: it isn't null.
            written += [[*sql(" NOT NULL"), *spaced(column)] for column in split(unnamed[3:-1])]
        elif words[0] == "LIKE" or len(definition) == 1:
            written.append(definition)
        else:
            name, *rest = definition
            written.append([name, *_type_and_attributes(rest)])
    separated = [[*sql(","), *definition] for definition in written[1:]]
    return [token for definition in [*written[:1], *separated] for token in definition]


def _type_and_attributes(pieces: Sequence[Token]) -> list[Token]:
    """What follows a column's name."""
    words = [token.word for token in pieces[:2]]
    type_length = 2 if words == ["CHARACTER", "VARYING"] else 1
    has_length = len(pieces) > type_length and pieces[type_length].text == "("
    written: list[Token] = list(pieces[:type_length])
    if not has_length and (type_length == 2 or words[0] in _NO_LENGTH):  # noqa: PLR2004 - CHARACTER VARYING
        written = sql(f" {_NO_LENGTH.get(words[0], 'varchar')}(256)")
    index = type_length
    while index < len(pieces):
        word, following = pieces[index].word, pieces[index + 1].word if index + 1 < len(pieces) else ""
        if after := _after_layout(pieces, index):
            index = after
        elif word == "IDENTITY":
            end = closing(pieces, index + 1)
            written += _identity(
                "" if pieces[index - 1].word == "AS" else "GENERATED ALWAYS AS ", pieces[index + 2 : end]
            )
            index = end + 1
        elif word == "PRIMARY" and following == "KEY":
            written += sql(" NOT NULL")
            index += 2
        elif word == "CONSTRAINT":
            index += 2
        elif word == "UNIQUE":
            index += 1
        elif word == "REFERENCES":
            index = _after_reference(pieces, index)
        elif word == "COLLATE":
            raise NotImitated("COLLATE")
        else:
            end = closing(pieces, index) if pieces[index].text == "(" else index
            written += pieces[index : end + 1]
            index = end + 1
    return written


def _identity(generated: str, seed_and_step: Sequence[Token]) -> list[Token]:
    """`IDENTITY(seed, step)`."""
    seed, step = ("".join(token.text for token in part) for part in split(seed_and_step))
    bound = "MAXVALUE" if step.startswith("-") else "MINVALUE"
    return sql(f" {generated}IDENTITY (START WITH {seed} INCREMENT BY {step} {bound} {seed})")


def _after_reference(pieces: Sequence[Token], index: int) -> int:
    """The index behind `REFERENCES table [(column)]`."""
    index += 2
    while index < len(pieces) and pieces[index].text == ".":
        index += 2
    return closing(pieces, index) + 1 if index < len(pieces) and pieces[index].text == "(" else index
