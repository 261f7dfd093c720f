"""The last word on a load: whether every row is accounted for in one way, and few enough are rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_bucket import rejects_url
from dynamo_load.accounting.ledger import pieces, stop_loaders
from dynamo_load.accounting.vanishing import compared_in_all
from dynamo_load.duration import Warming, duration
from dynamo_load.errors import RowsUnaccounted, TooManyRejects
from dynamo_load.prices import write_dollars

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from dynamo_load.accounting.ledger import PieceEntry
    from dynamo_load.plan import LoadPlan, Refresh

_PIECES_NAMED = 3


@dataclass(frozen=True)
class LoadResult:
    """What a load came to.

    `rows_unloaded = rows_written + rows_unchanged + rows_rejected + rows_superseded`; `rows_deleted` are none of them.
    `write_units_saved` is what writing the unchanged rows would have cost. `bytes_unloaded` is the size of the Parquet
    files, `seconds` the time from the first loader's start to the last one's end. `rows_throttled` is how often a row
    was sent in vain as the table throttled, `throttled_seconds` for how long it did, of each loader and all together.
    `rejects` is where the rejected rows are (None if there are none), `full_load_because` why no row could be left
    alone in a mode that does (None: it could).
    """

    load_id: str
    table: str
    mode: str
    rows_unloaded: int
    rows_written: int
    rows_unchanged: int
    rows_rejected: int
    rows_superseded: int
    rows_deleted: int
    bytes_unloaded: int
    write_units: float
    write_units_saved: int
    seconds: float
    rows_per_second: float
    rows_throttled: int
    throttled_seconds: float
    rejects: str | None
    full_load_because: str | None


@dataclass(frozen=True)
class RefreshReport:
    """What a load in a mode with records would do, counted row by row: the report of its dry run.

    `dollars` is the price of `write_units`, null where that is not known; they take `minutes` at
    `write_units_per_second`, `limited_by` that; what `warming` the table would change is null for nothing. Writing all
    rows would take `full_load_write_units`.
    """

    table: str
    mode: str
    rows: int
    bytes: int
    rows_to_write: int
    rows_to_delete: int
    rows_unchanged: int
    rows_rejected: int
    rows_superseded: int
    write_units: float
    dollars: float | None
    minutes: float
    write_units_per_second: int
    limited_by: str
    warming: Warming | None
    full_load_write_units: float
    full_load_dollars: float | None
    rejects: str | None
    full_load_because: str | None


@dataclass(frozen=True)
class Verified:
    """A load that is complete: its figures, and how many keys its records hold."""

    result: LoadResult
    recorded_keys: int


def verify_load(dynamodb: DynamoDBClient, ledger_table: str, plan: LoadPlan) -> Verified:
    """Hold the ledger of a load against its plan.

    Raises RowsUnaccounted if a single row is missing or counted too often, or others are deleted than have vanished,
    TooManyRejects if more rows were rejected than the plan allows, KeysNotCompared, and LedgerUnavailable if the ledger
    can't be used. Takes unfinished pieces from their loaders.
    """
    load_id, unloaded = plan.load_id, plan.rows
    entries = list(pieces(dynamodb, ledger_table, load_id))
    tallies = [entry.tally for entry in entries]
    written = sum(tally.written for tally in tallies)
    unchanged = sum(tally.unchanged for tally in tallies)
    rejected = sum(tally.rejected for tally in tallies)
    superseded = sum(tally.superseded for tally in tallies)
    deleted = sum(tally.deleted for tally in tallies)
    missing = unloaded - written - unchanged - rejected - superseded
    rejects = rejects_url(plan.bucket, load_id) if rejected else None
    unfinished = [entry for entry in entries if not entry.finished]
    stop_loaders(dynamodb, ledger_table, load_id, unfinished)

    if rejected > plan.limits.rejects_allowed:
        raise TooManyRejects(
            f"rejected: {rejected:,} of {unloaded:,} rows, allowed: {plan.limits.rejects_allowed:,}. "
            f"See {rejects} for the rows and the reasons. Written: {written:,}, left alone: {unchanged:,}, "
            f"superseded: {superseded:,}, not reached: {missing:,}."
        )
    if missing or unfinished or len(entries) != plan.pieces:
        raise RowsUnaccounted(
            f"{unloaded:,} rows were unloaded; {written:,} written, {unchanged:,} left alone, {rejected:,} rejected "
            f"and {superseded:,} superseded leave {missing:,} unaccounted for. "
            f"{len(entries)} of {plan.pieces} pieces were begun, "
            f"{len(unfinished)} of them not finished{_described(unfinished)}. "
            f"See the entries of load {load_id} in the ledger {ledger_table}."
        )
    if plan.refresh and plan.refresh.deletes and not plan.dry_run:
        vanished = compared_in_all(dynamodb, ledger_table, plan).vanished
        if deleted != vanished:
            raise RowsUnaccounted(
                f"{vanished:,} rows have vanished from the query's result, {deleted:,} were deleted. "
                f"See the entries of load {load_id} in the ledger {ledger_table}."
            )
    seconds = max((entry.updated_at for entry in entries), default=0.0) - min(
        (entry.started_at for entry in entries), default=0.0
    )
    result = LoadResult(
        load_id=load_id,
        table=plan.mapping.target.name,
        mode=plan.mode,
        rows_unloaded=unloaded,
        rows_written=written,
        rows_unchanged=unchanged,
        rows_rejected=rejected,
        rows_superseded=superseded,
        rows_deleted=deleted,
        bytes_unloaded=plan.bytes,
        write_units=sum(tally.write_units for tally in tallies),
        write_units_saved=sum(tally.units_saved for tally in tallies),
        seconds=round(seconds, 3),
        rows_per_second=round(written / seconds, 1) if seconds else 0.0,
        rows_throttled=sum(tally.rows_throttled for tally in tallies),
        throttled_seconds=round(sum(tally.throttled_seconds for tally in tallies), 3),
        rejects=rejects,
        full_load_because=_full_because(plan.refresh, unchanged) if plan.refresh else None,
    )
    return Verified(result, recorded_keys=sum(tally.recorded_keys for tally in tallies))


def _full_because(refresh: Refresh, unchanged: int) -> str | None:
    """Say why no row was left alone, if that is not because all have changed."""
    if refresh.begun and not refresh.current and not unchanged:
        # What loads that failed have finished may still be known: only now it shows whether any was of use.
        return refresh.full_because or "no load that notes what the table holds has succeeded yet"
    return refresh.full_because


def report_refresh(result: LoadResult, plan: LoadPlan, region: str) -> RefreshReport:
    """Say what a dry run of a plan came to, at the prices of a region."""
    # A deletion takes a unit for each KB of what it deletes; a loader counts one, as it knows no more than the key.
    full = result.write_units + result.write_units_saved - result.rows_deleted
    expected = duration(result.write_units, plan.limits, plan.mapping.target.capacity)
    return RefreshReport(
        table=result.table,
        mode=result.mode,
        rows=result.rows_unloaded,
        bytes=result.bytes_unloaded,
        rows_to_write=result.rows_written,
        rows_to_delete=result.rows_deleted,
        rows_unchanged=result.rows_unchanged,
        rows_rejected=result.rows_rejected,
        rows_superseded=result.rows_superseded,
        write_units=result.write_units,
        dollars=write_dollars(result.write_units, region),
        minutes=expected.minutes,
        write_units_per_second=expected.write_units_per_second,
        limited_by=expected.limited_by,
        warming=expected.warming,
        full_load_write_units=full,
        full_load_dollars=write_dollars(full, region),
        rejects=result.rejects,
        full_load_because=result.full_load_because,
    )


def _described(unfinished: Sequence[PieceEntry]) -> str:
    """Name a few unfinished pieces, with the failures of their loaders where these are known."""
    if not unfinished:
        return ""
    return ": " + "; ".join(
        f"{entry.piece} at row {entry.tally.next_row:,} of {entry.rows:,}, {entry.failure or 'no failure noted'}"
        for entry in sorted(unfinished, key=lambda entry: entry.failure is None)[:_PIECES_NAMED]
    )
