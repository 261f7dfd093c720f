"""The last word on a load: whether every row is written, rejected or superseded, and few enough are rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_bucket import rejects_url
from dynamo_load.accounting.ledger import pieces, stop_loaders
from dynamo_load.errors import RowsUnaccounted, TooManyRejects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from dynamo_load.accounting.ledger import PieceEntry
    from dynamo_load.plan import LoadPlan

_PIECES_NAMED = 3


@dataclass(frozen=True)
class LoadResult:
    """What a load came to.

    `bytes_unloaded` is the size of the Parquet files, `seconds` the time from the first loader's start to the last
    one's end, `rejects` where the rejected rows are (None if there are none).
    """

    load_id: str
    table: str
    rows_unloaded: int
    rows_written: int
    rows_rejected: int
    rows_superseded: int
    bytes_unloaded: int
    write_units: float
    seconds: float
    rows_per_second: float
    rejects: str | None


def verify_load(dynamodb: DynamoDBClient, ledger_table: str, plan: LoadPlan) -> LoadResult:
    """Hold the ledger of a load against its plan.

    Raises RowsUnaccounted if a single row is missing or counted too often, TooManyRejects if more rows were rejected
    than the plan allows, LedgerUnavailable if the ledger can't be used. Takes unfinished pieces from their loaders.
    """
    load_id, unloaded = plan.load_id, plan.rows
    entries = list(pieces(dynamodb, ledger_table, load_id))
    tallies = [entry.tally for entry in entries]
    written = sum(tally.written for tally in tallies)
    rejected = sum(tally.rejected for tally in tallies)
    superseded = sum(tally.superseded for tally in tallies)
    missing = unloaded - written - rejected - superseded
    rejects = rejects_url(plan.bucket, load_id) if rejected else None
    unfinished = [entry for entry in entries if not entry.finished]
    stop_loaders(dynamodb, ledger_table, load_id, unfinished)

    if rejected > plan.limits.rejects_allowed:
        raise TooManyRejects(
            f"{rejected:,} of {unloaded:,} rows were rejected, {plan.limits.rejects_allowed:,} are allowed: "
            f"see {rejects} for the rows and the reasons. "
            f"{written:,} were written, {superseded:,} superseded, {missing:,} not reached."
        )
    if missing or unfinished or len(entries) != plan.pieces:
        raise RowsUnaccounted(
            f"{unloaded:,} rows were unloaded; {written:,} written, {rejected:,} rejected and {superseded:,} "
            f"superseded leave {missing:,} unaccounted for. {len(entries)} of {plan.pieces} pieces were begun, "
            f"{len(unfinished)} of them not finished{_described(unfinished)}. "
            f"See the entries of load {load_id} in the ledger {ledger_table}."
        )
    seconds = max((entry.updated_at for entry in entries), default=0.0) - min(
        (entry.started_at for entry in entries), default=0.0
    )
    return LoadResult(
        load_id=load_id,
        table=plan.mapping.target.name,
        rows_unloaded=unloaded,
        rows_written=written,
        rows_rejected=rejected,
        rows_superseded=superseded,
        bytes_unloaded=plan.bytes,
        write_units=sum(tally.write_units for tally in tallies),
        seconds=round(seconds, 3),
        rows_per_second=round(written / seconds, 1) if seconds else 0.0,
        rejects=rejects,
    )


def _described(unfinished: Sequence[PieceEntry]) -> str:
    """Name a few unfinished pieces, with the failures of their loaders where these are known."""
    if not unfinished:
        return ""
    return ": " + "; ".join(
        f"{entry.piece} at row {entry.tally.next_row:,} of {entry.rows:,}, {entry.failure or 'no failure noted'}"
        for entry in sorted(unfinished, key=lambda entry: entry.failure is None)[:_PIECES_NAMED]
    )
