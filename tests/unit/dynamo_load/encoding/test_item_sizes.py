"""Write units, against DynamoDB's size rules worked out item by item."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from math import ceil
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dynamo_load.encoding.put_requests import encode, typed_items


def number_bytes(number: Decimal) -> int:
    """Size of a number as it was measured on AWS: pairs of digits on either side of the point, without outer zeros."""
    if not number:
        return 1
    whole, _, fraction = format(abs(number), "f").partition(".")
    digits = whole + fraction
    first, last = len(digits) - len(digits.lstrip("0")), len(digits.rstrip("0"))
    before, after = max(0, min(last, len(whole)) - first), max(0, last - max(first, len(whole)))
    return 1 + ceil(before / 2) + ceil(after / 2) + (number < 0)


def value_bytes(value: dict[str, Any]) -> int:
    """Size of an attribute value by "DynamoDB item sizes and formats" in the DynamoDB Developer Guide."""
    ((data_type, content),) = value.items()
    match data_type:
        case "S":
            return len(content.encode())
        case "B":
            return len(base64.b64decode(content))
        case "BOOL" | "NULL":
            return 1
        case "N":
            return number_bytes(Decimal(content))
        case "L":
            return 3 + sum(1 + value_bytes(element) for element in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + value_bytes(member) for name, member in content.items())
    raise AssertionError(data_type)


def write_units(item: dict[str, Any]) -> int:
    return -(-sum(len(name.encode()) + value_bytes(value) for name, value in item.items()) // 1024)


# Lengths that put the item's size on either side of one, two and three write units, whatever stands beside the text.
lengths = st.integers(0, 40).flatmap(lambda fine: st.sampled_from([0, 700, 960, 1984, 3008]).map(lambda c: c + fine))
floats = st.floats(-1e30, 1e30).filter(lambda number: number == 0 or abs(number) > 1e-100)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | floats | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=5),
    max_leaves=30,
)
rows = st.tuples(
    lengths,
    st.sampled_from(["x", "é", '"', "\n"]),
    st.none() | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([1000, -1000, 0, 120]),
    st.none() | st.decimals(-(10**10), 10**10, places=6),
    st.none() | floats,
    st.none() | st.binary(max_size=50),
    st.none() | st.booleans(),
    st.none() | json_values,
)


@settings(max_examples=80)
@given(st.lists(rows, min_size=1, max_size=8))
def test_write_units_follow_from_names_and_values_not_from_the_json(drawn: list[Any]) -> None:
    length, character, whole, exact, inexact, binary, flag, document = zip(*drawn, strict=True)
    encoded = encode(
        {
            "text": pa.array([c * (n // len(c.encode())) for n, c in zip(length, character, strict=True)]),
            "wholé": pa.array(whole, pa.int64()),
            "exact": pa.array(exact, pa.decimal128(20, 6)),
            "inexact": pa.array(inexact, pa.float64()),
            "binary": pa.array(binary, pa.binary()),
            "flag": pa.array(flag, pa.bool_()),
            "doc": pa.array([None if value is None else json.dumps(value) for value in document], pa.string()),
        },
        super_columns=frozenset({"doc"}),
    )
    assert encoded.rejects == []
    assert encoded.write_units.tolist() == [write_units(item) for item in typed_items(encoded)]


def test_an_item_of_exactly_one_kilobyte_costs_one_write_unit() -> None:
    at_limit = 1024 - len("pk") - 1 - len("text")
    encoded = encode({"text": pa.array(["x" * at_limit, "x" * (at_limit + 1)])})
    assert encoded.write_units.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("number", "size"),
    [
        *[("0", 1), ("-0", 1), ("0.00", 1), ("-0.0", 1), ("7", 2), ("-7", 3), ("27", 2), ("461", 3), ("1000", 2)],
        *[("1.5", 3), ("1.234", 4), ("100.5", 4), ("3.14159", 5), ("-1.5", 4), ("0.05", 2), ("10.0", 2), ("1.50", 3)],
        *[("100.0", 2), ("0.012", 2), ("0.00", 1)],
        *[("1E+20", 2), ("1.5E+20", 2), ("1.25e-7", 3), ("-1E-130", 3), ("0e999999999", 1)],
    ],
)
def test_a_number_counts_by_its_digits_on_either_side_of_the_point(number: str, size: int) -> None:
    """In SUPER and in a column of its own, it is the last byte that an item of one write unit has room for."""
    texts = pa.array([item_text(1024, "doc", size), item_text(1025, "doc", size)])
    document = encode({"doc": pa.array([number] * 2), "text": texts}, super_columns=frozenset({"doc"}))
    inexact = "e" in number.lower() or number.startswith("-0")
    column = pa.array([float(number)] * 2) if inexact else pa.array([Decimal(number)] * 2)
    for encoded in (document, encode({"doc": column, "text": texts})):
        assert encoded.write_units.tolist() == [1, 2]


@pytest.mark.parametrize("count", [102_397, 102_398])
def test_a_list_of_numbers_with_fractions_is_measured_as_dynamodb_does(count: int) -> None:
    """Each 1.5 costs 3 bytes, and 1 for its place in the list."""
    encoded = encode({"doc": pa.array([f"[{','.join(['1.5'] * count)}]"])}, super_columns=frozenset({"doc"}))
    size = len("pk") + 1 + len("doc") + 3 + 4 * count
    assert [reject.reason for reject in encoded.rejects] == (["item_too_large"] if size > 400 * 1024 else [])


def test_a_name_in_a_map_counts_its_bytes() -> None:
    size = 3 + 1 + len("é".encode()) + 2
    texts = pa.array([item_text(1024, "doc", size), item_text(1025, "doc", size)])
    encoded = encode({"doc": pa.array(['{"é":7}'] * 2), "text": texts}, super_columns=frozenset({"doc"}))
    assert encoded.write_units.tolist() == [1, 2]


def item_text(size: int, name: str, value_size: int) -> str:
    """Return the `text` of an item {pk: one digit, name: a value, text} that counts this many bytes."""
    return "x" * (size - len("pk") - 1 - len(name) - value_size - len("text"))
