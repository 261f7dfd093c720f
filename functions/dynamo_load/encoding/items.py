"""Rows of an unload turned into DynamoDB's JSON, whole columns at a time.

A column's values become text by one pass of Arrow's kernels (`attributes`), one more joins the columns' texts into a
single buffer of put requests, and the body of a request is then a slice of it: on the way of a good row there is no
Python per row. Rows that DynamoDB can never accept are found by the same passes and cut out at the end, so they cost
nothing where there are none, and never cost another row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.encoding.attributes import EXACT_NUMBER, Attribute, attribute_of, plain_values
from dynamo_load.encoding.columns import attribute_names
from dynamo_load.encoding.json_strings import text_and_offsets
from dynamo_load.encoding.row_faults import RejectedRow, RowFaults
from dynamo_load.errors import KeyTypeMismatch
from dynamo_load.mapping import ItemMapping
from target.table import MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, KeyAttribute, LocalIndex, TargetTable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

# DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", item size; "Read and write operations", write units.
_MAX_ITEM_BYTES = 400 * 1024
_WRITE_UNIT_BYTES = 1024

ENCODER = f"{ENCODER_VERSION} pyarrow {pa.__version__}"
"""What the text of a row depends on beside the row."""
KEY_VERSION = 1
"""To be raised whenever any key's text becomes another: it is kept from load to load."""

# JSON has no such character but escaped.
_BETWEEN_KEYS = "\0"

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

    def only(self, wanted: NDArray[np.bool_]) -> EncodedRows:
        """Return the same without the items that are not wanted."""
        if wanted.all():
            return self
        buffers = [None, pa.py_buffer(self.offsets), pa.py_buffer(self.text)]
        items = pa.Array.from_buffers(pa.large_binary(), len(wanted), buffers).filter(pa.array(wanted))
        text, offsets = text_and_offsets(items)
        return EncodedRows(text.data, offsets, self.rows[wanted], self.write_units[wanted], self.rejects)


def in_places(parts: list[EncodedRows], places: list[NDArray[np.int64]]) -> EncodedRows:
    """Make one of several, in the order of the places that are given for each part's items, and become their rows.

    Takes the parts out of the list, so that one after the other can be forgotten. Of their rejects nothing is known.
    """
    of_items = np.concatenate(places)
    order = np.argsort(of_items)
    write_units = np.concatenate([part.write_units for part in parts])[order]
    ends = np.cumsum(np.concatenate([np.diff(part.offsets) for part in parts])[order])
    begins = np.empty_like(ends)
    begins[order] = np.append(0, ends[:-1])
    text = memoryview(bytearray(int(ends[-1]) if len(ends) else 0))
    item = 0
    while parts:
        part = parts.pop(0)
        begins_here = begins[item : item + len(part.rows)].tolist()
        for begin, (first, last) in zip(begins_here, pairwise(part.offsets.tolist()), strict=True):
            text[begin : begin + last - first] = part.text[first:last]
        item += len(part.rows)
    return EncodedRows(text, np.append(0, ends), of_items[order], write_units, [])


@dataclass(frozen=True)
class _EncodedColumn:
    """One column of a batch: its attribute, the values DynamoDB is to hold and their text, a place for every row."""

    attribute: Attribute
    values: pa.Array
    text: pa.Array


