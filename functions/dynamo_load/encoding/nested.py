"""SUPER values: JSON text turned into DynamoDB's typed JSON, with exact numbers."""

from __future__ import annotations

import json
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import pyarrow as pa

from dynamo_load.encoding.numbers import normal_number
from dynamo_load.encoding.numbers import size as number_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", nested attribute depth: 32 levels, and the service counts
# the value inside the innermost list or map as one of them.
_MAX_LEVELS = 32
_MAX_CONTAINERS = _MAX_LEVELS - 1
# DynamoDB Developer Guide, "DynamoDB item sizes and formats": a list or map costs 3 bytes and 1 for each element.
_CONTAINER_BYTES = 3
_ELEMENT_BYTES = 1


class _Number(str):
    """A JSON number, kept as the text it was written in."""

    __slots__ = ()


class _ValueFault(Exception):
    """A value that DynamoDB can't hold."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def typed_json(texts: pa.Array, faults: RowFaults) -> pa.Array:
    """Return each JSON text as a DynamoDB attribute value, for example `{"L":[{"N":"1.10"}]}`.

    Takes and returns `large_string`. A JSON `null` becomes `{"NULL":true}`, SQL's NULL stays null. Text that isn't
    JSON, more than 32 levels, an empty name in a map and numbers outside DynamoDB's range are faults.
    """
    encoded: list[str | None] = []
    for row, text in enumerate(texts.to_pylist()):
        if text is None:
            encoded.append(None)
            continue
        try:
            encoded.append(_unicode(_attribute_value(_parse(text), _MAX_CONTAINERS)))
        except _ValueFault as fault:
            faults.add(np.array([row]), fault.reason, str(fault))
            encoded.append(None)
    return pa.array(encoded, pa.large_string())


def sizes(texts: pa.Array) -> NDArray[np.int64]:
    """Return the bytes DynamoDB counts for each JSON text that `typed_json` found no fault in, 0 for null."""
    return np.array([0 if text is None else _size(_parse(text)) for text in texts.to_pylist()], dtype=np.int64)


def _refuse_constant(_name: str) -> NoReturn:
    raise _ValueFault("super_not_json", "NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)


def _parse(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _ValueFault("super_not_json", f"not JSON at character {error.pos}") from error
    except RecursionError as error:
        raise _ValueFault("nesting_too_deep", f"more than {_MAX_LEVELS} levels") from error


def _unicode(text: str) -> str:
    """Return the text, unless an escape brought half of a surrogate pair into it, which no UTF-8 can carry."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise _ValueFault("super_not_json", "half of a surrogate pair") from error
    return text


def _attribute_value(value: Any, containers_left: int) -> str:
    match value:
        case _Number():
            number = normal_number(value)
            if number is None:
                raise _ValueFault("number_out_of_range", "beyond 38 digits or outside 1E-130 to 9.99E+125")
            return f'{{"N":"{number}"}}'
        case str():
            return f'{{"S":{encode_basestring(value)}}}'
        case bool():
            return '{"BOOL":true}' if value else '{"BOOL":false}'
        case None:
            return '{"NULL":true}'
    if not containers_left:
        raise _ValueFault("nesting_too_deep", f"more than {_MAX_LEVELS} levels")
    if isinstance(value, list):
        return f'{{"L":[{",".join([_attribute_value(element, containers_left - 1) for element in value])}]}}'
    if "" in value:
        raise _ValueFault("attribute_name_empty", "a map has an empty name")
    members = [
        f"{encode_basestring(name)}:{_attribute_value(member, containers_left - 1)}" for name, member in value.items()
    ]
    return f'{{"M":{{{",".join(members)}}}}}'


def _size(value: Any) -> int:
    match value:
        case _Number():
            return number_size(value)
        case str():
            return len(value.encode())
        case list():
            return _CONTAINER_BYTES + sum(_ELEMENT_BYTES + _size(element) for element in value)
        case dict():
            return _CONTAINER_BYTES + sum(
                _ELEMENT_BYTES + len(name.encode()) + _size(member) for name, member in value.items()
            )
    return 1
