"""SUPER columns: JSON text becomes maps, lists and scalars, numbers exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.dynamo_load.encoding.put_requests import encode, typed_items, values

if TYPE_CHECKING:
    from dynamo_load.encoding.items import EncodedRows

exact_numbers = st.builds(
    lambda digits, exponent: Decimal(digits).scaleb(exponent),
    st.integers(-(10**28) + 1, 10**28 - 1),
    st.integers(-60, 60),
)
documents = st.recursive(
    st.none() | st.booleans() | st.text(max_size=20) | exact_numbers,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=5),
    max_leaves=25,
)


def json_text(value: Any) -> str:
    """Write JSON with a Decimal's own digits, as a database does."""
    match value:
        case Decimal():
            return str(value)
        case list():
            return f"[{', '.join(json_text(element) for element in value)}]"
        case dict():
            members = (f"{json.dumps(name)} : {json_text(member)}" for name, member in value.items())
            return f"{{{','.join(members)}}}"
    return json.dumps(value, ensure_ascii=False)


def encode_super(texts: list[str | None]) -> EncodedRows:
    return encode({"doc": pa.array(texts, pa.string())}, super_columns=frozenset({"doc"}))


@settings(max_examples=80)
@given(st.lists(documents, max_size=6))
def test_a_document_arrives_as_the_maps_and_lists_it_is(drawn: list[Any]) -> None:
    encoded = encode_super([json_text(document) for document in drawn])
    assert encoded.rejects == []
    typed = [item.get("doc") for item in typed_items(encoded)]
    assert [value and TypeDeserializer().deserialize(value) for value in typed] == drawn
    assert [value and data_types(value) for value in typed] == [
        None if document is None else data_types(TypeSerializer().serialize(document)) for document in drawn
    ]


def data_types(value: Any) -> Any:
    """Return the types of an attribute value without its contents."""
    ((data_type, content),) = value.items()
    match data_type:
        case "L":
            return [data_types(element) for element in content]
        case "M":
            return {name: data_types(member) for name, member in content.items()}
    return data_type


def test_null_is_left_out_whichever_way_it_arrives_and_kept_inside_of_a_document() -> None:
    items = typed_items(encode_super([None, "null", " null ", "[null]", '{"a": null}']))
    assert [item.get("doc") for item in items] == [
        *[None, None, None],
        {"L": [{"NULL": True}]},
        {"M": {"a": {"NULL": True}}},
    ]


def test_scalars_and_empty_containers_are_documents_too() -> None:
    typed = [item["doc"] for item in typed_items(encode_super(['""', '"a\\u0000\\n"', " 1.10 ", "true", "[]", "{}"]))]
    assert typed == [{"S": ""}, {"S": "a\x00\n"}, {"N": "1.10"}, {"BOOL": True}, {"L": []}, {"M": {}}]


def test_escaped_characters_are_the_characters_they_stand_for() -> None:
    assert values(encode_super([r'{"\u00e9\ud83d\ude00": "\u2028\"\\\/"}']), "doc") == [{"é😀": '\u2028"\\/'}]


@pytest.mark.parametrize(
    ("number", "sent"),
    [
        ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ("0.10", "0.10"),
        ("1e125", "1E+125"),
        ("9.9999999999999999999999999999999999999E125", "9.9999999999999999999999999999999999999E+125"),
        ("1e-130", "1E-130"),
        ("-1.50e2", "-1.5E+2"),
        ("1" + "0" * 60, "1E+60"),
        ("0." + "0" * 60 + "1", "1E-61"),
        ("0e999", "0"),
    ],
)
def test_a_number_is_sent_with_all_its_digits(number: str, sent: str) -> None:
    assert [item["doc"] for item in typed_items(encode_super([number]))] == [{"N": sent}]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "super_not_json"),
        ("{", "super_not_json"),
        ("{'a': 1}", "super_not_json"),
        ("[1] 2", "super_not_json"),
        ("NaN", "super_not_json"),
        ("[Infinity]", "super_not_json"),
        ('"\x01"', "super_not_json"),
        (r'"\ud800"', "super_not_json"),
        ("123456789012345678901234567890123456789", "number_out_of_range"),
        ("[1e126]", "number_out_of_range"),
        ("1e-131", "number_out_of_range"),
        ("1e99999999999999999999999", "number_out_of_range"),
        ("1e-99999999999999999999999", "number_out_of_range"),
        ('{"a": {"": 1}}', "attribute_name_empty"),
        ('{"a": [{"b": 1, "c": 2, "b": 1}]}', "attribute_name_twice"),
        ('{"a": {"' + "b" * 65_536 + '": 1}}', "attribute_name_too_long"),
        ('{"a": {"' + "é" * 32_768 + '": 1}}', "attribute_name_too_long"),
        ("[" * 32 + "1" + "]" * 32, "nesting_too_deep"),
        ('{"a":' * 32 + "1" + "}" * 32, "nesting_too_deep"),
        ("[" * 100_000 + "]" * 100_000, "nesting_too_deep"),
    ],
)
@pytest.mark.parametrize("beside", ["", "x" * 2_000])
def test_a_document_that_dynamodb_cannot_hold_is_rejected_alone(text: str, reason: str, beside: str) -> None:
    """Beside little and beside so much that the row would be measured."""
    columns = {"doc": pa.array(['{"ok": 1}', text, None]), "beside": pa.array([beside] * 3)}
    encoded = encode(columns, super_columns=frozenset({"doc"}))
    assert [(reject.row, reject.reason) for reject in encoded.rejects] == [(1, reason)]
    assert values(encoded, "doc") == [{"ok": 1}, None]


def test_a_name_as_long_as_an_attributes_is_kept() -> None:
    for name in ("b" * 65_535, "é" * 32_767):
        assert values(encode_super([f'{{"{name}": 1}}']), "doc") == [{name: 1}]


def test_the_value_in_31_lists_is_at_the_last_level() -> None:
    (item,) = typed_items(encode_super(["[" * 31 + "1" + "]" * 31]))
    value = item["doc"]
    for _ in range(31):
        (value,) = value["L"]
    assert value == {"N": "1"}


def test_text_that_is_not_utf_8_is_rejected_before_it_is_parsed() -> None:
    raw = pa.array([b'"\xff"', b"1"])
    column = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    encoded = encode({"doc": column}, super_columns=frozenset({"doc"}))
    assert [(reject.row, reject.reason) for reject in encoded.rejects] == [(0, "not_utf8")]
