"""Which rows have a key that can be one, from the key columns alone; encoding the whole rows comes to the same."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from dynamo_load.accounting.duplicates import superseded
from dynamo_load.encoding.items import ItemEncoder
from target.table import KeyAttribute
from tests.unit.dynamo_load.encoding.put_requests import encode, mapping


def not_utf8() -> pa.Array:
    return pa.array([b"a", b"\xff", b"\xff", None, b"a"], pa.binary()).view(pa.string())


KEYS: list[tuple[pa.Array, KeyAttribute, list[bool]]] = [
    (pa.array(["a", "", "", None, "a"]), KeyAttribute("pk", "S"), [True, False, False, False, True]),
    (pa.array(["a" * 2048, "a" * 2049, "é" * 1025]), KeyAttribute("pk", "S"), [True, False, False]),
    (pa.array(["a", ""]).dictionary_encode(), KeyAttribute("pk", "S"), [True, False]),
    (not_utf8(), KeyAttribute("pk", "S"), [True, False, False, False, True]),
    (pa.array([1.5, math.nan, math.inf, None, 1e300]), KeyAttribute("pk", "N"), [True, False, False, False, False]),
    (pa.array([b"a", b"", b"x" * 2049]), KeyAttribute("pk", "B"), [True, False, False]),
    (pa.array([2_932_896, 2_932_897], pa.int32()).cast(pa.date32()), KeyAttribute("pk", "S"), [True, False]),
    (pa.array([0, -(10**18)]).cast(pa.timestamp("us")), KeyAttribute("pk", "S"), [True, False]),
    (pa.array([7, None]), KeyAttribute("pk", "N"), [True, False]),
    (pa.array([Decimal("1.10"), None]), KeyAttribute("pk", "N"), [True, False]),
]


def keys(columns: dict[str, pa.Array], **mapped: Any) -> pa.Table:
    table = pa.table(columns)
    encoder = ItemEncoder(table.schema, mapping(**mapped))
    return encoder.keys(table.select(encoder.key_columns).to_batches())


@pytest.mark.parametrize(("column", "key", "valid"), KEYS)
def test_a_key_is_known_to_be_one_or_not_from_its_column_alone(
    column: pa.Array, key: KeyAttribute, valid: list[bool]
) -> None:
    assert keys({"pk": column}, partition_key=key).column("pk").is_valid().to_pylist() == valid
    accepted = encode({"pk": column}, partition_key=key).rows.tolist()
    assert accepted == [row for row, is_key in enumerate(valid) if is_key]


def test_a_sort_key_that_can_be_none_makes_the_whole_key_none() -> None:
    columns = {"pk": pa.array(["a"] * 4), "sk": pa.array(["b", "b" * 1025, "", None])}
    found = keys(columns, partition_key=KeyAttribute("pk", "S"), sort_key=KeyAttribute("sk", "S"))
    assert [column.is_valid().to_pylist() for column in found.columns] == [[True, False, False, False]] * 2


def test_char_keys_are_one_key_whatever_their_padding() -> None:
    column = pa.array(["ab ", "ab", "ab  x", "   ", ""])
    found = keys({"pk": column}, partition_key=KeyAttribute("pk", "S"), char_columns=frozenset({"pk"}))
    assert superseded(found).tolist() == [True, False, False, False, False]


def test_an_attribute_that_is_renamed_is_read_from_its_column() -> None:
    columns = {"b": pa.array([1]), "a": pa.array(["x"])}
    found = keys(
        columns, partition_key=KeyAttribute("A", "S"), sort_key=KeyAttribute("id", "N"), attributes={"b": "id"}
    )
    assert found.to_pydict() == {"a": ["x"], "b": [1]}


def test_rows_are_counted_over_many_chunks() -> None:
    chunked = pa.chunked_array([pa.array(["a", ""] * 6_000), pa.array(["", "b"])])
    table = pa.table({"pk": chunked})
    valid = ItemEncoder(table.schema, mapping()).keys(table.to_batches()).column("pk").is_valid()
    assert valid.to_pylist() == [True, False] * 6_000 + [False, True]
