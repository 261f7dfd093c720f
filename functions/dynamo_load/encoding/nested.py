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
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", nested attribute depth: 32 levels, and the service counts
# the value inside the innermost list or map as one of them.
_MAX_LEVELS = 32
_MAX_CONTAINERS = _MAX_LEVELS - 1
# "Constraints in Amazon DynamoDB", attribute names; that it holds for nested ones, too, was measured on AWS
# (github.com/ExtendDB/extenddb, issue 365).
_MAX_NAME_BYTES = 65_535
_MAX_BYTES_OF_CHARACTER = 4
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

    Takes and returns `large_string`. SQL's NULL stays null, and a JSON `null` becomes null as well, for UNLOAD may
    write the one as the other; inside of a document it is `{"NULL":true}`. Text that isn't JSON, more than 32 levels, a
    name in a map that is empty, too long or there twice, and numbers outside DynamoDB's range are faults.
    """
    encoded: list[str | None] = []
    for row, text in enumerate(texts.to_pylist()):
        try:
            value = None if text is None else _parse(text)
            encoded.append(None if value is None else _unicode(_attribute_value(value, _MAX_CONTAINERS)))
        except _ValueFault as fault:
            faults.add(np.array([row]), fault.reason, str(fault))
            encoded.append(None)
    return pa.array(encoded, pa.large_string())


def sizes(texts: pa.Array) -> NDArray[np.int64]:
    """Return the bytes DynamoDB counts for each JSON text that `typed_json` found no fault in, 0 for null."""
    values = (None if text is None else _parse(text) for text in texts.to_pylist())
    return np.array([0 if value is None else _size(value) for value in values], dtype=np.int64)


def _refuse_constant(_name: str) -> NoReturn:
    raise _ValueFault("super_not_json", "NaN and Infinity are not JSON")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _ValueFault("attribute_name_twice", "a map has a name twice, and DynamoDB could keep one value only")
    return members


_DECODER = json.JSONDecoder(
    parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant, object_pairs_hook=_members
)


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
    _check_names(value)
    members = [
        f"{encode_basestring(name)}:{_attribute_value(member, containers_left - 1)}" for name, member in value.items()
    ]
    return f'{{"M":{{{",".join(members)}}}}}'


def _check_names(names: Iterable[str]) -> None:
    for name in names:
        if not name:
            raise _ValueFault("attribute_name_empty", "a map has an empty name")
        if len(name) * _MAX_BYTES_OF_CHARACTER > _MAX_NAME_BYTES and len(name.encode()) > _MAX_NAME_BYTES:
            raise _ValueFault("attribute_name_too_long", f"a map has a name of over {_MAX_NAME_BYTES} bytes")


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
