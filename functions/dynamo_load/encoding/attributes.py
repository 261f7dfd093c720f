"""What each column of an unload becomes in a DynamoDB item: its data type, its text and its size."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dynamo_load.encoding import json_strings, nested, numbers, times
from dynamo_load.errors import UnsupportedColumnName, UnsupportedColumnType

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

DataType = Literal["S", "N", "B", "BOOL", "M"]

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", naming rules.
_MAX_NAME_BYTES = 65_535


@dataclass(frozen=True)
class ValueKind:
    """How the values of one kind of column are written and counted.

    `text(values, faults)` gives their JSON text without the DynamoDB type around it (`large_string`, null where there
    is no value) and reports what DynamoDB can't take. `sizes(values, text, rows)` gives the bytes DynamoDB counts for
    the values of these rows, without the attribute's name, 0 for null.
    """

    data_type: DataType
    text: Callable[[pa.Array, RowFaults], pa.Array]
    sizes: Callable[[pa.Array, pa.Array, NDArray[np.int64]], NDArray[np.int64]]

    @property
    def opening(self) -> str:
        """What stands before a value's text."""
        return {"S": '{"S":"', "N": '{"N":"', "B": '{"B":"', "BOOL": '{"BOOL":', "M": ""}[self.data_type]

    @property
    def closing(self) -> str:
        """What stands behind a value's text."""
        return {"S": '"}', "N": '"}', "B": '"}', "BOOL": "}", "M": ""}[self.data_type]


@dataclass(frozen=True)
class Attribute:
    """One column as an attribute of the item, `opening + text + closing` where the row has a value."""

    name: str
    kind: ValueKind

    @property
    def opening(self) -> str:
        """What stands before a value's text, from the attribute's name on."""
        return f"{json.dumps(self.name, ensure_ascii=False)}:{self.kind.opening}"

    @property
    def closing(self) -> str:
        """What stands behind a value's text."""
        return self.kind.closing

    @property
    def name_bytes(self) -> int:
        """Return the bytes DynamoDB counts for the name."""
        return len(self.name.encode())


def attribute(field: pa.Field, *, is_super: bool = False, is_ttl: bool = False) -> Attribute:
    """Return the attribute that a column becomes.

    A column is SUPER if the manifest says so (`is_super`), or Parquet, which has a type of its own for JSON text.
    Raises UnsupportedColumnName if DynamoDB has no such attribute name, UnsupportedColumnType if values of this Arrow
    type have no place in an item, or not the place asked for.
    """
    name_bytes = len(field.name.encode())
    if not 0 < name_bytes <= _MAX_NAME_BYTES:
        raise UnsupportedColumnName(
            f"a column name has {name_bytes} bytes, DynamoDB's attribute names have 1 to {_MAX_NAME_BYTES}: "
            "give the column an alias in the query."
        )
    arrow_type = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if isinstance(arrow_type, pa.JsonType):
        is_super, arrow_type = True, arrow_type.storage_type
    if is_ttl:
        kind = _ttl_kind(arrow_type)
        purpose = "as time to live, which takes a number, a date or a timestamp"
    elif is_super:
        kind = NESTED if is_text(arrow_type) else None
        purpose = "as SUPER, which UNLOAD writes as JSON text"
    else:
        kind = _kind(arrow_type)
        purpose = "in a DynamoDB item: cast it to VARCHAR in the query"
    if kind is None:
        raise UnsupportedColumnType(f"column {field.name!r} of type {field.type} has no place {purpose}.")
    return Attribute(field.name, kind)


