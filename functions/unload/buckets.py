"""How many buckets a load has: told before anything is unloaded, by every function that has to know it.

In the modes with buckets UNLOAD writes all rows of a key to one of them, so that a loader sees all that the load and
the records say of its keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Self

from records.table_state import Progress
from unload.errors import RowsNotCounted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from records.table_state import TableState
    from target.table import TargetTable
    from unload.request import LoadRequest

HASH_COLUMN = "load_hash"
"""The column that UNLOAD adds to the query's: 31 bits of a hash of the row's key; the lowest of them are its bucket."""

BUCKET_COLUMN = "load_bucket"
"""The column by whose value UNLOAD puts rows into folders; it is in none of the files."""

# At 40 bytes a row, this is 20 MB of record; a loader writes so many rows in a minute or a few.
_ROWS_PER_BUCKET = 500_000


@dataclass(frozen=True)
class Known:
    """What a load goes by before it has asked Redshift anything, as the state machine passes it on.

    `buckets` is None if the rows have to be counted first, or if the load has none. `progress` is how far incremental
    loads of the table have come.
    """

    buckets: int | None
    progress: Progress | None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        progress = document["progress"]
        return cls(document["buckets"], progress and Progress(**progress))


@dataclass(frozen=True)
class Counted:
    """What Count Rows found: how many rows there are, and the highest value of an incremental load's column as text.

    `highest` is None if all values are null, or the load is not incremental.
    """

    rows: int
    highest: str | None

    @classmethod
    def from_output(cls, output: Mapping[str, Any]) -> Self:
        """Read the output of the task that waited for the count; raises RowsNotCounted if it lacks the result."""
        row = output.get("result")
        if row is None:
            raise RowsNotCounted(
                "start the load again: the rows were counted, but the count could not be read: "
                f"{output.get('result_omitted', 'it was no result set')}."
            )
        return cls(row["row_count"], row.get("highest"))


def known_of(request: LoadRequest, target: TargetTable, state: TableState | None) -> Known:
    """What is known by the table's state; that of a table of the same name that is gone tells nothing of this one.

    A load that makes a record goes on where incremental ones ended only if there is a record to go on with: else its
    own would lack all rows but the newer ones.
    """
    if state is None or state.made != target.made or request.forgets:
        return Known(None, None)
    if not request.has_buckets:
        return Known(None, state.progress)
    return Known(buckets_for(state.keys), state.progress) if state.current else Known(None, None)


def must_count(request: LoadRequest, known: Known) -> bool:
    """Whether the load needs the state Count Rows."""
    return request.incremental is not None or (request.has_buckets and known.buckets is None)


def buckets_of(request: LoadRequest, known: Known, counted: Counted | None) -> int | None:
    """The number of buckets, or None in a mode without; the same for each function that asks."""
    if not request.has_buckets:
        return None
    if known.buckets is not None:
        return known.buckets
    if counted is None:
        raise RowsNotCounted("start the load again: nothing tells how many rows there are.")
    return buckets_for(counted.rows)


def buckets_for(rows: int) -> int:
    """The power of two that gives a bucket between a quarter and half a million rows; at least 1."""
    return 1 << (max(1, ceil(rows / _ROWS_PER_BUCKET)) - 1).bit_length()
