"""Of several rows with one key the last one is written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_load.accounting.duplicates import superseded

keys = st.lists(st.none() | st.sampled_from(["", "a", "b", "A", "é", "é", "\x00"]), max_size=30)


def replaced(*columns: Any) -> list[bool]:
    arrays = [column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column]) for column in columns]
    table = pa.table(arrays, names=[f"key{position}" for position in range(len(arrays))])
    return list(superseded(table).tolist())


def by_hand(rows: list[tuple[Any, ...]]) -> list[bool]:
    return [None not in row and row in rows[position + 1 :] for position, row in enumerate(rows)]


@settings(max_examples=100)
@given(keys)
def test_a_row_is_superseded_when_its_key_comes_again(rows: list[str | None]) -> None:
    assert replaced(pa.array(rows, pa.string())) == by_hand([(row,) for row in rows])


@settings(max_examples=80)
@given(st.lists(st.tuples(st.none() | st.sampled_from("ab"), st.none() | st.integers(-2, 2)), max_size=30))
def test_two_key_columns_count_together(rows: list[tuple[str | None, int | None]]) -> None:
    first, second = pa.array([r[0] for r in rows], pa.string()), pa.array([r[1] for r in rows], pa.int64())
    assert replaced(first, second) == by_hand(rows)


@settings(max_examples=50)
@given(keys, st.integers(1, 5))
def test_chunks_make_no_difference(rows: list[str | None], size: int) -> None:
    chunks = [rows[start : start + size] for start in range(0, len(rows), size)]
    for arrow_type in (pa.string(), pa.large_string()):
        chunked = pa.chunked_array([pa.array(chunk, arrow_type) for chunk in chunks], arrow_type)
        assert replaced(chunked) == replaced(pa.array(rows, pa.string()))


def test_numbers_are_compared_by_value() -> None:
    assert replaced(pa.array([0.0, -0.0, 1.0])) == [True, False, False]
    assert replaced(pa.array([Decimal("1.0"), Decimal("1.00"), Decimal("-1")])) == [True, False, False]


def test_a_null_elsewhere_does_not_blur_large_numbers() -> None:
    large = 2**53 + 1
    chunks = [pa.array([large, None], pa.int64()), pa.array([large, large - 1], pa.int64())]
    assert replaced(pa.chunked_array(chunks)) == [True, False, False, False]


def test_a_row_without_a_number_in_its_key_is_nobodys_duplicate() -> None:
    assert replaced(pa.array([None, None], pa.float64())) == [False] * 2
    assert replaced(pa.array(["a", "a", "a"]), pa.array([1.0, None, 1.0])) == [True, False, False]


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.int32(), pa.decimal128(38, 2), pa.date32(), pa.binary()])
def test_no_rows_have_no_duplicates(arrow_type: pa.DataType) -> None:
    assert replaced(pa.array([], arrow_type), pa.array([], arrow_type)) == []
    assert superseded(pa.schema([("id", arrow_type)]).empty_table()).tolist() == []


def test_many_rows_over_many_chunks() -> None:
    count = 200_000
    first = pa.chunked_array(
        [pa.array([f"k{row % 70_000}" for row in range(start, start + 1000)]) for start in range(0, count, 1000)]
    )
    expected = [row + 70_000 < count for row in range(count)]
    assert replaced(first) == expected
    assert replaced(first, pa.array([0] * count)) == expected