def plain_values(values: pa.Array) -> pa.Array:
    """Return a column's values without dictionary, and text, JSON and binary in the one layout the encoders take."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if isinstance(values.type, pa.JsonType):
        values = values.storage
    if is_text(values.type):
        return values.cast(pa.large_string())
    if _is_binary(values.type):
        return values.cast(pa.large_binary())
    return values


def _kind(arrow_type: pa.DataType) -> ValueKind | None:
    for of_type, kind in _KINDS:
        if of_type(arrow_type):
            return kind
    return None


def _ttl_kind(arrow_type: pa.DataType) -> ValueKind | None:
    if pa.types.is_integer(arrow_type):
        return INTEGER
    if _is_decimal(arrow_type) or _is_float(arrow_type):
        return TTL_NUMBER
    if pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type):
        return TTL_TIME
    return None


def is_text(arrow_type: pa.DataType) -> bool:
    """Whether values of this Arrow type are text, in whichever layout."""
    return bool(
        pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type) or pa.types.is_string_view(arrow_type)
    )


def _is_binary(arrow_type: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(arrow_type)
        or pa.types.is_large_binary(arrow_type)
        or pa.types.is_binary_view(arrow_type)
        or pa.types.is_fixed_size_binary(arrow_type)
    )


def _is_decimal(arrow_type: pa.DataType) -> bool:
    return bool(
        pa.types.is_decimal(arrow_type)
        and arrow_type.precision <= numbers.MAX_DIGITS
        and 0 <= arrow_type.scale <= numbers.MAX_DIGITS
    )


def _is_float(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_float32(arrow_type) or pa.types.is_float64(arrow_type))


def _string_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    return json_strings.escape(json_strings.without_broken_utf8(values, faults))


def _exact_text(values: pa.Array, _faults: RowFaults) -> pa.Array:
    return numbers.exact_text(values)


def _boolean_text(values: pa.Array, _faults: RowFaults) -> pa.Array:
    return values.cast(pa.large_string())


def _base64_text(values: pa.Array, _faults: RowFaults) -> pa.Array:
    """Row by row: UNLOAD refuses VARBYTE in Parquet, so binary only comes from files of another origin."""
    encoded = [None if value is None else b64encode(value).decode() for value in values.to_pylist()]
    return pa.array(encoded, pa.large_string())


def _nested_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    return nested.typed_json(json_strings.without_broken_utf8(values, faults), faults)


def _ttl_number_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Time to live takes whole seconds, so a fraction is dropped."""
    if _is_float(values.type):
        return numbers.float_text(pc.trunc(values), faults)
    return numbers.exact_text(values.cast(pa.decimal128(numbers.MAX_DIGITS, 0), safe=False))


def _ttl_time_text(values: pa.Array, _faults: RowFaults) -> pa.Array:
    return numbers.exact_text(times.epoch_seconds(values))


def _value_bytes(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(pc.binary_length(values).fill_null(0).to_numpy()[rows])


def _text_bytes(_values: pa.Array, text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return _value_bytes(text, text, rows)


def _integer_bytes(_values: pa.Array, text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers.integer_sizes(text.take(pa.array(rows)))


def _number_bytes(_values: pa.Array, text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers.sizes(text.take(pa.array(rows)))


def _one_byte(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False)[rows], dtype=np.int64)


def _nested_bytes(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return nested.sizes(values.take(pa.array(rows)))


STRING = ValueKind("S", _string_text, _value_bytes)
DATE = ValueKind("S", times.date_text, _text_bytes)
TIMESTAMP = ValueKind("S", times.timestamp_text, _text_bytes)
TIME = ValueKind("S", times.time_text, _text_bytes)
INTEGER = ValueKind("N", _exact_text, _integer_bytes)
DECIMAL = ValueKind("N", _exact_text, _number_bytes)
FLOAT = ValueKind("N", numbers.float_text, _number_bytes)
TTL_NUMBER = ValueKind("N", _ttl_number_text, _number_bytes)
TTL_TIME = ValueKind("N", _ttl_time_text, _integer_bytes)
BOOLEAN = ValueKind("BOOL", _boolean_text, _one_byte)
BINARY = ValueKind("B", _base64_text, _value_bytes)
NESTED = ValueKind("M", _nested_text, _nested_bytes)

_KINDS: list[tuple[Callable[[pa.DataType], bool], ValueKind]] = [
    (is_text, STRING),
    (pa.types.is_integer, INTEGER),
    (_is_decimal, DECIMAL),
    (_is_float, FLOAT),
    (pa.types.is_boolean, BOOLEAN),
    (pa.types.is_date, DATE),
    (pa.types.is_timestamp, TIMESTAMP),
    (pa.types.is_time, TIME),
    (_is_binary, BINARY),
]
