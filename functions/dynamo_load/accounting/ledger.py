"""The ledger: what has become of every row of a load, kept per piece in DynamoDbTableLedger.

A loader takes a piece over by writing its name into the piece's entry, and records running totals only while its name
stands there. So totals are set, never added to, and a loader that lives on after another took its place counts nothing.
Each loader notes until when it may be at work, for who loads the table next, and takes the note away when it is not.
"""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_errors import named_failures
from dynamo_load.accounting.course import Course, legs_of
from dynamo_load.errors import LedgerUnavailable, LoadHasFailed, PieceTakenOver
from errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from dynamo_load.accounting.course import Leg

_ENTRY_PREFIX = "piece#"
_BUSY_PREFIX = "busyUntil#"
KEPT_SECONDS = 30 * 24 * 3600
"""Longer than an execution can be redriven (14 days), shorter than until its name may be used again (90 days).

An entry must serve the one and never the other ("Quotas related to state machine executions", Step Functions).
"""
_FAILURE_CHARACTERS = 1_000
# For clocks that differ, and for a request that DynamoDB answers to nobody any more.
_MARGIN_SECONDS = 35.0
_NONE: AttributeValueTypeDef = {"N": "0"}
_NO_LEGS: AttributeValueTypeDef = {"S": ""}
_NOBODY: AttributeValueTypeDef = {"S": "nobody: the load has failed"}


@dataclass(slots=True)
class Tally:
    """What has become of a piece's rows below `next_row`, the one to go on with; keys to delete count as further rows.

    `item_bytes` is the size of the written items as request text, `write_units` what DynamoDB said was consumed,
    `units_saved` what writing the unchanged rows would have cost, `recorded_keys` how many keys the piece's record
    holds, `seconds` how long loaders were at it, `encoder` what the first of them encoded with, and in which order.
    `rows_throttled` is how often a row was sent in vain as the table throttled, `throttled_seconds` for how long it
    did. `finished` says that no row is left, and the record stored.
    """

    next_row: int = 0
    written: int = 0
    unchanged: int = 0
    rejected: int = 0
    superseded: int = 0
    deleted: int = 0
    item_bytes: int = 0
    write_units: float = 0.0
    units_saved: int = 0
    recorded_keys: int = 0
    seconds: float = 0.0
    rows_throttled: int = 0
    throttled_seconds: float = 0.0
    encoder: str = ""
    finished: bool = False

    @property
    def rows(self) -> int:
        """Rows that are settled, in whichever way."""
        return self.written + self.unchanged + self.rejected + self.superseded


@dataclass(frozen=True)
class PieceEntry:
    """One piece in the ledger; times are epoch seconds.

    Until `busy_until` one of its loaders may be at work (0: none is); `stopped` is whether it was taken from them for
    good, `failure` why the last one failed (None: it didn't). `legs` follow one another from `started_at` on.
    """

    piece: str
    rows: int
    tally: Tally
    legs: tuple[Leg, ...]
    started_at: float
    updated_at: float
    busy_until: float
    stopped: bool
    failure: str | None

    @property
    def finished(self) -> bool:
        """Whether every row of the piece is settled, and in one way only."""
        tally = self.tally
        return tally.finished and tally.rows == self.rows and tally.next_row == self.rows + tally.deleted


