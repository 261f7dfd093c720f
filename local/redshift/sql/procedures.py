"""CREATE PROCEDURE, the PL/pgSQL in its body, and CALL, where Redshift's differ from PostgreSQL's."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from local.redshift.sql import names, queries
from local.redshift.sql.expressions import spaced, sql
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.lexer import Kind, Token, closing, folded, split, string_literal, string_value, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from local.redshift.sql.session import Session

_STRINGS: Final = frozenset({Kind.STRING, Kind.DOLLAR_STRING})
_NOT_IN_A_BODY: Final = frozenset({"VACUUM"})
_QUERIES: Final = frozenset({"SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "CREATE"})
_TRANSFERS: Final = frozenset({"COPY", "UNLOAD"})
# The words before an EXECUTE that does not begin a statement, and those after its expression.
_BEFORE_EXECUTE: Final = frozenset({"IN", "FOR", "QUERY"})
_AFTER_EXECUTE: Final = frozenset({"INTO", "USING", "LOOP"})
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
            text = text_of(_transactions(rewrite(_with_transfers(_understood(body, session)))))
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
    ends_of_dynamic: set[int] = set()
    for index, token in enumerate(body):
        if index in ends_of_dynamic:
            written += sql(")")
        if handlers and handlers[-1] == index:
            handlers.pop()
            written += sql(" COMMIT; RAISE;")
        if starts_statement and token.word in _NOT_IN_A_BODY:
            raise NotImitated(f"{token.word} in a procedure")
        if starts_statement and token.word == "CREATE":
            # Of several transactions that would create the same table, the others wait, and find it.
            written += sql(" PERFORM pg_advisory_xact_lock(1);")
        if token.word == "EXECUTE" and (starts_statement or body[index - 1].word in _BEFORE_EXECUTE):
            # What the text says is known when it is executed, and translated then.
            written += [token, *sql(" redshift.translated(")]
            ends_of_dynamic.add(_end_of_expression(body, index + 1))
            starts_statement = False
            continue
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


def _statements(body: Sequence[Token], words: Collection[str]) -> Iterator[tuple[list[Token], bool]]:
    """The body in parts: each statement that begins with one of `words`, without its semicolon, and what is between."""
    between: list[Token] = []
    starts_statement, index = True, 0
    while index < len(body):
        token = body[index]
        if starts_statement and token.word in words:
            end = next((at for at in range(index, len(body)) if body[at].kind is Kind.SEMICOLON), len(body))
            yield between, False
            yield list(body[index:end]), True
            between, index = [], end
            starts_statement = False
            continue
        between.append(token)
        starts_statement = token.text in {";", ">"} or token.word in _BEFORE_A_STATEMENT
        index += 1
    yield between, False


def _understood(body: Sequence[Token], session: Session) -> list[Token]:
    """The queries of the body, as far as the tables in them exist by now."""
    written: list[Token] = []
    for part, is_query in _statements(body, _QUERIES):
        if is_query:
            text = text_of(part)
            understood = queries.understood(text.strip(), session).text
            written += part if understood == text.strip() else spaced(list(tokens(understood)), part[0].before)
        else:
            written += part
    return written


def _with_transfers(body: Sequence[Token]) -> list[Token]:
    """UNLOAD and COPY as dynamic SQL: PostgreSQL could read neither."""
    written: list[Token] = []
    for part, is_transfer in _statements(body, _TRANSFERS):
        statement = string_literal(text_of(part).strip())
        written += sql(f"{part[0].before}EXECUTE {statement}") if is_transfer else part
    return written


def _end_of_expression(body: Sequence[Token], start: int) -> int:
    """The index behind the expression that an EXECUTE executes."""
    depth = 0
    for index in range(start, len(body)):
        token = body[index]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and (token.kind is Kind.SEMICOLON or token.word in _AFTER_EXECUTE):
            return index
    return len(body)


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
