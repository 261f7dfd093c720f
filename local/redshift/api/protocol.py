"""Requests of the Redshift Data API: what they may contain, by the API's own service model, and what isn't imitated."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

import botocore.session

from local.redshift.api.errors import NotImitatedError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.model import ServiceModel

Item = TypeVar("Item")

SERVICE = "redshift-data"

# "Using the Amazon Redshift Data API" in the Redshift management guide; the model has no maximum for SQL text.
MAX_SQL_BYTES = 200_000

_NOT_IMITATED = ("SessionId", "SessionKeepAliveSeconds")
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "structure": dict,
    "list": list,
}


@functools.cache
def service_model() -> ServiceModel:
    """The description that botocore has of the API: operations, members, lengths, patterns."""
    return botocore.session.get_session().get_service_model(SERVICE)


def parse(operation: str, body: bytes) -> dict[str, Any]:
    """Read the request of an operation, checked for types, required members, lengths, patterns and values.

    Raises `ValidationError`, which names the member and the rule that it breaks but never its value, and
    `NotImitatedError` if the request asks for something that the local API doesn't do.
    """
    try:
        request = json.loads(body or b"{}")
    except ValueError as error:
        raise ValidationError("the request is not JSON") from error
    shape = service_model().operation_model(operation).input_shape
    if shape is not None:
        _check(request, shape, "request")
    for member in _NOT_IMITATED:
        if member in request:
            raise NotImitatedError(member)
    if request.get("ResultFormat") == "CSV":
        raise NotImitatedError("ResultFormat CSV")
    for sql in [request["Sql"]] if "Sql" in request else request.get("Sqls", []):
        _check_sql(sql)
    return dict(request)


def page(items: Sequence[Item], request: dict[str, Any], size: int) -> tuple[Sequence[Item], str | None]:
    """The items from the request's NextToken on, as many as its MaxResults but at most `size`, and the next token.

    Raises `ValidationError` if it is none that this operation returned.
    """
    start = page_start(request, len(items))
    end = start + min(request.get("MaxResults") or size, size)
    return items[start:end], str(end) if end < len(items) else None


def page_start(request: dict[str, Any], available: int) -> int:
    """The index of the first item that the request's NextToken stands for.

    Raises `ValidationError` if it is none that this operation returned.
    """
    token = request.get("NextToken") or "0"
    if not re.fullmatch(r"\d{1,9}", token) or int(token) > available:
        raise ValidationError("NextToken is not a token that this operation returned")
    return int(token)


def _check_sql(sql: str) -> None:
    if not sql.strip():
        raise ValidationError("SQL statement cannot be empty")
    if len(sql.encode()) > MAX_SQL_BYTES:
        raise ValidationError(f"Cannot process query string larger than {MAX_SQL_BYTES // 1000}kB")


def _check(value: Any, shape: Any, name: str) -> None:
    expected = _JSON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (isinstance(value, bool) and shape.type_name != "boolean"):
        raise ValidationError(f"{name} must be of type {shape.type_name}")
    if isinstance(value, dict):
        _check_structure(value, shape, name)
    elif isinstance(value, list):
        for number, item in enumerate(value, 1):
            _check(item, shape.member, f"{name} {number}")
    _check_rules(value, shape, name)


def _check_structure(value: dict[str, Any], shape: Any, name: str) -> None:
    for member in shape.required_members:
        if member not in value:
            raise ValidationError(f"{name} must have {member}")
    for member, item in value.items():
        if member not in shape.members:
            raise NotImitatedError(f"{member} in {name}")
        _check(item, shape.members[member], member[0].lower() + member[1:])


def _check_rules(value: Any, shape: Any, name: str) -> None:
    rules = shape.metadata
    size = value if isinstance(value, int) else len(value)
    what = "be" if isinstance(value, int) else "have length"
    if "min" in rules and size < rules["min"]:
        raise ValidationError(f"{name} must {what} greater than or equal to {rules['min']}")
    if "max" in rules and size > rules["max"]:
        raise ValidationError(f"{name} must {what} less than or equal to {rules['max']}")
    if "pattern" in rules and not re.fullmatch(rules["pattern"], value):
        raise ValidationError(f"{name} must satisfy regex pattern: ^{rules['pattern']}$")
    if "enum" in rules and value not in rules["enum"]:
        raise ValidationError(f"{name} must be one of {', '.join(rules['enum'])}")