class PieceLedger:
    """One loader's hold on the entry of its piece.

    `busy_until` (epoch seconds) is when the loader is ended at the latest.
    Every call raises LedgerUnavailable if DynamoDB can't be used, and LoadHasFailed once `stop_loaders` took the piece.
    """

    def __init__(
        self, dynamodb: DynamoDBClient, table: str, load_id: str, piece: str, rows: int, *, busy_until: float
    ) -> None:
        self._dynamodb, self._table, self._rows, self._busy_until = dynamodb, table, rows, busy_until
        self._key = _key(load_id, piece)
        self._loader = uuid.uuid4().hex
        # Each has a note of its own: one that lives on after another took its place is at work, too.
        self._busy = f"{_BUSY_PREFIX}{self._loader}"
        self._piece = f"piece {piece} of load {load_id}"

    def take_over(self) -> Tally:
        """Make this loader the only one that may record the piece, and return what the ones before it did.

        From then on it is noted as being at work, until it calls `leave`.
        """
        now = time.time()
        with named_failures(LedgerUnavailable):
            try:
                entry = self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression=(
                        "SET #loader = :loader, #rows = :rows, startedAt = if_not_exists(startedAt, :now),"
                        " updatedAt = if_not_exists(updatedAt, :now), #busy = :busy, expiresAt = :expires"
                        " REMOVE failure"
                    ),
                    ConditionExpression="attribute_not_exists(#loader) OR #loader <> :nobody",
                    ExpressionAttributeNames={"#loader": "loader", "#rows": "rows", "#busy": self._busy},
                    ExpressionAttributeValues={
                        ":loader": {"S": self._loader},
                        ":busy": _number(self._busy_until),
                        ":nobody": _NOBODY,
                        ":rows": _number(self._rows),
                        ":now": _number(now),
                        ":expires": _number(int(now) + KEPT_SECONDS),
                    },
                    ReturnValues="ALL_NEW",
                )["Attributes"]
            except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
                raise self._load_has_failed() from error
        tally = _tally(entry)
        self._course = Course(float(entry["startedAt"]["N"]), _legs(entry), tally.next_row, tally.rows_throttled)
        self._course.reach(now, tally.next_row, tally.rows_throttled)
        return tally

    def record(self, tally: Tally) -> None:
        """Set the piece's totals; raises PieceTakenOver if the piece was taken from this loader.

        It must have been taken over before.
        """
        self._course.reach(time.time(), tally.next_row, tally.rows_throttled)
        self._set(
            {
                "nextRow": _number(tally.next_row),
                "written": _number(tally.written),
                "unchanged": _number(tally.unchanged),
                "rejected": _number(tally.rejected),
                "superseded": _number(tally.superseded),
                "deleted": _number(tally.deleted),
                "itemBytes": _number(tally.item_bytes),
                "writeUnits": _number(tally.write_units),
                "unitsSaved": _number(tally.units_saved),
                "recordedKeys": _number(tally.recorded_keys),
                "seconds": _number(tally.seconds),
                "rowsThrottled": _number(tally.rows_throttled),
                "throttledSeconds": _number(tally.throttled_seconds),
                "encoder": {"S": tally.encoder},
                "finished": {"BOOL": tally.finished},
                "legs": {"S": self._course.text},
            }
        )

    def record_failure(self, failure: Exception) -> None:
        """Note why this loader fails; raises as `record` does."""
        self._set({"failure": {"S": worded(failure)}})

    def leave(self) -> None:
        """Note that this loader is not at work any more, whoever has the piece; it must have no request under way."""
        with named_failures(LedgerUnavailable):
            self._dynamodb.update_item(
                TableName=self._table,
                Key=self._key,
                UpdateExpression="REMOVE #busy",
                ExpressionAttributeNames={"#busy": self._busy},
            )

    def _set(self, values: dict[str, AttributeValueTypeDef]) -> None:
        values = values | {"updatedAt": _number(time.time())}
        with named_failures(LedgerUnavailable):
            try:
                self._dynamodb.update_item(
                    TableName=self._table,
                    Key=self._key,
                    UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values),
                    ConditionExpression="#loader = :loader",
                    ExpressionAttributeNames={"#loader": "loader"} | {f"#{name}": name for name in values},
                    ExpressionAttributeValues={":loader": {"S": self._loader}}
                    | {f":{name}": value for name, value in values.items()},
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._dynamodb.exceptions.ConditionalCheckFailedException as error:
                # botocore's model gives the error the item that it was refused for, its type stubs don't.
                entry: Mapping[str, Any] = error.response.get("Item", {})  # type: ignore[assignment]
                if entry.get("loader") == _NOBODY:
                    raise self._load_has_failed() from error
                raise PieceTakenOver(f"{self._piece} is another loader's now; this one stops.") from error

    def _load_has_failed(self) -> LoadHasFailed:
        return LoadHasFailed(f"{self._piece}: the load has failed, so this loader stops.")


