"""The size DynamoDB bills and limits: attribute names and values, not the JSON that carries them.

Source: DynamoDB Developer Guide, "DynamoDB item sizes and formats" and "Constraints in Amazon DynamoDB".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dynamo_load.encoding.attributes import Attribute

MAX_ITEM_BYTES = 400 * 1024
WRITE_UNIT_BYTES = 1024


@dataclass(frozen=True)
class EncodedColumn:
    """One column of a batch: its attribute, its values and their text, both with a place for every row."""

    attribute: Attribute
    values: pa.Array
    text: pa.Array


def item_bytes(columns: list[EncodedColumn], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the size in bytes of the items of these rows."""
    total = np.zeros(len(rows), dtype=np.int64)
    for column in columns:
        present = column.text.is_valid().to_numpy(zero_copy_only=False)[rows]
        total += column.attribute.name_bytes * present
        total += column.attribute.kind.sizes(column.values, column.text, rows)
    return total
