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

    A batch of a column goes through three functions:

    - `accept(values, faults)` returns the values as DynamoDB is to hold them. A value that it can't hold is added to
      `faults`; what is returned in its place does not matter, as its row is rejected.
    - `text(accepted)` returns their JSON text (`large_string`), without the DynamoDB type around it; null stays null.
    - `sizes(accepted, text, rows)` returns the bytes that DynamoDB counts for the values of `rows`, without the
      attribute's name, 0 for null. It is never asked about a row that has a fault.
    """

    data_type: DataType
    accept: Callable[[pa.Array, RowFaults], pa.Array]
    text: Callable[[pa.Array], pa.Array]
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

    column: str
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


def attribute_of(
    field: pa.Field, name: str, *, is_super: bool = False, is_char: bool = False, is_ttl: bool = False
) -> Attribute:
    """Return the attribute `name` that a column becomes.

    A column is SUPER if the manifest says so (`is_super`), or Parquet, which has a type of its own for JSON text.
    Raises UnsupportedColumnName if DynamoDB has no such attribute name, UnsupportedColumnType if values of this Arrow
    type have no place in an item, or not the place asked for.
    """
    name_bytes = len(name.encode())
    if not 0 < name_bytes <= _MAX_NAME_BYTES:
        raise UnsupportedColumnName(
            f"an attribute's name would have {name_bytes} bytes, DynamoDB's have 1 to {_MAX_NAME_BYTES}: give the "
            "column an alias in the query, or the attribute another name in the input."
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
    elif is_char and is_text(arrow_type):
        kind, purpose = CHAR, ""
    else:
        kind = _kind(arrow_type)
        purpose = "in a DynamoDB item: cast it to VARCHAR in the query"
    if kind is None:
        raise UnsupportedColumnType(f"column {field.name!r} of type {field.type} has no place {purpose}.")
    return Attribute(field.name, name, kind)


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
        return EXACT_NUMBER
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


def _unchanged(values: pa.Array, _faults: RowFaults) -> pa.Array:
    return values


def _accept_char(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Drop the blanks that CHAR is padded with; Redshift does not see them either ("Character types")."""
    return pc.ascii_rtrim(json_strings.without_broken_utf8(values, faults), " ")


def _accept_float(values: pa.Array, faults: RowFaults) -> pa.Array:
    numbers.check_floats(values, faults)
    return values


def _accept_time(values: pa.Array, faults: RowFaults) -> pa.Array:
    times.check_years(values, faults)
    return values.cast(pa.date32()) if pa.types.is_date(values.type) else values


def _accept_nested(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Keep each document's own text beside the one for DynamoDB: it is the shorter one to measure."""
    documents = json_strings.without_broken_utf8(values, faults)
    return pa.StructArray.from_arrays([documents, nested.typed_json(documents, faults)], ["document", "typed"])


def _accept_ttl_number(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Time to live takes whole seconds, so a fraction is dropped."""
    if _is_float(values.type):
        return _accept_float(pc.trunc(values), faults)
    return values.cast(pa.decimal128(numbers.MAX_DIGITS, 0), safe=False)


def _accept_ttl_time(values: pa.Array, _faults: RowFaults) -> pa.Array:
    return times.epoch_seconds(values)


def _boolean_text(values: pa.Array) -> pa.Array:
    return values.cast(pa.large_string())


def _base64_text(values: pa.Array) -> pa.Array:
    """Row by row: UNLOAD refuses VARBYTE in Parquet, so binary only comes from files of another origin."""
    encoded = [None if value is None else b64encode(value).decode() for value in values.to_pylist()]
    return pa.array(encoded, pa.large_string())


def _ttl_number_text(values: pa.Array) -> pa.Array:
    return numbers.float_text(values) if _is_float(values.type) else numbers.exact_text(values)


def _nested_text(values: pa.Array) -> pa.Array:
    return values.field("typed")


def _value_bytes(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of all rows, for lengths cost less than to take out the long values of some."""
    return np.asarray(pc.binary_length(values).fill_null(0).to_numpy()[rows])


def _text_bytes(_values: pa.Array, text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return _value_bytes(text, text, rows)


def _number_bytes(_values: pa.Array, text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return numbers.sizes(text.take(pa.array(rows)))


def _one_byte(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(values.is_valid().to_numpy(zero_copy_only=False)[rows], dtype=np.int64)


def _nested_bytes(values: pa.Array, _text: pa.Array, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return nested.sizes(values.field("document").take(pa.array(rows)))


STRING = ValueKind("S", json_strings.without_broken_utf8, json_strings.escape, _value_bytes)
CHAR = ValueKind("S", _accept_char, json_strings.escape, _value_bytes)
DATE = ValueKind("S", _accept_time, times.date_text, _text_bytes)
TIMESTAMP = ValueKind("S", _accept_time, times.timestamp_text, _text_bytes)
TIME = ValueKind("S", _unchanged, times.time_text, _text_bytes)
EXACT_NUMBER = ValueKind("N", _unchanged, numbers.exact_text, _number_bytes)
FLOAT = ValueKind("N", _accept_float, numbers.float_text, _number_bytes)
TTL_NUMBER = ValueKind("N", _accept_ttl_number, _ttl_number_text, _number_bytes)
TTL_TIME = ValueKind("N", _accept_ttl_time, numbers.exact_text, _number_bytes)
BOOLEAN = ValueKind("BOOL", _unchanged, _boolean_text, _one_byte)
BINARY = ValueKind("B", _unchanged, _base64_text, _value_bytes)
NESTED = ValueKind("M", _accept_nested, _nested_text, _nested_bytes)

_KINDS: list[tuple[Callable[[pa.DataType], bool], ValueKind]] = [
    (is_text, STRING),
    (pa.types.is_integer, EXACT_NUMBER),
    (_is_decimal, EXACT_NUMBER),
    (_is_float, FLOAT),
    (pa.types.is_boolean, BOOLEAN),
    (pa.types.is_date, DATE),
    (pa.types.is_timestamp, TIMESTAMP),
    (pa.types.is_time, TIME),
    (_is_binary, BINARY),
]
