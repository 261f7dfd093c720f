"""What each type of column becomes in an item, compared with what boto3's serializer would have sent."""

from __future__ import annotations

import datetime as dt
import math
from base64 import b64decode
from decimal import Context, Decimal, Inexact
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from target.table import KeyAttribute
from tests.unit.dynamo_load.encoding.put_requests import (
    as_boto3_stores,
    between_other_rows,
    encode,
    typed_items,
    values,
)

_EXACT = Context(prec=38, traps=[Inexact])
quick = settings(max_examples=40)

# Text with everything that is special to JSON, to UTF-8 or to whoever confuses characters with 16-bit units.
hostile = st.text(
    st.one_of(
        st.sampled_from('"\\/\x00\x01\b\t\n\f\r\x1f\x7f\x80\u2028\u2029\ud7ff\ue000\ufeff\uffff😀👩‍👩‍👧é日{}[]:,'),
        st.characters(exclude_categories=["Cs"]),
    )
)

# 64 bits of nanoseconds reach from 1677 to 2262.
datetimes_of_nanoseconds = st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001

INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]


def integers(arrow_type: pa.DataType) -> st.SearchStrategy[int]:
    bits = arrow_type.bit_width
    if pa.types.is_unsigned_integer(arrow_type):
        return st.integers(0, 2**bits - 1)
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def rows_of(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.none() | cells, max_size=12)


def stored(rows: list[Any], arrow_type: pa.DataType, **mapping: Any) -> list[Any]:
    encoded = encode({"value": between_other_rows(rows, arrow_type)}, **mapping)
    assert encoded.rejects == []
    assert encoded.rows.tolist() == list(range(len(rows)))
    return values(encoded, "value")


@quick
@given(rows_of(hostile), st.sampled_from([pa.string(), pa.large_string(), pa.string_view()]))
def test_any_text_arrives_as_it_was(rows: list[str | None], arrow_type: pa.DataType) -> None:
    assert stored(rows, arrow_type) == as_boto3_stores(rows)


@quick
@given(rows_of(hostile), st.sampled_from([pa.string(), pa.large_string()]))
def test_a_dictionary_encoded_column_is_written_like_a_plain_one(
    rows: list[str | None], arrow_type: pa.DataType
) -> None:
    assert stored(rows, pa.dictionary(pa.int32(), arrow_type)) == as_boto3_stores(rows)


def test_text_longer_than_one_piece_is_escaped_to_its_end() -> None:
    rows = ["x" * 300_000 + '"', "y" * 131_071 + "\\", 'a"b' * 100_000, None, "\n"]
    assert stored(rows, pa.string()) == rows


def test_text_that_is_not_ascii_stays_as_it_is() -> None:
    encoded = encode({"value": pa.array(["é😀\u2028"])})
    assert '{"S":"é😀\u2028"}'.encode() in bytes(encoded.text)


@quick
@given(st.data(), st.sampled_from(INTEGERS))
def test_an_integer_of_any_width_becomes_a_number(data: st.DataObject, arrow_type: pa.DataType) -> None:
    rows = data.draw(rows_of(integers(arrow_type)))
    assert stored(rows, arrow_type) == as_boto3_stores(rows)


