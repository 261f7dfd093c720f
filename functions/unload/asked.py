"""What a load is asked for, with what is known so far: as the functions before, of and after UNLOAD get it alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from execution_input import parse_input
from unload.buckets import Counted, Known, buckets_of
from unload.incremental import column_sql, newer_rows, next_progress
from unload.query import requested_query
from unload.request import LoadRequest
from unload.statement import all_rows, count_statement, rows_in_buckets, selected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from records.table_state import Progress
    from statements.data_api import Statement
    from target.table import TargetTable


@dataclass(frozen=True)
class AskedLoad:
    """The execution's input, the query that it means, what Prepare Load knew, and what Count Rows found, if it has run.

    `progress` is how far incremental loads will have come with this one (None: it is none, or has seen no value).
    """

    request: LoadRequest
    query: str
    known: Known
    counted: Counted | None
    progress: Progress | None

    @classmethod
    def from_event(cls, event: Mapping[str, Any], configured_query: str) -> Self:
        """Read `execution`, `known`, and `counted`: the output of the task that counted, or null.

        Raises InvalidInput, InvalidQuery, InvalidIdentifier, RowsNotCounted and UnsuitableIncrementalColumn.
        """
        request = parse_input(LoadRequest, event["execution"]["Input"])
        query = requested_query(request, configured_query)
        known = Known.from_json(event["known"])
        counted = event["counted"] and Counted.from_output(event["counted"])
        return cls(request, query, known, counted, next_progress(request.incremental, query, known, counted))

    @property
    def buckets(self) -> int | None:
        """How many buckets the load has, None if it has none; raises RowsNotCounted."""
        return buckets_of(self.request, self.known, self.counted)

    @property
    def count(self) -> Statement:
        """The statement that counts the rows that the load is going to unload."""
        incremental = self.request.incremental
        return count_statement(self._source, column_sql(incremental) if incremental else None)

    def rows(self, target: TargetTable) -> str:
        """The SELECT of the rows that the load unloads, with the columns that put them into buckets if it has any.

        Raises RowsNotCounted.
        """
        if self.buckets is None:
            return all_rows(self._source)
        return rows_in_buckets(self._source, target, self.request.attributes, self.buckets)

    @property
    def newer_than(self) -> str | None:
        """The SQL condition of the rows that the load takes, or None if it takes all."""
        return newer_rows(self.request.incremental, self.query, self.known)

    @property
    def _source(self) -> str:
        return selected(self.query, self.newer_than)