class ItemEncoder:
    """Encodes batches of one schema for one table; `key_columns` are those of the table's key, the partition key first.

    `has_expiries` tells whether a column becomes the table's time to live, or none has to.
    Raises AmbiguousColumns if two columns have one name but for case or one attribute, MissingKeyColumn or
    MissingTtlColumn if the rows lack a column of the table's key or a TTL attribute that they must have, UnknownColumn
    if the input renames one that isn't there, UnsupportedColumnName or UnsupportedColumnType if a column has no place
    in an item, KeyTypeMismatch if one doesn't fit the key, the table's or an index's, that it is.
    """

    def __init__(self, schema: pa.Schema, mapping: ItemMapping) -> None:
        target = mapping.target
        names = attribute_names(schema.names, mapping)
        columns = {name: column for column, name in names.items()}
        self.has_expiries = target.ttl_attribute is None or target.ttl_attribute in columns
        self.key_columns = [columns[key.name] for key in target.key]
        self._schema = schema
        # The keys come first: every item has them, so that each further attribute can bring its own comma.
        others = [c for c in names if c not in self.key_columns and not pa.types.is_null(schema.field(c).type)]
        self._attributes = [
            attribute_of(
                schema.field(column),
                names[column],
                is_super=column in mapping.super_columns,
                is_char=column in mapping.char_columns,
                is_ttl=names[column] == target.ttl_attribute,
            )
            for column in [*self.key_columns, *others]
        ]
        self._positions = {attribute.name: position for position, attribute in enumerate(self._attributes)}
        self._key_limits = [MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES][: len(target.key)]
        self._index_keys = [key for key in target.index_keys if key.name in self._positions]
        self._local_indexes = [
            _entry_positions(index, target, self._positions)
            for index in target.local_indexes
            if index.sort_key in self._positions
        ]
        self._ttl = self._positions.get(target.ttl_attribute) if target.ttl_attribute else None
        self._check_key_types(target)

    def encode(self, rows: pa.RecordBatch, replaced: NDArray[np.bool_] | None = None) -> EncodedRows:
        """Encode one batch, whose schema must be the encoder's, without the rows that are `replaced` by later ones."""
        if not rows.schema.equals(self._schema):
            raise ValueError("the batch's schema isn't the one this encoder was made for.")
        faults = RowFaults(np.ones(len(rows), dtype=np.bool_) if replaced is None else ~replaced)
        columns = []
        for attribute in self._attributes:
            values = attribute.kind.accept(plain_values(rows.column(attribute.column)), faults)
            columns.append(_EncodedColumn(attribute, values, attribute.kind.text(values)))
        self._check_keys([column.values for column in columns[: len(self.key_columns)]], faults)
        for key in self._index_keys:
            _check_length(columns[self._positions[key.name]].values, key, "index_key", key.max_bytes, faults)
        items = _join(columns)
        write_units = self._write_units(columns, items, faults)
        accepted = np.flatnonzero(faults.accepted)
        if len(accepted) < len(rows):
            items = items.take(pa.array(accepted))
            write_units = write_units[accepted]
        text, offsets = text_and_offsets(items)
        return EncodedRows(text.data, offsets, accepted, write_units, faults.rejected)

    def keys(self, rows: Iterable[pa.RecordBatch]) -> pa.Table:
        """Return the keys of rows (at least one batch), given their `key_columns` alone, as the table will hold them.

        They are null where the row will be rejected for its key: it is no key, and replaces no other row.
        """
        return pa.Table.from_batches([self._keys(batch) for batch in rows])

    def key_texts(self, rows: pa.RecordBatch) -> pa.Array:
        """Return the text of each row's key (`large_binary`), given what `keys` takes: what `key_json` reads.

        It is the same for keys that are the same to DynamoDB, and null where `keys` has nulls.
        """
        columns = zip(self._attributes, self._keys(rows).columns, strict=False)
        texts = [attribute.kind.text(_in_one_form(values)) for attribute, values in columns]
        separator = pa.scalar(_BETWEEN_KEYS, pa.large_string())
        return pc.binary_join_element_wise(*texts, separator, null_handling="emit_null").cast(pa.large_binary())

    def partition_texts(self, rows: pa.RecordBatch) -> pa.Array:
        """Return the text of each row's partition key (`large_binary`), given its column alone; null if it is none."""
        partition_key = self._attributes[0]
        faults = RowFaults(np.ones(len(rows), dtype=np.bool_))
        values = partition_key.kind.accept(plain_values(rows.column(partition_key.column)), faults)
        return partition_key.kind.text(_in_one_form(values)).cast(pa.large_binary())

    def expiries(self, rows: pa.RecordBatch) -> NDArray[np.float64]:
        """Return the epoch seconds at which the rows expire, of those that have a time to live."""
        if self._ttl is None:
            return np.empty(0)
        attribute = self._attributes[self._ttl]
        faults = RowFaults(np.ones(len(rows), dtype=np.bool_))
        values = attribute.kind.accept(plain_values(rows.column(attribute.column)), faults)
        return np.asarray(
            values.filter(pa.array(faults.accepted)).drop_null().cast(pa.float64(), safe=False).to_numpy()
        )

    def _keys(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        faults = RowFaults(np.ones(len(rows), dtype=np.bool_))
        attributes = self._attributes[: len(self.key_columns)]
        keys = [a.kind.accept(plain_values(rows.column(a.column)), faults) for a in attributes]
        self._check_keys(keys, faults)
        if not faults.accepted.all():
            keys = [pc.if_else(pa.array(faults.accepted), key, pa.scalar(None, key.type)) for key in keys]
        return pa.record_batch(keys, names=self.key_columns)

    def _check_key_types(self, target: TargetTable) -> None:
        for role, keys in (
            ("the table's key attribute", target.key),
            ("a secondary index's key attribute", self._index_keys),
        ):
            for key in keys:
                attribute = self._attributes[self._positions[key.name]]
                _check_key_type(role, key, attribute, self._schema.field(attribute.column).type)
        for key, attribute in zip(target.key, self._attributes, strict=False):
            if key.name == target.ttl_attribute and attribute.kind is not EXACT_NUMBER:
                raise KeyTypeMismatch(
                    f"the table's key attribute {key.name!r} is its time to live too, which takes whole seconds: the "
                    f"column's type {self._schema.field(attribute.column).type} could make one key of several. Cast it "
                    "to BIGINT."
                )

    def _check_keys(self, keys: list[pa.Array], faults: RowFaults) -> None:
        for attribute, values, limit in zip(self._attributes, keys, self._key_limits, strict=False):
            if values.null_count:
                missing = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))
                faults.add(missing, "key_missing", f"key attribute {attribute.name!r} is null")
            _check_length(values, attribute, "key", limit, faults)

    def _write_units(self, columns: list[_EncodedColumn], items: pa.Array, faults: RowFaults) -> NDArray[np.int64]:
        """Return the write units of each item that isn't rejected yet, and reject those that are too large.

        An item is never larger than its JSON, so only the items whose JSON is over one write unit are measured. The
        others are far from too large even with their entries in local secondary indexes, of which a table has five.
        """
        write_units = np.ones(len(items), dtype=np.int64)
        uncertain = np.flatnonzero(faults.accepted & (pc.binary_length(items).to_numpy() > _WRITE_UNIT_BYTES))
        if uncertain.size:
            sizes = [_sizes(column, uncertain) for column in columns]
            item_bytes = np.sum(sizes, axis=0)
            write_units[uncertain] = -(-item_bytes // _WRITE_UNIT_BYTES)
            faults.add(
                uncertain[item_bytes > _MAX_ITEM_BYTES], "item_too_large", f"item is over {_MAX_ITEM_BYTES} bytes"
            )
            for sort_key, entry in self._local_indexes:
                item_bytes += np.sum([sizes[position] for position in entry], axis=0) * (sizes[sort_key] > 0)
            faults.add(
                uncertain[item_bytes > _MAX_ITEM_BYTES],
                "item_too_large",
                f"item and its entries in local secondary indexes are over {_MAX_ITEM_BYTES} bytes",
            )
        return write_units


def key_json(text: bytes, key: tuple[KeyAttribute, ...]) -> bytes:
    """Return the key of a table as DynamoDB's JSON (`{"name":{"S":"…"},…}`) from the text that `key_texts` makes."""
    values = zip(key, text.split(_BETWEEN_KEYS.encode()), strict=True)
    return b"{%b}" % b",".join(b'%b:{"%b":"%b"}' % (json.dumps(k.name).encode(), k.type.encode(), v) for k, v in values)


def _in_one_form(values: pa.Array) -> pa.Array:
    """Return values of which no two are one number to DynamoDB: 0.0 for -0.0."""
    return pc.add(values, pa.scalar(0.0, values.type)) if pa.types.is_floating(values.type) else values


def _entry_positions(index: LocalIndex, target: TargetTable, positions: dict[str, int]) -> tuple[int, list[int]]:
    """Return the positions of a local secondary index's sort key and of all attributes that its entries hold."""
    if index.projected is None:
        return positions[index.sort_key], list(positions.values())
    names = {*(key.name for key in target.key), index.sort_key, *index.projected}
    return positions[index.sort_key], [position for name, position in positions.items() if name in names]


def _check_key_type(role: str, key: KeyAttribute, attribute: Attribute, arrow_type: pa.DataType) -> None:
    if attribute.kind.data_type != key.type:
        advice = "UNLOAD writes no binary to Parquet" if key.type == "B" else "cast it in the query"
        raise KeyTypeMismatch(
            f"{role} {key.name!r} is {key.type}, but the column's type {arrow_type} is written as "
            f"{attribute.kind.data_type}: {advice}."
        )


def _check_length(
    values: pa.Array, key: Attribute | KeyAttribute, role: Literal["key", "index_key"], limit: int, faults: RowFaults
) -> None:
    """Reject the rows whose key is empty or has over `limit` bytes; only text and binary can be either."""
    if not (pa.types.is_large_string(values.type) or pa.types.is_large_binary(values.type)):
        return
    lengths = pc.binary_length(values).fill_null(1).to_numpy()
    if len(lengths) and (lengths.min() == 0 or lengths.max() > limit):
        what = f"{role.replace('_', ' ')} attribute {key.name!r}"
        faults.add(np.flatnonzero(lengths == 0), f"{role}_empty", f"{what} is empty")
        faults.add(np.flatnonzero(lengths > limit), f"{role}_too_long", f"{what} has over {limit} bytes")


def _sizes(column: _EncodedColumn, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bytes that these rows' items take for one attribute, its name included; 0 where they lack it.

    Source: DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    """
    attribute = column.attribute
    present = column.text.is_valid().to_numpy(zero_copy_only=False)[rows]
    return np.asarray(attribute.name_bytes * present + attribute.kind.sizes(column.values, column.text, rows))


def _join(columns: list[_EncodedColumn]) -> pa.Array:
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
