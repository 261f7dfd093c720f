"""CREATE PROCEDURE, the PL/pgSQL in its body, and CALL, where Redshift's differ from PostgreSQL's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from local.redshift.sql import names
from local.redshift.sql.expressions import sql
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.lexer import Kind, Token, closing, folded, split, string_value, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from local.redshift.sql.session import Session

_STRINGS: Final = frozenset({Kind.STRING, Kind.DOLLAR_STRING})
_NOT_IN_A_BODY: Final = frozenset({"COPY", "UNLOAD", "VACUUM"})
# Where a statement of PL/pgSQL can begin: the words and symbols it can follow.
_BEFORE_A_STATEMENT: Final = frozenset({";", "BEGIN", "THEN", "ELSE", "LOOP", ">"})


def is_create_routine(statement: Sequence[Token]) -> bool:
    """Whether the statement creates a procedure or an SQL function."""
    words = [token.word for token in statement[:4] if token.word not in {"OR", "REPLACE"}]
    return words[:2] in (["CREATE", "PROCEDURE"], ["CREATE", "FUNCTION"])


def with_body(
    statement: Sequence[Token], rewrite: Callable[[Sequence[Token]], list[Token]], session: Session
) -> list[Token]:
    """CREATE PROCEDURE or FUNCTION with its body rewritten by `rewrite`, and its transactions as Redshift's.

    Raises `NotImitated`, `UnterminatedToken`.
    """
    if any(token.word == "NONATOMIC" for token in statement):
        raise NotImitated("NONATOMIC")
    written = list(statement)
    for index, (before, token) in enumerate(itertools.pairwise(statement), start=1):
        if before.word == "AS" and token.kind in _STRINGS:
            body = names.folded(list(tokens(string_value(token.text))), is_case_sensitive=session.is_case_sensitive)
            text = text_of(_transactions(rewrite(body)))
            tag = next(tag for tag in (f"$body{number}$" for number in itertools.count()) if tag not in text)
            written[index] = token._replace(kind=Kind.DOLLAR_STRING, text=f"{tag}{text}\n{tag}")
    return written


def _transactions(body: Sequence[Token]) -> list[Token]:
    """A TRUNCATE commits; an exception handler runs in a new transaction, commits, and the error goes on.

    AWS documentation: "Managing transactions", "Trapping errors".
    """
    written: list[Token] = []
    handlers: list[int] = []  # where each open exception handler ends
    starts_statement, truncates = True, False
    for index, token in enumerate(body):
        if handlers and handlers[-1] == index:
            handlers.pop()
            written += sql(" COMMIT; RAISE;")
        if starts_statement and token.word in _NOT_IN_A_BODY:
            raise NotImitated(f"{token.word} in a procedure")
        if starts_statement and token.word == "CREATE":
            # Of several transactions that would create the same table, the others wait, and find it.
            written += sql(" PERFORM pg_advisory_xact_lock(1);")
        truncates = truncates or (starts_statement and token.word == "TRUNCATE")
        written.append(token)
        if token.word == "EXCEPTION" and body[index - 1].word != "RAISE":
            handlers.append(_end_of_handler(body, index))
        elif token.word == "THEN" and body[index - 3].word == "EXCEPTION":
            written += sql(" ROLLBACK;")
        elif token.kind is Kind.SEMICOLON and truncates:
            written += sql(" COMMIT;")
            truncates = False
        starts_statement = token.text in {";", ">"} or token.word in _BEFORE_A_STATEMENT
    return written


def _end_of_handler(body: Sequence[Token], exception: int) -> int:
    """The index of the END that closes the block whose EXCEPTION section begins at index `exception`."""
    when_others = [token.word for token in body[exception + 1 : exception + 4]]
    if when_others != ["WHEN", "OTHERS", "THEN"]:
        raise NotImitated("an exception handler for anything but OTHERS")
    depth = 0
    index = exception + 4
    while index < len(body):
        word, before = body[index].word, body[index - 1]
        starts_statement = before.text in _BEFORE_A_STATEMENT or before.word in _BEFORE_A_STATEMENT
        if word == "END":
            if depth == 0:
                return index
            depth -= 1
            index += 1 if index + 1 < len(body) and body[index + 1].word in {"IF", "LOOP", "CASE"} else 0
        elif word in {"BEGIN", "CASE", "LOOP"} or (word == "IF" and starts_statement):
            depth += 1
        elif word == "WHEN" and depth == 0:
            raise NotImitated("an exception handler for anything but OTHERS")
        index += 1
    return len(body)


def with_outputs(call: Sequence[Token], session: Session) -> list[Token]:
    """CALL with a NULL for each OUT argument, which Redshift's CALL leaves out and PostgreSQL's wants.

    Raises `NotImitated` if the arguments fit several procedures whose OUT arguments stand in different places.
    """
    opening = next((index for index, token in enumerate(call) if token.text == "("), len(call))
    name = [folded(token) for token in call[1:opening] if token.text != "."]
    given = split(call[opening + 1 : closing(call, opening)])
    if not name:
        return list(call)
    candidates = session.modes([names.shortened(part) for part in name])
    fitting = [modes for modes in candidates if sum(mode != "o" for mode in modes) == len(given)]
    if len(fitting) > 1 and any("o" in modes for modes in fitting):
        raise NotImitated(f"CALL of {name[-1]}, whose variants differ in their OUT arguments,")
    if len(fitting) != 1:
        return list(call)
    inputs = iter(given)
    arguments = [sql(" NULL") if mode == "o" else next(inputs) for mode in fitting[0]]
    separated = [token for argument in arguments for token in (*sql(","), *argument)][1:]
    return [*call[: opening + 1], *separated, *sql(")")]