def pieces(dynamodb: DynamoDBClient, table: str, load_id: str) -> Iterator[PieceEntry]:
    """Yield the entries of all pieces of a load that a loader has begun. Raises LedgerUnavailable and AwsRefused."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        ConsistentRead=True,
        KeyConditionExpression="loadId = :load AND begins_with(entry, :pieces)",
        ExpressionAttributeValues={":load": {"S": load_id}, ":pieces": {"S": _ENTRY_PREFIX}},
    )
    with named_failures(LedgerUnavailable):
        for page in pages:
            for entry in page["Items"]:
                yield PieceEntry(
                    piece=entry["entry"]["S"].removeprefix(_ENTRY_PREFIX),
                    rows=int(entry["rows"]["N"]),
                    tally=_tally(entry),
                    legs=_legs(entry),
                    started_at=float(entry["startedAt"]["N"]),
                    updated_at=float(entry["updatedAt"]["N"]),
                    busy_until=max(
                        (float(note["N"]) for name, note in entry.items() if name.startswith(_BUSY_PREFIX)), default=0.0
                    ),
                    stopped=entry.get("loader") == _NOBODY,
                    failure=entry["failure"]["S"] if "failure" in entry else None,
                )


def stop_loaders(dynamodb: DynamoDBClient, table: str, load_id: str, unfinished: Iterable[PieceEntry]) -> None:
    """Take pieces from their loaders for good. They stop at their next record, about two seconds later.

    Step Functions doesn't end the functions of a Map Run that failed. Left alone they would write for minutes more,
    over whatever is loaded next. Raises LedgerUnavailable and AwsRefused.
    """
    with named_failures(LedgerUnavailable):
        for entry in unfinished:
            dynamodb.update_item(
                TableName=table,
                Key=_key(load_id, entry.piece),
                UpdateExpression="SET #loader = :nobody",
                ExpressionAttributeNames={"#loader": "loader"},
                ExpressionAttributeValues={":nobody": _NOBODY},
            )


def stop_load(dynamodb: DynamoDBClient, table: str, load_id: str) -> bool:
    """Take all unfinished pieces of a load from their loaders for good; return whether one may still be at work.

    Raises LedgerUnavailable and AwsRefused.
    """
    entries = list(pieces(dynamodb, table, load_id))
    unfinished = [entry for entry in entries if not entry.finished and not entry.stopped]
    stop_loaders(dynamodb, table, load_id, unfinished)
    return any(entry.busy_until + _MARGIN_SECONDS > time.time() for entry in entries)


def reopen(dynamodb: DynamoDBClient, table: str, load_id: str) -> None:
    """Let loaders have the stopped pieces of a load again. Raises LedgerUnavailable and AwsRefused."""
    for entry in [entry for entry in pieces(dynamodb, table, load_id) if entry.stopped]:
        with named_failures(LedgerUnavailable):
            dynamodb.update_item(
                TableName=table,
                Key=_key(load_id, entry.piece),
                UpdateExpression="REMOVE #loader",
                ExpressionAttributeNames={"#loader": "loader"},
            )


def worded(failure: Exception) -> str:
    """Say why a function failed, for a list of reasons, without the words of others, which may quote rows."""
    message = f": {failure}" if isinstance(failure, PipelineError) else ""
    return f"{type(failure).__name__}{message}"[:_FAILURE_CHARACTERS].removesuffix(".")


def _key(load_id: str, piece: str) -> dict[str, AttributeValueTypeDef]:
    return {"loadId": {"S": load_id}, "entry": {"S": _ENTRY_PREFIX + piece}}


def _tally(entry: Mapping[str, Any]) -> Tally:
    if "nextRow" not in entry:
        return Tally()
    return Tally(
        next_row=int(entry["nextRow"]["N"]),
        written=int(entry["written"]["N"]),
        unchanged=int(entry["unchanged"]["N"]),
        rejected=int(entry["rejected"]["N"]),
        superseded=int(entry["superseded"]["N"]),
        deleted=int(entry["deleted"]["N"]),
        item_bytes=int(entry["itemBytes"]["N"]),
        write_units=float(entry["writeUnits"]["N"]),
        units_saved=int(entry["unitsSaved"]["N"]),
        recorded_keys=int(entry["recordedKeys"]["N"]),
        seconds=float(entry["seconds"]["N"]),
        # Loaders of the version before this noted none; one that begins while the stack is updated goes on from theirs.
        rows_throttled=int(entry.get("rowsThrottled", _NONE)["N"]),
        throttled_seconds=float(entry.get("throttledSeconds", _NONE)["N"]),
        encoder=entry["encoder"]["S"],
        finished=entry["finished"]["BOOL"],
    )


def _legs(entry: Mapping[str, Any]) -> tuple[Leg, ...]:
    # Loaders of the version before this noted none.
    return legs_of(entry.get("legs", _NO_LEGS)["S"])


def _number(value: float) -> AttributeValueTypeDef:
    return {"N": str(value)}
