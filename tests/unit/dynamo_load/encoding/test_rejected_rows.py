"""Rows that DynamoDB can never accept: found, named, and no harm to their neighbours."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from dynamo_load.encoding.items import ItemEncoder
from target.table import IndexKeyAttribute, KeyAttribute, LocalIndex
from tests.unit.dynamo_load.encoding.put_requests import encode, mapping, typed_items

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dynamo_load.encoding.items import EncodedRows


def reasons(encoded: EncodedRows) -> dict[int, str]:
    """Return each rejected row's reason, after checking that every other row was accepted."""
    found = {reject.row: reject.reason for reject in encoded.rejects}
    assert len(found) == len(encoded.rejects)
    assert sorted([*found, *encoded.rows.tolist()]) == list(range(len(found) + len(encoded.rows)))
    assert len(encoded.offsets) - 1 == len(encoded.write_units) == len(encoded.rows)
    return found


def keys(values: Iterable[Any], arrow_type: pa.DataType | None = None) -> dict[str, pa.Array]:
    column = pa.array(values, arrow_type)
    return {"pk": column, "row": pa.array(range(len(column)))}


def test_a_row_without_its_key_is_rejected_and_the_others_keep_their_places() -> None:
    encoded = encode(keys(["a", None, "b", "", "c"]))
    assert reasons(encoded) == {1: "key_missing", 3: "key_empty"}
    assert encoded.rows.tolist() == [0, 2, 4]
    assert typed_items(encoded) == [
        {"pk": {"S": "a"}, "row": {"N": "0"}},
        {"pk": {"S": "b"}, "row": {"N": "2"}},
        {"pk": {"S": "c"}, "row": {"N": "4"}},
    ]


def test_a_batch_of_nothing_but_rejects_has_no_text() -> None:
    encoded = encode(keys([None, ""], pa.string()))
    assert reasons(encoded) == {0: "key_missing", 1: "key_empty"}
    assert bytes(encoded.text) == b""


def test_a_key_is_measured_in_bytes_not_characters() -> None:
    fits, too_long = "é" * 1024, "é" * 1024 + "a"
    assert reasons(encode(keys([fits, too_long, '"' * 2048, "a" * 2049]))) == {1: "key_too_long", 3: "key_too_long"}


def test_a_sort_key_has_its_own_limit_and_needs_a_value_too() -> None:
    columns = {"sk": pa.array(["a" * 1024, "a" * 1025, None, ""])}
    encoded = encode(columns, sort_key=KeyAttribute("sk", "S"))
    assert reasons(encoded) == {1: "key_too_long", 2: "key_missing", 3: "key_empty"}


def test_a_binary_key_is_measured_before_it_is_base64() -> None:
    encoded = encode(keys([b"x" * 2048, b"x" * 2049, b"", None]), partition_key=KeyAttribute("pk", "B"))
    assert reasons(encoded) == {1: "key_too_long", 2: "key_empty", 3: "key_missing"}


def test_an_index_key_may_be_absent_but_neither_empty_nor_too_long() -> None:
    columns = {"author": pa.array(["a" * 1024, "é" * 513, None, "", "b"]), "free": pa.array(["", "", "", "", ""])}
    encoded = encode(columns, index_keys=(IndexKeyAttribute("author", "S", 1024),))
    assert reasons(encoded) == {1: "index_key_too_long", 3: "index_key_empty"}
    assert [reject.detail for reject in encoded.rejects] == [
        "index key attribute 'author' has over 1024 bytes",
        "index key attribute 'author' is empty",
    ]
    assert typed_items(encoded)[1] == {"pk": {"S": "2"}, "free": {"S": ""}}


def test_a_binary_index_key_is_measured_before_it_is_base64() -> None:
    columns = {"hash": pa.array([b"x" * 2048, b"x" * 2049, b"", None])}
    encoded = encode(columns, index_keys=(IndexKeyAttribute("hash", "B", 2048),))
    assert reasons(encoded) == {1: "index_key_too_long", 2: "index_key_empty"}


