"""Rows of an unload turned into DynamoDB's JSON, whole columns at a time.

A column's values become text by one pass of Arrow's kernels (`attributes`), one more joins the columns' texts into a
single buffer of put requests, and the body of a request is then a slice of it: on the way of a good row there is no
Python per row. Rows that DynamoDB can never accept are found by the same passes and cut out at the end, so they cost
nothing where there are none, and never cost another row.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dynamo_load.encoding.attributes import INTEGER, Attribute, attribute, plain_values
from dynamo_load.encoding.item_size import MAX_ITEM_BYTES, WRITE_UNIT_BYTES, EncodedColumn, item_bytes
from dynamo_load.encoding.json_strings import text_and_offsets
from dynamo_load.encoding.row_faults import RejectedRow, RowFaults
from dynamo_load.errors import AmbiguousColumns, KeyTypeMismatch, MissingKeyColumn, MissingTtlColumn
from dynamo_load.mapping import ItemMapping
from target.table import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, KeyAttribute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PUT_OPENING = '{"PutRequest":{"Item":{'
_PUT_CLOSING = "}}},"


@dataclass(frozen=True)
class EncodedRows:
    """The accepted rows of a batch as request text, and the others as rejects.

    Item i is `text[offsets[i]:offsets[i + 1]]` and reads `{"PutRequest":{"Item":{…}}},`; n items in a row without
    their last byte are the inside of a JSON list. `rows[i]` is its index in the batch and `write_units[i]` what
    writing it costs (its size in KiB by DynamoDB's rules, rounded up).
    """

    text: memoryview
    offsets: NDArray[np.int64]
    rows: NDArray[np.int64]
    write_units: NDArray[np.int64]
    rejects: list[RejectedRow]


class ItemEncoder:
    """Encodes batches of one schema for one table.

    Raises AmbiguousColumns if two columns' names are the same but for case, MissingKeyColumn or MissingTtlColumn if the
    rows lack a column of the table's key or its TTL attribute, UnsupportedColumnName or UnsupportedColumnType if a
    column has no place in an item, KeyTypeMismatch if one doesn't fit the key, the table's or an index's, that it is.
    """

    def __init__(self, schema: pa.Schema, mapping: ItemMapping) -> None:
        _check_names(schema)
        keys, ttl_attribute = mapping.target.key, mapping.target.ttl_attribute
        # The keys come first: every item has them, so that each further attribute can bring its own comma.
        names = [key.name for key in keys]
        names += [field.name for field in schema if field.name not in names and not pa.types.is_null(field.type)]
        _check_keys_present(keys, schema)
        if ttl_attribute is not None:
            _check_ttl_present(ttl_attribute, schema)
        self._schema = schema
        self._attributes = [
            attribute(
                schema.field(name),
                is_super=name in mapping.super_columns,
                is_ttl=name == ttl_attribute,
            )
            for name in names
        ]
        for key, column in zip(keys, self._attributes, strict=False):
            _check_key_type("the table's key attribute", key, column, schema)
            if key.name == ttl_attribute and column.kind is not INTEGER:
                raise KeyTypeMismatch(
                    f"the table's key attribute {key.name!r} is its time to live too, which takes whole seconds: the "
                    f"column's type {schema.field(key.name).type} could make one key of several. Cast it to BIGINT."
                )
        positions = {name: position for position, name in enumerate(names)}
        self._index_keys = [(positions[key.name], key) for key in mapping.target.index_keys if key.name in positions]
        for position, index_key in self._index_keys:
            _check_key_type("a secondary index's key attribute", index_key, self._attributes[position], schema)
        self._key_limits = [MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES][: len(keys)]

    def encode(self, rows: pa.RecordBatch) -> EncodedRows:
        """Encode one batch, whose schema must be the encoder's."""
        if not rows.schema.equals(self._schema):
            raise ValueError("the batch's schema isn't the one this encoder was made for.")
        faults = RowFaults()
        columns = [_encoded(attribute, rows.column(attribute.name), faults) for attribute in self._attributes]
        for column, limit in zip(columns, self._key_limits, strict=False):
            _check_present(column, faults)
            _check_length(column, limit, "key", faults)
        for position, index_key in self._index_keys:
            _check_length(columns[position], index_key.max_bytes, "index_key", faults)
        items = _join(columns)
        write_units = _write_units(columns, items, faults)
        accepted = np.arange(len(rows), dtype=np.int64)
        if faults:
            accepted = faults.accepted(len(rows))
            items = items.take(pa.array(accepted))
            write_units = write_units[accepted]
        text, offsets = text_and_offsets(items)
        return EncodedRows(text.data, offsets, accepted, write_units, faults.rejected)


def _check_names(schema: pa.Schema) -> None:
    spellings = Counter(name.lower() for name in schema.names)
    clashing = [name for name in schema.names if spellings[name.lower()] > 1]
    if clashing:
        raise AmbiguousColumns(
            f"columns {', '.join(map(repr, clashing))} have one name but for case: give them aliases in the query."
        )


def _check_keys_present(keys: Sequence[KeyAttribute], schema: pa.Schema) -> None:
    for key in keys:
        if key.name not in schema.names:
            raise MissingKeyColumn(
                f"the table's key attribute {key.name!r} isn't among the columns {', '.join(map(repr, schema.names))}: "
                "select it, with exactly this name, case included."
            )


def _check_ttl_present(ttl_attribute: str, schema: pa.Schema) -> None:
    if ttl_attribute not in schema.names:
        spellings = {name.lower(): name for name in schema.names}
        nearest = spellings[get_close_matches(ttl_attribute.lower(), spellings, n=1, cutoff=0)[0]]
        raise MissingTtlColumn(
            f"the time to live {ttl_attribute!r} isn't among the columns, the nearest is {nearest!r}: select it, with "
            "exactly this name, case included, or leave the stack's DynamoDbTtl empty."
        )


def _check_key_type(role: str, key: KeyAttribute, column: Attribute, schema: pa.Schema) -> None:
    if column.kind.data_type != key.type:
        raise KeyTypeMismatch(
            f"{role} {key.name!r} is {key.type}, but the column's type {schema.field(key.name).type} is written as "
            f"{column.kind.data_type}: cast it in the query."
        )


def _encoded(column: Attribute, values: pa.Array, faults: RowFaults) -> EncodedColumn:
    plain = plain_values(values)
    return EncodedColumn(column, plain, column.kind.text(plain, faults))


def _check_present(key: EncodedColumn, faults: RowFaults) -> None:
    if key.values.null_count:
        missing = np.flatnonzero(key.values.is_null().to_numpy(zero_copy_only=False))
        faults.add(missing, "key_missing", f"key attribute {key.attribute.name!r} is null")


def _check_length(key: EncodedColumn, limit: int, role: Literal["key", "index_key"], faults: RowFaults) -> None:
    """Reject the rows whose key is empty or has over `limit` bytes; a number can't be either, and null is neither."""
    if key.attribute.kind.data_type == "N":
        return
    lengths = key.attribute.kind.sizes(key.values, key.text, np.arange(len(key.values)))
    if len(lengths) and (lengths.min() == 0 or lengths.max() > limit):
        what = f"{role.replace('_', ' ')} attribute {key.attribute.name!r}"
        empty = (lengths == 0) & key.values.is_valid().to_numpy(zero_copy_only=False)
        faults.add(np.flatnonzero(empty), f"{role}_empty", f"{what} is empty")
        faults.add(np.flatnonzero(lengths > limit), f"{role}_too_long", f"{what} has over {limit} bytes")


def _join(columns: list[EncodedColumn]) -> pa.Array:
    """Return each row's put request. A column that has nulls in this batch brings its attributes ready-made."""
    parts: list[pa.Array | str] = []
    pending = _PUT_OPENING
    for position, column in enumerate(columns):
        opening = ("," if position else "") + column.attribute.opening
        if column.text.null_count:
            parts += [pending, _concatenate([opening, column.text, column.attribute.closing], nulls="emit_null")]
            pending = ""
        else:
            parts += [pending + opening, column.text]
            pending = column.attribute.closing
    return _concatenate([*parts, pending + _PUT_CLOSING], nulls="skip")


def _concatenate(parts: list[pa.Array | str], *, nulls: Literal["emit_null", "skip"]) -> pa.Array:
    """Join texts row by row; a `str` is the same in every row."""
    operands = [pa.scalar(part, pa.large_string()) if isinstance(part, str) else part for part in parts]
    no_separator = pa.scalar("", pa.large_string())
    return pc.binary_join_element_wise(*operands, no_separator, null_handling=nulls)


def _write_units(columns: list[EncodedColumn], items: pa.Array, faults: RowFaults) -> NDArray[np.int64]:
    """Return each item's write units, and reject the items that are too large.

    An item is never larger than its JSON, so only the items whose JSON is over one write unit are measured.
    """
    write_units = np.ones(len(items), dtype=np.int64)
    uncertain = np.flatnonzero(pc.binary_length(items).to_numpy() > WRITE_UNIT_BYTES)
    if uncertain.size:
        sizes = item_bytes(columns, uncertain)
        write_units[uncertain] = -(-sizes // WRITE_UNIT_BYTES)
        faults.add(uncertain[sizes > MAX_ITEM_BYTES], "item_too_large", f"item is over {MAX_ITEM_BYTES} bytes")
    return write_units
