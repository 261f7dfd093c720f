"""Loads of only the rows that have come since the last one: those beyond the highest value of a column so far.

UNLOAD's query is a string, which can't hold bound parameters: the highest value is text of Redshift's own, and goes
back into SQL as a literal that Redshift reads as the column's type.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from records.table_state import Progress
from statements.identifiers import parse_identifier
from unload.errors import UnsuitableIncrementalColumn
from unload.statement import quote_literal

if TYPE_CHECKING:
    from unload.buckets import Counted, Known
    from unload.request import Incremental

# A date, or a timestamp with or without its time zone's offset, as Redshift writes them.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIMESTAMP = re.compile(_DATE.pattern + r" [0-9:.]+(?:[+-][0-9:]+)?", re.ASCII)


def column_sql(incremental: Incremental) -> str:
    """The column's name in SQL; raises InvalidIdentifier."""
    return parse_identifier(incremental.column, max_parts=1).sql


def newer_rows(incremental: Incremental | None, query: str, known: Known) -> str | None:
    """The SQL condition of the rows to unload, or None for all: if there is no progress of this column and query.

    Rows whose column is null are always among them. Raises InvalidIdentifier and UnsuitableIncrementalColumn.
    """
    if incremental is None or (progress := _continued(known, incremental, query)) is None:
        return None
    column, since = column_sql(incremental), _less_overlap(incremental, progress.highest)
    return f"{column} > {quote_literal(since)} OR {column} IS NULL"


def next_progress(
    incremental: Incremental | None, query: str, known: Known, counted: Counted | None
) -> Progress | None:
    """How far the load will have come once it has succeeded; None if it is not incremental, or all values are null.

    Raises UnsuitableIncrementalColumn already for the load before the one that would have to subtract the overlap.
    """
    if incremental is None or counted is None:
        return None
    if counted.highest is None:
        return _continued(known, incremental, query)
    _less_overlap(incremental, counted.highest)
    return Progress(incremental.column, _digest(query), counted.highest)


def _continued(known: Known, incremental: Incremental, query: str) -> Progress | None:
    progress = known.progress
    bound_to = (incremental.column, _digest(query))
    return progress if progress is not None and (progress.column, progress.query) == bound_to else None


def _digest(query: str) -> str:
    return hashlib.sha256(query.encode()).hexdigest()


def _less_overlap(incremental: Incremental, highest: str) -> str:
    if not incremental.overlap_seconds:
        return highest
    try:
        overlap = timedelta(seconds=incremental.overlap_seconds)
        if _DATE.fullmatch(highest):
            return (datetime.fromisoformat(highest) - overlap).date().isoformat()
        if _TIMESTAMP.fullmatch(highest):
            return (datetime.fromisoformat(highest) - overlap).isoformat(" ")
    except (ValueError, OverflowError):
        # The chain is cut: the errors quote the value.
        raise _no_overlap(incremental) from None
    raise _no_overlap(incremental)


def _no_overlap(incremental: Incremental) -> UnsuitableIncrementalColumn:
    return UnsuitableIncrementalColumn(
        f"leave out overlap_seconds, or take another column than {incremental.column!r}: its highest value is no date "
        "and no timestamp of the years 1 to 9999."
    )