def test_a_table_key_that_is_an_index_key_too_has_to_fit_both() -> None:
    columns = keys(["a" * 1024, "a" * 1025, "", None])
    encoded = encode(columns, index_keys=(IndexKeyAttribute("pk", "S", 1024),))
    assert reasons(encoded) == {1: "index_key_too_long", 2: "key_empty", 3: "key_missing"}


def test_a_number_in_an_index_is_never_empty_or_too_long() -> None:
    columns = {"price": pa.array([0, None, -(10**18)])}
    assert reasons(encode(columns, index_keys=(IndexKeyAttribute("price", "N", 1),))) == {}


@pytest.mark.parametrize("arrow_type", [pa.float32(), pa.float64()])
def test_nan_and_infinities_are_rejected(arrow_type: pa.DataType) -> None:
    column = pa.array([1.5, float("nan"), None, float("inf"), float("-inf"), 0.0], arrow_type)
    not_finite = {1: "number_not_finite", 3: "number_not_finite", 4: "number_not_finite"}
    assert reasons(encode({"value": column})) == not_finite


def test_a_double_beyond_dynamodbs_numbers_is_rejected() -> None:
    column = pa.array([9.9e125, 1e126, -1e126, 1e-130, 9.9e-131, 5e-324, -1e308, 1e125, -1e-130])
    assert reasons(encode({"value": column})) == dict.fromkeys([1, 2, 4, 5, 6], "number_out_of_range")


def test_a_not_a_number_key_is_rejected() -> None:
    assert reasons(encode(keys([1.0, float("nan")]), partition_key=KeyAttribute("pk", "N"))) == {1: "number_not_finite"}


def test_a_year_that_iso_8601_has_no_text_for_is_rejected() -> None:
    ticks = pa.array([0, 253_402_300_799_999_999, 253_402_300_800_000_000, -62_135_596_800_000_001])
    days = pa.array([0, 2_932_896, 2_932_897, -719_163], pa.int32())
    columns = {"timestamp": ticks.cast(pa.timestamp("us")), "date": days.cast(pa.date32())}
    for name, column in columns.items():
        assert reasons(encode({name: column})) == {2: "date_out_of_range", 3: "date_out_of_range"}
    accepted = typed_items(encode(columns))[1]
    assert accepted["timestamp"] == {"S": "9999-12-31T23:59:59.999999"}
    assert accepted["date"] == {"S": "9999-12-31"}


def test_text_that_is_not_utf_8_is_rejected() -> None:
    raw = pa.array([b"fine", b"\xff\xfe", None, b"caf\xc3", b"\xed\xa0\x80", "café".encode()])
    column = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers(), raw.null_count)
    encoded = encode({"value": column})
    assert reasons(encoded) == dict.fromkeys([1, 3, 4], "not_utf8")
    assert typed_items(encoded)[-1]["value"] == {"S": "café"}


def item_of(size: int) -> str:
    """Return the `text` of an item {pk: one digit, text} that counts this many bytes."""
    return "x" * (size - len("pk") - 1 - len("text"))


def test_an_item_over_400_kilobytes_is_rejected() -> None:
    encoded = encode({"text": pa.array([item_of(400 * 1024), item_of(400 * 1024 + 1), "small"])})
    assert reasons(encoded) == {1: "item_too_large"}
    assert encoded.write_units.tolist() == [400, 1]


ALL = LocalIndex("at", None)
KEYS = LocalIndex("at", ())
SOME = LocalIndex("at", ("note",))


@pytest.mark.parametrize(
    ("indexes", "room"),
    [
        # The item is {pk: 1 byte, at: 2, note: 1,000, text}, which are 2 + 1, 2 + 2, 4 + 1,000 and 4 + text bytes.
        ((), 400 * 1024 - 1015),
        ((ALL,), 200 * 1024 - 1015),
        ((KEYS,), 400 * 1024 - 1015 - 7),
        ((SOME,), 400 * 1024 - 1015 - 7 - 1004),
        ((SOME, KEYS), 400 * 1024 - 1015 - 7 - 1004 - 7),
        ((LocalIndex("absent", None), LocalIndex("missing", ())), 400 * 1024 - 1015),
    ],
)
def test_entries_in_local_indexes_count_towards_an_items_size(indexes: tuple[LocalIndex, ...], room: int) -> None:
    columns = {
        "text": pa.array(["x" * room, "x" * (room + 1), "x" * (300 * 1024)]),
        "at": pa.array(["aa", "aa", "aa" if not indexes else None]),
        "note": pa.array(["n" * 1000] * 3),
        "missing": pa.array([None] * 3, pa.string()),
    }
    assert reasons(encode(columns, local_indexes=indexes)) == {1: "item_too_large"}


