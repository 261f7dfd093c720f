"""From the payload of a stored-procedure execution to one CALL statement with bound arguments."""

import json
import math
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from execution_input import USUAL_TIMEOUT_SECONDS, ExecutionInput, TimeoutSeconds
from statements.argument_types import SUPER, parse_type
from statements.data_api import MAX_SQL_BYTES, Statement
from statements.errors import ProcedureNotAllowed
from statements.identifiers import Identifier, parse_identifier, stored_part

MAX_TEXT_BYTES = 65_535  # VARCHAR's maximum, in bytes ("Character types" in the Redshift database guide)
MAX_ARGUMENTS = 32  # "Stored procedure limitations"

_QUOTED_OR_PLAIN = re.compile(r'"(?:[^"]|"")*"|[^"]+')
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


# A key of the ledger, and a name that a message can show.
SingletonName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,80}$")]
CheckedText = Annotated[str | None, AfterValidator(_check_scalar)]


class Argument(ExecutionInput):
    """One argument: a value, and the type that it is cast to; without one, Redshift finds the type.

    The value of a `super` is any JSON, that of every other type a scalar.
    """

    value: Any
    type: Annotated[str, AfterValidator(parse_type)] | None = None

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        if self.type == SUPER:
            _check_text(self.text)
        else:
            _check_scalar(self.value)
        return self

    @property
    def text(self) -> str:
        """The value as it is bound."""
        if self.type == SUPER:
            try:
                return json.dumps(self.value, ensure_ascii=False, allow_nan=False)
            except ValueError:
                raise ValueError("NaN and Infinity are not JSON numbers: give a string") from None
        return str(self.value).lower() if isinstance(self.value, bool) else str(self.value)

    def sql(self, placeholder: str) -> str:
        """The argument in SQL, where `placeholder` stands for its bound text."""
        # The Data API can bind neither NULL nor an empty string, so these two stand in the SQL.
        text = "NULL" if self.value is None else placeholder if self.text else "''"
        if self.type is None:
            return text
        if self.type == SUPER and self.value is not None:
            return f"JSON_PARSE({text})"
        return f"{text}::{self.type}"

    @property
    def is_bound(self) -> bool:
        """Whether the value is bound to a placeholder."""
        return self.value is not None and bool(self.text)


def _as_argument(value: Any) -> Any:
    if isinstance(value, dict | Argument):
        return value
    return Argument.model_construct(value=_check_scalar(value), type=None)


class ProcedureRequest(ExecutionInput):
    """The payload: `spname`, and either `event_message` or `arguments` (or neither, for a procedure without any).

    An argument is a scalar, or `{"value": …, "type": …}`. `keep_statement` lets the procedure run on when the execution
    is stopped. Of all executions that give the same `singleton` one runs at a time; another one fails, or waits if it
    says `wait`. `mail_on_success` has its success mailed, too. The state machine itself keeps to `timeout_seconds`.
    """

    spname: str
    event_message: CheckedText = None
    arguments: list[Annotated[Argument, BeforeValidator(_as_argument)]] = Field(
        default_factory=list, max_length=MAX_ARGUMENTS
    )
    keep_statement: bool = False
    singleton: SingletonName | None = None
    wait: bool = False
    timeout_seconds: TimeoutSeconds = USUAL_TIMEOUT_SECONDS
    mail_on_success: bool = False

    @model_validator(mode="after")
    def _one_kind_of_argument(self) -> Self:
        if {"event_message", "arguments"} <= self.model_fields_set:
            raise ValueError("give event_message or arguments, not both")
        if self.wait and self.singleton is None:
            raise ValueError("wait belongs to singleton: name what to wait for")
        if self.keep_statement and self.singleton is not None:
            raise ValueError("keep_statement is not for a singleton, whose name is free when the execution has ended")
        size = sum(len(argument.text.encode()) for argument in self.call_arguments)
        if size > MAX_SQL_BYTES:
            raise ValueError(f"the arguments have {size:,} bytes in all, more than {MAX_SQL_BYTES:,}: pass less")
        return self

    @property
    def call_arguments(self) -> Sequence[Argument]:
        """The procedure's arguments in order."""
        if "event_message" in self.model_fields_set:
            return [Argument.model_construct(value=self.event_message, type=None)]
        return self.arguments


def procedure_call(request: ProcedureRequest, allowed: Sequence[str]) -> Statement:
    """Return `CALL "schema"."procedure"(:a1, …)`.

    `allowed` holds shell-style patterns of procedure names as a person writes them (`public.sp_*`).
    Raises InvalidIdentifier and ProcedureNotAllowed.
    """
    procedure = parse_identifier(request.spname)
    _check_allowed(procedure, allowed)
    prefix = _placeholder_prefix(procedure.sql)
    numbered = {f"{prefix}{number}": argument for number, argument in enumerate(request.call_arguments, start=1)}
    arguments = ", ".join(argument.sql(f":{name}") for name, argument in numbered.items())
    parameters = {name: argument.text for name, argument in numbered.items() if argument.is_bound}
    return Statement(f"CALL {procedure.sql}({arguments})", parameters)


def _placeholder_prefix(procedure: str) -> str:
    """Return what placeholders begin with, such that none can be seen in a quoted name such as "at:a1".

    Whether the Data API looks for placeholders there is documented nowhere.
    """
    prefix = "a"
    while f":{prefix}" in procedure.lower():
        prefix += "_"
    return prefix


def _check_allowed(procedure: Identifier, allowed: Sequence[str]) -> None:
    if not any(_matches(procedure, pattern) for pattern in allowed):
        raise ProcedureNotAllowed(
            f"{procedure} matches none of the procedures that may be called ({', '.join(allowed)}): "
            "call one of these, with its schema, or widen the stack's AllowedProcedures parameter."
        )


def _matches(procedure: Identifier, pattern: str) -> bool:
    """Tell whether a pattern has as many parts as the name and each matches; `*` alone matches every name.

    As in a name, capitals outside of quotes stand for lower case, and quotes are no part of what they enclose.
    """
    if pattern == "*":
        return True
    patterns = [
        _QUOTED_OR_PLAIN.sub(lambda found: stored_part(found[0]), part).replace("[", "[[]")
        for part in _PATTERN_PART.findall(pattern)
    ]
    return len(procedure.parts) == len(patterns) and all(map(fnmatchcase, procedure.parts, patterns))
