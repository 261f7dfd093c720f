"""Rows of one piece that a later row with the same key replaces.

Requests in flight beside each other have no order, so what the last writer would have won is settled before sending.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray


_HASHED_AT_ONCE = 10_000
"""Rows; so many values at a time become Python objects."""


def superseded(keys: pa.Table) -> NDArray[np.bool_]:
    """Return True for each row whose key occurs again in a later row.

    `keys` is what `ItemEncoder.keys` returns, in the order of the rows. Keys are equal as DynamoDB sees them: numbers
    by value, so 0.0 and -0.0 are one key, text and binary byte for byte. A row with a null in its key has none that
    could be one; it replaces nothing and isn't replaced. Takes about 25 bytes of memory for each row, and 100 more for
    each whose key may come more than once.
    """
    keys = pa.table([_comparable(column) for column in keys.columns], names=keys.column_names)
    suspects = _suspects(keys)
    replaced = np.zeros(keys.num_rows, dtype=np.bool_)
    replaced[suspects] = _replaced(keys.take(suspects))
    return replaced


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column whose values are equal if DynamoDB's are."""
    if pa.types.is_large_string(column.type):
        # In the same layout, which takes no memory; the hash of bytes is the cheaper one.
        return column.cast(pa.large_binary())
    if pa.types.is_floating(column.type):
        return pc.add(column, pa.scalar(0.0, column.type))
    return column


def _suspects(keys: pa.Table) -> NDArray[np.int64]:
    """Return the rows whose key has the hash of another row's: all that can be duplicates, and hardly any other."""
    hashes = np.zeros(keys.num_rows, dtype=np.int64)
    end = 0
    for batch in keys.to_batches(_HASHED_AT_ONCE):
        begin, end = end, end + len(batch)
        has_key = np.all([column.is_valid().to_numpy(zero_copy_only=False) for column in batch.columns], axis=0)
        # Without nulls, which would make floats of integers.
        columns = [column.to_numpy(zero_copy_only=False) for column in batch.drop_null().columns]
        hashes[begin:end][has_key] = np.fromiter(map(hash, zip(*columns, strict=True)), np.int64)
    in_order = np.sort(hashes)
    repeated = in_order[1:][in_order[1:] == in_order[:-1]]
    return np.flatnonzero(np.isin(hashes, repeated))


def _replaced(keys: pa.Table) -> NDArray[np.bool_]:
    """Return what `superseded` returns, by numbering the keys."""
    codes = [_codes(column) for column in keys.columns]
    with_key = np.flatnonzero(np.all([column >= 0 for column in codes], axis=0))
    key = codes[0][with_key]
    for column in codes[1:]:
        pairs = key * (column.max(initial=0) + 1) + column[with_key]
        key = _codes(pa.chunked_array([pairs]))
    last_row = np.empty(key.max(initial=-1) + 1, dtype=np.int64)
    # Of assignments to one place the last stays.
    last_row[key] = with_key
    replaced = np.zeros(keys.num_rows, dtype=np.bool_)
    replaced[with_key] = last_row[key] != with_key
    return replaced


def _codes(column: pa.ChunkedArray) -> NDArray[np.int64]:
    """Number a column's distinct values from 0 and return each row's number, -1 where there is no value."""
    # The chunks of one column share one dictionary.
    chunks = [chunk.indices.fill_null(-1).to_numpy() for chunk in column.dictionary_encode().chunks]
    return np.concatenate([np.empty(0, dtype=np.int64), *chunks])
