"""Reading encoded rows back as DynamoDB would read them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

from dynamo_load.encoding.items import EncodedRows, ItemEncoder
from dynamo_load.mapping import ItemMapping
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KEY = KeyAttribute("pk", "S")


def mapping(
    partition_key: KeyAttribute = KEY,
    sort_key: KeyAttribute | None = None,
    *,
    super_columns: Iterable[str] = (),
    char_columns: Iterable[str] = (),
    attributes: Mapping[str, str] | None = None,
    **target: Any,
) -> ItemMapping:
    """A mapping for a table of this key."""
    key = (partition_key,) if sort_key is None else (partition_key, sort_key)
    return ItemMapping(TargetTable("table", key, **target), tuple(super_columns), tuple(char_columns), attributes or {})


def encode(columns: dict[str, pa.Array], **mapped: Any) -> EncodedRows:
    """Encode columns, given a key column `pk` (row 0 is "0") unless they bring one."""
    count = len(next(iter(columns.values())))
    columns = {"pk": pa.array([str(row) for row in range(count)], pa.string()), **columns}
    batch = pa.record_batch(list(columns.values()), names=list(columns))
    return ItemEncoder(batch.schema, mapping(**mapped)).encode(batch)


def typed_items(encoded: EncodedRows) -> list[dict[str, Any]]:
    """Return the items as they stand in the request, one slice each, types and all."""
    items = []
    for row in range(len(encoded.rows)):
        text = bytes(encoded.text[encoded.offsets[row] : encoded.offsets[row + 1]])
        assert text[-1:] == b","
        request = json.loads(text[:-1])
        assert list(request) == ["PutRequest"]
        assert list(request["PutRequest"]) == ["Item"]
        items.append(request["PutRequest"]["Item"])
    whole = json.loads(b"[" + bytes(encoded.text)[:-1] + b"]")
    assert [request["PutRequest"]["Item"] for request in whole] == items
    return items


def values(encoded: EncodedRows, name: str) -> list[Any]:
    """Return one attribute of every item as boto3 reads it, None where an item lacks it."""
    items = typed_items(encoded)
    return [TypeDeserializer().deserialize(item[name]) if name in item else None for item in items]


def as_boto3_stores(meanings: Iterable[Any]) -> list[Any]:
    """Return what comes back for values that boto3's serializer wrote, None standing for an attribute left out."""
    through = TypeSerializer(), TypeDeserializer()
    return [None if value is None else through[1].deserialize(through[0].serialize(value)) for value in meanings]


def between_other_rows(rows: list[Any], arrow_type: pa.DataType) -> pa.Array:
    """Return an array of these rows that is a slice from the middle of a longer one."""
    return pa.array([*rows[:3], None, *rows, None, *rows[:2]], arrow_type)[len(rows[:3]) + 1 :][: len(rows)]
