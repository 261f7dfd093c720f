"""The order in which a piece is written: that of its files, or in rounds where few partition keys have many rows.

Rows that are sorted by their partition key would go to one partition of the table after the other, each for as long as
its key lasts. In rounds go the first row of each key, then the second of each, and so on: all partitions are at work,
and a key that has most of the rows is alone in the end ("Distributing write activity efficiently during data upload",
DynamoDB Developer Guide). The order depends on the files and the encoder alone: whoever goes on at a place in it means
the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from dynamo_load.encoding.items import ENCODER, in_places
from dynamo_load.writing.batches import MOST_ROWS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from dynamo_load.encoding.items import EncodedRows, ItemEncoder
    from dynamo_load.reading.piece_reader import PieceReader

_ROUNDS = " order "
ORDER = f"{ENCODER}{_ROUNDS}1"
"""What a row's place in rounds depends on beside the files.

Its number is to be raised whenever a place becomes another: checkpoints are places. Digests are kept all the same.
"""
MANY_ROWS = 100
"""Of one partition key, in a piece. With fewer, what a large table takes in a second is of hundreds of keys."""
WINDOW_BYTES = 64 * 1024 * 1024
"""Rows are put into rounds together until their requests are that large. Most pieces are not."""


@dataclass(frozen=True)
class Stretch:
    """Rows of a piece, `first_row` and those after it, in the order in which they are written.

    The rows of `items`, and of its rejects, are places in this order. For each place, `replaced` tells whether a later
    row of the piece replaces the row there, and `units_saved` what it costs if it is unchanged, else 0. `order` has the
    row at each place, counted in the stretch; None if each is at its own. From the place `few_keys_from` on, a round is
    of fewer keys than a request has rows.
    """

    first_row: int
    items: EncodedRows
    replaced: NDArray[np.bool_]
    units_saved: NDArray[np.int64]
    order: NDArray[np.int64] | None = None
    few_keys_from: float = inf

    def item_rows(self) -> list[int]:
        """Return the row of each item, counted in the stretch."""
        rows: list[int] = (self.items.rows if self.order is None else self.order[self.items.rows]).tolist()
        return rows

    def rows_before(self, place: int) -> NDArray[np.int64]:
        """Return the rows at the places of the stretch before the `place` of the piece, counted in the piece."""
        places = max(0, min(place - self.first_row, len(self.replaced)))
        return self.first_row + (np.arange(places) if self.order is None else self.order[:places])


class Rounds:
    """Puts stretches into rounds; `partitions` has a number for the partition key of each row of the piece."""

    def __init__(self, partitions: NDArray[np.uint64]) -> None:
        self._partitions = partitions

    @classmethod
    def needed(cls, reader: PieceReader, encoder: ItemEncoder) -> Rounds | None:
        """Read the partition keys if the table has a sort key; None if no key has many rows. Raises as the reader."""
        if len(encoder.key_columns) == 1:
            return None
        batches = reader.columns(encoder.key_columns[:1], 0)
        partitions = np.concatenate([_partitions(encoder.partition_texts(batch)) for batch in batches])
        by_partition = np.sort(partitions)
        has_many = (by_partition[MANY_ROWS:] == by_partition[:-MANY_ROWS]).any()
        return cls(partitions) if has_many else None

    def order(self, stretches: list[Stretch]) -> Stretch:
        """Make one stretch of several that follow one another, which are taken out of the list."""
        first_row = stretches[0].first_row
        replaced = np.concatenate([stretch.replaced for stretch in stretches])
        units_saved = np.concatenate([stretch.units_saved for stretch in stretches])
        order, few_keys_from = _in_rounds(self._partitions[first_row : first_row + len(replaced)])
        place_of = np.empty_like(order)
        place_of[order] = np.arange(len(order))
        parts, places, rejects = [], [], []
        for stretch in stretches:
            here = place_of[stretch.first_row - first_row :]
            parts.append(stretch.items)
            places.append(here[stretch.items.rows])
            rejects += [replace(reject, row=int(here[reject.row])) for reject in stretch.items.rejects]
        del stretch
        stretches.clear()
        items = replace(in_places(parts, places), rejects=rejects)
        return Stretch(first_row, items, replaced[order], units_saved[order], order, few_keys_from)


def is_of_rounds(encoder: str) -> bool:
    """Whether what the ledger has as a piece's encoder is that of one in rounds, of whatever version."""
    return _ROUNDS in encoder


def _partitions(keys: pa.Array) -> NDArray[np.uint64]:
    """Return the XXH3 hash of each partition key; two that have the same one merely go round together.

    Numbering them exactly would take a hundred bytes of memory and more for each. All rows without a key have the same.
    """
    texts = keys.fill_null(b"").to_numpy(zero_copy_only=False)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, texts), np.uint64, len(texts))


def _in_rounds(partitions: NDArray[np.uint64]) -> tuple[NDArray[np.int64], int]:
    """Return the rows by how many of the same partition come before each, and the place from which rounds are small."""
    by_partition = np.argsort(partitions, kind="stable")
    in_order = partitions[by_partition]
    begins = np.flatnonzero(np.append(True, in_order[1:] != in_order[:-1]))
    rounds = np.empty_like(by_partition)
    rounds[by_partition] = np.arange(len(partitions)) - np.repeat(begins, np.diff(begins, append=len(partitions)))
    sizes = np.bincount(rounds)
    return np.argsort(rounds, kind="stable"), int(sizes[sizes >= MOST_ROWS].sum())