def test_a_decimal_of_any_precision_and_scale_has_the_text_boto3_sends() -> None:
    columns = {}
    expected = {}
    for precision in range(1, 39):
        for scale in range(precision + 1):
            largest = 10**precision - 1
            unscaled = [0, 1, -1, largest, -largest, 10 ** (precision - 1), largest // 3, None]
            rows = [None if n is None else Decimal(n).scaleb(-scale, _EXACT) for n in unscaled]
            name = f"decimal_{precision}_{scale}"
            columns[name] = between_other_rows(rows, pa.decimal128(precision, scale))
            expected[name] = [TypeSerializer().serialize(row) for row in rows[:-1]]
    items = typed_items(encode(columns))
    for name, cells in expected.items():
        assert [item.get(name) for item in items] == [*cells, None]


@quick
@given(
    rows_of(st.decimals(Decimal("-9999999.99"), Decimal("9999999.99"), places=2)),
    st.sampled_from([pa.decimal32(9, 2), pa.decimal64(9, 2), pa.decimal128(38, 2)]),
)
def test_a_decimal_of_any_storage_width_is_exact(rows: list[Decimal | None], arrow_type: pa.DataType) -> None:
    assert stored(rows, arrow_type) == as_boto3_stores(rows)


def within_dynamodb(number: float) -> bool:
    return number == 0 or 1e-130 <= abs(number) < 1e126


@quick
@given(rows_of(st.floats(allow_nan=False, allow_infinity=False).filter(within_dynamodb)))
def test_a_double_is_the_shortest_number_that_reads_back_the_same(rows: list[float | None]) -> None:
    meant = [None if row is None else Decimal(str(row)) for row in rows]
    assert stored(rows, pa.float64()) == as_boto3_stores(meant)


@quick
@given(rows_of(st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_a_real_has_the_digits_of_a_32_bit_float(rows: list[float | None]) -> None:
    meant = [None if row is None else Decimal(str(np.float32(row))) for row in rows]
    assert stored(rows, pa.float32()) == as_boto3_stores(meant)


@quick
@given(rows_of(st.booleans()))
def test_a_boolean_becomes_a_boolean(rows: list[bool | None]) -> None:
    assert stored(rows, pa.bool_()) == rows


@quick
@given(rows_of(st.dates()), st.sampled_from([pa.date32(), pa.date64()]))
def test_a_date_becomes_its_iso_text(rows: list[dt.date | None], arrow_type: pa.DataType) -> None:
    assert stored(rows, arrow_type) == [row and row.isoformat() for row in rows]


@quick
@given(rows_of(st.datetimes()))
def test_a_timestamp_becomes_its_iso_text_with_the_same_digits_in_every_row(rows: list[dt.datetime | None]) -> None:
    assert stored(rows, pa.timestamp("us")) == [row and row.isoformat(timespec="microseconds") for row in rows]


@quick
@given(rows_of(datetimes_of_nanoseconds), st.sampled_from(["s", "ms", "ns"]))
def test_a_timestamp_of_another_resolution_has_its_digits(rows: list[dt.datetime | None], unit: str) -> None:
    finest, timespec = {"s": (1_000_000, "seconds"), "ms": (1_000, "milliseconds"), "ns": (1, "microseconds")}[unit]
    rows = [row and row.replace(microsecond=row.microsecond // finest * finest) for row in rows]
    nanoseconds = "000" if unit == "ns" else ""
    assert stored(rows, pa.timestamp(unit)) == [row and row.isoformat(timespec=timespec) + nanoseconds for row in rows]


def test_a_timestamp_with_nanoseconds_keeps_them() -> None:
    ticks = pa.array([1, 1_000, 1_000_000_000, None]).cast(pa.timestamp("ns"))
    assert values(encode({"value": ticks}), "value") == [
        "1970-01-01T00:00:00.000000001",
        "1970-01-01T00:00:00.000001000",
        "1970-01-01T00:00:01.000000000",
        None,
    ]


MOMENTS = [
    *[pa.timestamp(unit) for unit in ("s", "ms", "us", "ns")],
    *[pa.timestamp(unit, "UTC") for unit in ("s", "ms", "us", "ns")],
    *[pa.date32(), pa.time32("s"), pa.time32("ms"), pa.time64("us"), pa.time64("ns")],
]


@quick
@given(st.data(), st.sampled_from(MOMENTS))
def test_text_of_dates_and_times_sorts_as_they_do(data: st.DataObject, arrow_type: pa.DataType) -> None:
    if pa.types.is_time(arrow_type):
        moments: st.SearchStrategy[Any] = st.times()
    elif pa.types.is_date(arrow_type):
        moments = st.dates()
    else:
        moments = datetimes_of_nanoseconds | st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, 0, 0, 1))  # noqa: DTZ001
    drawn = data.draw(st.lists(moments, max_size=12))
    column = pa.array(drawn).cast(arrow_type, safe=False) if drawn else pa.array([], arrow_type)
    texts = values(encode({"value": column}), "value")
    in_order = column.take(pc.sort_indices(column))
    assert sorted(texts) == values(encode({"value": in_order}), "value")


@pytest.mark.parametrize("zone", ["UTC", "+00:00", "America/New_York"])
def test_an_instant_is_written_in_utc_whatever_zone_it_is_shown_in(zone: str) -> None:
    instants = pa.array([0, None, 1_441_024_496_123_456]).cast(pa.timestamp("us", zone))
    assert values(encode({"value": instants}), "value") == [
        "1970-01-01T00:00:00.000000Z",
        None,
        "2015-08-31T12:34:56.123456Z",
    ]


@quick
@given(rows_of(st.times()))
def test_a_time_of_day_becomes_its_iso_text(rows: list[dt.time | None]) -> None:
    assert stored(rows, pa.time64("us")) == [
        row if row is None else row.isoformat(timespec="microseconds") for row in rows
    ]


@quick
@given(rows_of(st.binary()), st.sampled_from([pa.binary(), pa.large_binary(), pa.binary_view()]))
def test_binary_arrives_byte_for_byte(rows: list[bytes | None], arrow_type: pa.DataType) -> None:
    items = typed_items(encode({"value": between_other_rows(rows, arrow_type)}))
    assert [b64decode(item["value"]["B"], validate=True) if "value" in item else None for item in items] == rows


@pytest.mark.parametrize(
    "arrow_type", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_char_loses_the_blanks_it_is_padded_with_and_no_others(arrow_type: pa.DataType) -> None:
    rows = ["ab  ", " a b ", "  ", "", "a\t ", "é\u3000 ", None]
    char = encode({"value": pa.array(rows).cast(arrow_type)}, char_columns=frozenset({"value"}))
    assert values(char, "value") == ["ab", " a b", "", "", "a\t", "é\u3000", None]
    assert stored(rows, pa.string()) == rows


def test_an_empty_string_stays_and_a_null_is_left_out() -> None:
    items = typed_items(encode({"text": pa.array(["", None]), "nothing": pa.nulls(2)}))
    assert items == [{"pk": {"S": "0"}, "text": {"S": ""}}, {"pk": {"S": "1"}}]


def test_a_row_with_nothing_but_its_key_is_an_item() -> None:
    assert typed_items(encode({"pk": pa.array(["only"])})) == [{"pk": {"S": "only"}}]


def test_no_rows_are_no_text() -> None:
    for empty in (pa.array([], pa.string()), pa.array(["a", "b"])[2:], pa.array([], pa.decimal128(5, 2))):
        encoded = encode({"value": empty})
        assert bytes(encoded.text) == b""
        assert encoded.offsets.tolist() == [0]
        assert len(encoded.rows) == len(encoded.write_units) == len(encoded.rejects) == 0


@quick
@given(st.lists(st.tuples(st.none() | hostile, st.none() | st.integers(-9, 9), st.none() | st.booleans())))
def test_every_mixture_of_nulls_leaves_a_well_formed_item(rows: list[tuple[Any, Any, Any]]) -> None:
    encoded = encode(
        {
            "first": pa.array([row[0] for row in rows], pa.string()),
            "second": pa.array([row[1] for row in rows], pa.int32()),
            "third": pa.array([row[2] for row in rows], pa.bool_()),
        }
    )
    assert list(zip(*(values(encoded, name) for name in ("first", "second", "third")), strict=True)) == [
        tuple(row) for row in rows
    ]


@quick
@given(hostile.filter(lambda name: name and name.lower() != "pk"))
def test_a_column_name_of_any_characters_is_the_attributes_name(name: str) -> None:
    assert typed_items(encode({name: pa.array([7, None])}))[0] == {"pk": {"S": "0"}, name: {"N": "7"}}


def test_numbers_binaries_and_dates_can_be_keys() -> None:
    encoded = encode(
        {"pk": pa.array([Decimal("1.10"), Decimal("0.00")]), "sk": pa.array([b"\x00", b"\xff"])},
        partition_key=KeyAttribute("pk", "N"),
        sort_key=KeyAttribute("sk", "B"),
    )
    assert typed_items(encoded)[0] == {"pk": {"N": "1.10"}, "sk": {"B": "AA=="}}
    dates = encode({"pk": pa.array([dt.date(2015, 8, 31)])})
    assert typed_items(dates) == [{"pk": {"S": "2015-08-31"}}]


@pytest.mark.parametrize(
    ("column", "seconds"),
    [
        (pa.array([1_441_024_496, None]), "1441024496"),
        (pa.array([1_441_024_496.9, None]), "1441024496"),
        (pa.array([Decimal("1441024496.99"), None]), "1441024496"),
        (pa.array([dt.date(2015, 8, 31), None]), "1440979200"),
        (pa.array([dt.datetime(2015, 8, 31, 12, 34, 56, 999_999), None]), "1441024496"),  # noqa: DTZ001
        (pa.array([1_441_024_496_999_999, None]).cast(pa.timestamp("us", "Asia/Tokyo")), "1441024496"),
        (pa.array([-500_000, None]).cast(pa.timestamp("us")), "-1"),
    ],
)
def test_time_to_live_is_whole_epoch_seconds(column: pa.Array, seconds: str) -> None:
    first, second = typed_items(encode({"expires": column}, ttl_attribute="expires"))
    assert Decimal(first["expires"]["N"]) == Decimal(seconds)
    assert "." not in first["expires"]["N"]
    assert "expires" not in second


def test_a_float_of_time_to_live_beyond_fifteen_digits_is_still_a_number() -> None:
    (item,) = typed_items(encode({"expires": pa.array([1e17])}, ttl_attribute="expires"))
    assert math.isclose(float(item["expires"]["N"]), 1e17)