def test_a_reject_for_local_indexes_says_so() -> None:
    columns = {"text": pa.array(["x" * 300_000]), "at": pa.array(["a"])}
    (reject,) = encode(columns, local_indexes=(ALL,)).rejects
    assert reject.detail == "item and its entries in local secondary indexes are over 409600 bytes"


def test_a_blank_char_key_is_an_empty_key() -> None:
    encoded = encode(keys(["ab ", "   ", "", "a" * 2048 + "  "]), char_columns=frozenset({"pk"}))
    assert reasons(encoded) == {1: "key_empty", 2: "key_empty"}


def test_replaced_rows_are_neither_items_nor_rejects() -> None:
    replaced = np.array([False, True, True, False, False])
    batch = pa.record_batch({"pk": pa.array(["a", None, "b", "", "c"])})
    encoded = ItemEncoder(batch.schema, mapping()).encode(batch, replaced)
    assert encoded.rows.tolist() == [0, 4]
    assert [(reject.row, reject.reason) for reject in encoded.rejects] == [(3, "key_empty")]
    assert [item["pk"]["S"] for item in typed_items(encoded)] == ["a", "c"]
    assert replaced.tolist() == [False, True, True, False, False]


def test_escapes_do_not_count_towards_an_items_size() -> None:
    text = item_of(400 * 1024).replace("x", "\n")
    assert reasons(encode({"text": pa.array([text])})) == {}


def test_a_row_of_several_kilobytes_with_a_bad_document_is_rejected_before_it_is_measured() -> None:
    columns = {"doc": pa.array(["{", "[1]"]), "text": pa.array(["x" * 5_000] * 2)}
    assert reasons(encode(columns, super_columns=frozenset({"doc"}))) == {0: "super_not_json"}


def test_a_row_with_several_faults_is_rejected_once() -> None:
    columns = {"pk": pa.array([None, "b"]), "value": pa.array([float("nan"), 1.0])}
    assert len(encode(columns).rejects) == 1


def test_a_reject_says_why_without_the_rows_contents() -> None:
    secret = "do-not-log-me"
    encoded = encode(
        {
            "pk": pa.array(["ok", secret * 200, "", "d"]),
            "note": pa.array([f"{{{secret}", "1", "2", json.dumps({"": secret})]),
        },
        super_columns=frozenset({"note"}),
    )
    assert reasons(encoded) == {0: "super_not_json", 1: "key_too_long", 2: "key_empty", 3: "attribute_name_empty"}
    assert all(reject.detail for reject in encoded.rejects)
    assert secret not in repr(encoded.rejects)


def test_rejects_are_listed_in_the_order_of_the_rows() -> None:
    columns = {"pk": pa.array(["a", "b", "", "d"]), "value": pa.array([float("nan"), 1.0, 1.0, float("inf")])}
    assert [reject.row for reject in encode(columns).rejects] == [0, 2, 3]


def test_ten_thousand_rows_lose_only_the_rejected_ones() -> None:
    count = 10_000
    rng = np.random.default_rng(7)
    broken = np.sort(rng.choice(count, 700, replace=False))
    ids = [None if row in set(broken[:350].tolist()) else f"{row}" for row in range(count)]
    numbers = rng.random(count)
    numbers[broken[350:]] = np.nan
    when = pa.array([dt.date(2015, 8, 31)] * count)
    encoded = encode({"pk": pa.array(ids), "value": pa.array(numbers), "when": when})
    assert sorted(reasons(encoded)) == broken.tolist()
    kept = np.setdiff1d(np.arange(count), broken)
    assert [item["pk"]["S"] for item in typed_items(encoded)] == [str(row) for row in kept]
