"""Columns that can't be loaded are refused before any row is read."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.errors import (
    AmbiguousColumns,
    KeyTypeMismatch,
    MissingKeyColumn,
    MissingTtlColumn,
    UnknownColumn,
    UnsupportedColumnName,
    UnsupportedColumnType,
)
from target.table import IndexKeyAttribute, KeyAttribute
from tests.unit.dynamo_load.encoding.put_requests import encode, mapping, typed_items

ID = ("id", pa.string())


def encoder(*columns: tuple[str, pa.DataType], **mapped: Any) -> ItemEncoder:
    return ItemEncoder(pa.schema(list(columns)), mapping(**{"partition_key": KeyAttribute("id", "S"), **mapped}))


def test_a_missing_key_column_is_refused_by_name() -> None:
    with pytest.raises(MissingKeyColumn, match=r"select a column 'id'.*none of the 2 columns.*'idea', 'other'"):
        encoder(("other", pa.string()), ("idea", pa.string()))
    with pytest.raises(MissingKeyColumn, match="'when'"):
        encoder(ID, sort_key=KeyAttribute("when", "S"))


def test_in_a_wide_table_only_the_nearest_columns_are_named() -> None:
    columns = [(f"measured_value_number_{number}", pa.int32()) for number in range(1_600)]
    with pytest.raises(MissingKeyColumn, match=r"^select a column 'id'.*1,600 columns.*'ids'") as raised:
        encoder(("ids", pa.string()), *columns[1:])
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    "meant",
    [
        {"partition_key": KeyAttribute("Title", "S")},
        {"sort_key": KeyAttribute("title", "S")},
        {"ttl_attribute": "TITLE"},
        {"index_keys": (IndexKeyAttribute("title", "S", 2048),)},
        {"attributes": {"Title": "name"}},
    ],
)
def test_names_that_differ_in_case_alone_are_refused_where_one_of_them_is_meant(meant: dict[str, Any]) -> None:
    with pytest.raises(AmbiguousColumns, match="'title', 'TITLE' have one name but for case"):
        encoder(ID, ("title", pa.string()), ("other", pa.int32()), ("TITLE", pa.int32()), **meant)


def test_names_that_differ_in_case_alone_are_attributes_of_their_own_where_neither_is_meant() -> None:
    encoded = encode({"title": pa.array(["b"]), "TITLE": pa.array(["c"])})
    assert typed_items(encoded) == [{"pk": {"S": "0"}, "title": {"S": "b"}, "TITLE": {"S": "c"}}]


def test_a_name_that_comes_twice_is_refused_as_just_that() -> None:
    with pytest.raises(AmbiguousColumns, match=r"^column 'b' comes 2 times: give one of them an alias\.$"):
        encoder(ID, ("b", pa.string()), ("b", pa.int32()))


def test_attributes_of_the_target_are_found_whatever_their_case() -> None:
    columns = {
        "pk": pa.array(["a"]),
        "sk": pa.array([1]),
        "expiresat": pa.array([2]),
        "customerid": pa.array(["c"]),
        "other": pa.array(["d"]),
    }
    encoded = encode(
        columns,
        partition_key=KeyAttribute("PK", "S"),
        sort_key=KeyAttribute("Sk", "N"),
        ttl_attribute="expiresAt",
        index_keys=(IndexKeyAttribute("customerId", "S", 2048),),
    )
    assert typed_items(encoded) == [
        {"PK": {"S": "a"}, "Sk": {"N": "1"}, "expiresAt": {"N": "2"}, "customerId": {"S": "c"}, "other": {"S": "d"}}
    ]


def test_a_column_that_two_attributes_of_the_target_fit_is_refused() -> None:
    clashing = {"index_keys": (IndexKeyAttribute("ID", "S", 2048), IndexKeyAttribute("id", "S", 2048))}
    with pytest.raises(AmbiguousColumns, match=r"\"attributes\".*'id' and 'ID'"):
        encoder(ID, **clashing)
    # The input can settle it.
    encoder(ID, attributes={"id": "id"}, **clashing)


def test_the_input_renames_columns_whatever_the_case_it_names_them_in() -> None:
    encoded = encode(
        {"pk": pa.array(["a"]), "customerid": pa.array([7]), "total": pa.array([1.5])},
        attributes={"PK": "orderId", "customerId": "customerId"},
        partition_key=KeyAttribute("orderId", "S"),
    )
    assert typed_items(encoded) == [{"orderId": {"S": "a"}, "customerId": {"N": "7"}, "total": {"N": "1.5"}}]


def test_a_column_that_was_renamed_is_no_longer_the_attribute_that_its_name_fits() -> None:
    with pytest.raises(MissingKeyColumn, match="'id'"):
        encoder(ID, attributes={"id": "other"})
    encoded = encode(
        {"pk": pa.array(["a"]), "old": pa.array(["b"])},
        attributes={"pk": "first", "old": "PK"},
        partition_key=KeyAttribute("PK", "S"),
    )
    assert typed_items(encoded)[0].keys() == {"first", "PK"}


def test_renaming_a_column_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(UnknownColumn, match=r"'customer_id' is none of the 2 columns.*'customerid'"):
        encoder(ID, ("customerid", pa.string()), attributes={"customer_id": "customerId"})


@pytest.mark.parametrize("attributes", [{"a": "b"}, {"a": "same", "b": "same"}, {"a": "id"}, {"a": "x", "A": "y"}])
def test_columns_that_would_become_one_attribute_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(AmbiguousColumns, match="'a'"):
        encoder(ID, ("a", pa.string()), ("b", pa.string()), attributes=attributes)


@pytest.mark.parametrize("name", ["", "x" * 65_536])
def test_a_name_that_no_attribute_can_have_is_no_new_name_either(name: str) -> None:
    with pytest.raises(UnsupportedColumnName):
        encoder(ID, ("a", pa.string()), attributes={"a": name})


@pytest.mark.parametrize(
    ("arrow_type", "key_type"),
    [
        (pa.int32(), "S"),
        (pa.string(), "N"),
        (pa.date32(), "N"),
        (pa.decimal128(10, 0), "S"),
        (pa.bool_(), "S"),
        (pa.binary(), "S"),
        (pa.string(), "B"),
    ],
)
def test_a_key_column_of_another_type_than_the_tables_key_is_refused(arrow_type: pa.DataType, key_type: Any) -> None:
    with pytest.raises(KeyTypeMismatch, match=f"'id' is {key_type}"):
        encoder(("id", arrow_type), partition_key=KeyAttribute("id", key_type))


def test_a_binary_key_is_refused_without_advice_that_cannot_be_followed() -> None:
    with pytest.raises(KeyTypeMismatch, match="UNLOAD writes no binary"):
        encoder(ID, partition_key=KeyAttribute("id", "B"))


def test_a_super_column_cannot_be_a_key() -> None:
    with pytest.raises(KeyTypeMismatch, match="'id'"):
        encoder(ID, super_columns=frozenset({"id"}))


@pytest.mark.parametrize(
    ("arrow_type", "key_type"), [(pa.int32(), "S"), (pa.string(), "N"), (pa.bool_(), "S"), (pa.binary(), "S")]
)
def test_a_column_of_another_type_than_an_indexs_key_is_refused(arrow_type: pa.DataType, key_type: Any) -> None:
    with pytest.raises(KeyTypeMismatch, match=f"index's key attribute 'author' is {key_type}"):
        encoder(ID, ("author", arrow_type), index_keys=(IndexKeyAttribute("author", key_type, 2048),))


def test_a_super_column_cannot_be_an_indexs_key() -> None:
    with pytest.raises(KeyTypeMismatch, match="'doc'"):
        encoder(
            ID,
            ("doc", pa.string()),
            super_columns=frozenset({"doc"}),
            index_keys=(IndexKeyAttribute("doc", "S", 2048),),
        )


def test_rows_without_an_indexs_key_are_no_fault() -> None:
    encoder(
        ID, ("empty", pa.null()), index_keys=(IndexKeyAttribute("gone", "S", 9), IndexKeyAttribute("empty", "N", 9))
    )


@pytest.mark.parametrize(
    "arrow_type",
    [
        pa.list_(pa.int32()),
        pa.struct([("a", pa.int32())]),
        pa.duration("s"),
        pa.month_day_nano_interval(),
        pa.decimal256(50, 2),
        pa.decimal128(10, -2),
        pa.float16(),
    ],
)
def test_a_type_without_a_place_in_an_item_is_refused(arrow_type: pa.DataType) -> None:
    with pytest.raises(UnsupportedColumnType, match=r"'odd'.*cast it to VARCHAR"):
        encoder(ID, ("odd", arrow_type))


def test_super_that_is_not_text_is_refused() -> None:
    with pytest.raises(UnsupportedColumnType, match=r"'doc'.*SUPER"):
        encoder(ID, ("doc", pa.int32()), super_columns=frozenset({"doc"}))


@pytest.mark.parametrize("arrow_type", [pa.string(), pa.bool_(), pa.binary()])
def test_a_time_to_live_that_is_no_time_is_refused(arrow_type: pa.DataType) -> None:
    with pytest.raises(UnsupportedColumnType, match=r"'expires'.*time to live"):
        encoder(ID, ("expires", arrow_type), ttl_attribute="expires")


def test_rows_without_the_time_to_live_are_refused_with_the_nearest_column() -> None:
    with pytest.raises(MissingTtlColumn, match=r"'expires'.*DynamoDbTtl.*'expired'"):
        encoder(ID, ("expired", pa.int64()), ttl_attribute="expires", ttl_required=True)
    with pytest.raises(MissingTtlColumn, match="'id'"):
        encoder(ID, ttl_attribute="zzz", ttl_required=True)


def test_rows_need_no_time_to_live_that_the_stack_does_not_ask_for() -> None:
    assert not encoder(ID, ttl_attribute="expires").has_expiries
    assert encoder(ID, ("Expires", pa.int64()), ttl_attribute="expires").has_expiries
    assert encoder(ID).has_expiries


def test_a_time_to_live_that_is_null_in_every_row_is_there() -> None:
    encoder(ID, ("expires", pa.null()), ttl_attribute="expires")


@pytest.mark.parametrize("arrow_type", [pa.timestamp("us"), pa.date32(), pa.float64(), pa.decimal128(20, 3)])
@pytest.mark.parametrize("role", ["partition_key", "sort_key"])
def test_a_key_that_time_to_live_would_cut_to_seconds_is_refused(arrow_type: pa.DataType, role: str) -> None:
    with pytest.raises(KeyTypeMismatch, match=r"'until'.*BIGINT"):
        encoder(ID, ("until", arrow_type), ttl_attribute="until", **{role: KeyAttribute("until", "N")})


def test_a_whole_number_may_be_key_and_time_to_live() -> None:
    encoder(ID, ("until", pa.int64()), ttl_attribute="until", sort_key=KeyAttribute("until", "N"))


@pytest.mark.parametrize("name", ["", "x" * 65_536])
def test_a_name_that_no_attribute_can_have_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedColumnName):
        encoder(ID, (name, pa.int32()))


def test_a_batch_of_other_columns_than_the_encoders_is_refused() -> None:
    batch = pa.record_batch([pa.array(["a"]), pa.array([1])], names=["id", "more"])
    with pytest.raises(ValueError, match="schema"):
        encoder(ID).encode(batch)
