"""From the payload of a stored-procedure execution to one CALL statement with bound arguments."""

import math
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from statements.data_api import Statement
from statements.errors import ProcedureNotAllowed
from statements.identifiers import Identifier, parse_identifier
from statements.inputs import ExecutionInput
from statements.names import StatementKind

MAX_TEXT_BYTES = 65_535  # VARCHAR's maximum, in bytes ("Character types" in the Redshift database guide)
MAX_CALL_BYTES = 100_000  # the Data API's older, lower limit for one query string; newer pages say 200 KB

_QUOTED_OR_CAPITALS = re.compile(r'"(?:[^"]|"")*"|[A-Z]+')
_PATTERN_PART = re.compile(r'(?:"(?:[^"]|"")*"|[^."])+')

Scalar = str | int | float | bool | None


def _check_scalar(value: Any) -> Scalar:
    if not isinstance(value, str | int | float | None):
        raise ValueError("give a string, number, boolean or null")  # noqa: TRY004 (pydantic collects ValueErrors)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("NaN and Infinity are not JSON numbers: give a string if the procedure takes one")
    if isinstance(value, str):
        _check_text(value)
    return value


def _check_text(text: str) -> None:
    if "\0" in text:
        raise ValueError("contains the character U+0000, which Redshift cannot store: remove it")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("contains half of a surrogate pair, which is not text: remove it") from None
    if size > MAX_TEXT_BYTES:
        raise ValueError(f"has {size:,} bytes as UTF-8, more than VARCHAR's {MAX_TEXT_BYTES:,}: shorten it")


CheckedScalar = Annotated[Any, AfterValidator(_check_scalar)]
CheckedText = Annotated[str | None, AfterValidator(_check_scalar)]


class ProcedureRequest(ExecutionInput):
    """The payload: `spname`, and either `event_message` or `arguments` (or neither, for a procedure without any)."""

    spname: str
    event_message: CheckedText = None
    arguments: list[CheckedScalar] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_kind_of_argument(self) -> "ProcedureRequest":
        if {"event_message", "arguments"} <= self.model_fields_set:
            raise ValueError("give event_message or arguments, not both")
        size = sum(len(str(value).encode()) for value in self.values)
        if size > MAX_CALL_BYTES:
            raise ValueError(f"the arguments have {size:,} bytes in all, more than {MAX_CALL_BYTES:,}: pass less")
        return self

    @property
    def values(self) -> Sequence[Scalar]:
        """The procedure's arguments in order."""
        return [self.event_message] if "event_message" in self.model_fields_set else self.arguments


def procedure_call(request: ProcedureRequest, allowed: Sequence[str]) -> Statement:
    """`CALL "schema"."procedure"(:a1, …)`.

    `allowed` holds shell-style patterns of procedure names as a person writes them (`public.sp_*`).
    Raises InvalidIdentifier and ProcedureNotAllowed.
    """
    procedure = parse_identifier(request.spname)
    _check_allowed(procedure, allowed)
    arguments = []
    parameters = {}
    for number, value in enumerate(request.values, start=1):
        match value:
            # The Data API can bind neither NULL nor an empty string, so these two stand in the SQL.
            case None:
                arguments.append("NULL")
            case "":
                arguments.append("''")
            case _:
                parameters[f"a{number}"] = _text(value)
                arguments.append(f":a{number}")
    sql = f"CALL {procedure.sql}({', '.join(arguments)})"
    return Statement(StatementKind.STORED_PROCEDURE, sql, parameters)


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_allowed(procedure: Identifier, allowed: Sequence[str]) -> None:
    if not any(_matches(procedure, pattern) for pattern in allowed):
        raise ProcedureNotAllowed(
            f"{procedure} matches none of the procedures that may be called ({', '.join(allowed)}): "
            "call one of these, with its schema, or widen the stack's AllowedProcedures parameter."
        )


def _matches(procedure: Identifier, pattern: str) -> bool:
    """Whether a pattern has as many parts as the name and each matches; `*` alone matches every name.

    As in a name, capitals outside of quotes stand for lower case.
    """
    if pattern == "*":
        return True
    names = [str(Identifier((part,))) for part in procedure.parts]
    folded = _QUOTED_OR_CAPITALS.sub(lambda found: found[0] if found[0][0] == '"' else found[0].lower(), pattern)
    patterns = [part.replace("[", "[[]") for part in _PATTERN_PART.findall(folded)]
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))
