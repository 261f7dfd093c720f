"""This application's loader where it knows what the target holds: it writes what differs from a record of that."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.session

import lean_arrow  # noqa: F401
from benchmarks.datasets import HASH
from benchmarks.object_store import BUCKET
from benchmarks.task import LOAD, MADE, TABLE
from data_bucket import record_key
from dynamo_load.accounting.ledger import PieceLedger
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.comparing import BucketRefresh
from dynamo_load.loading import PieceLoader
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Piece, Refresh, Slice
from dynamo_load.writing.transport import BatchTransport
from locks.table import TableLock
from records.table_state import Generation
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task

_SECONDS_LEFT = 900.0


def prepare(task: Task) -> Callable[[], int]:
    """Make a loader for the task's row groups, which are one bucket."""
    s3 = boto3.client("s3")
    dynamodb = boto3.client("dynamodb", endpoint_url=task.store_url)
    slices = (Slice(Path(task.file).name, tuple(task.row_groups), task.rows),)
    piece = Piece(task.piece, task.rows, slices, bucket=0)
    plan = LoadPlan(
        load_id=LOAD,
        bucket=BUCKET,
        pieces_key="",
        pieces=1,
        files=1,
        rows=task.rows,
        bytes=0,
        mapping=ItemMapping(TargetTable(TABLE, (KeyAttribute(task.key, "S"),), made=MADE), hash_column=HASH),
        limits=LoadLimits(0, 1, 0),
        refresh=Refresh(buckets=1, key_form="", current=Generation(task.known, 1) if task.known else None),
    )
    s3.put_object(Bucket=BUCKET, Key=record_key(TABLE, MADE, LOAD, 0), Body=b"")
    loader = PieceLoader(
        s3=s3,
        bucket=BUCKET,
        mapping=plan.mapping,
        ledger=PieceLedger(dynamodb, "ledger", LOAD, piece.name, piece.rows, busy_until=0.0),
        lock=TableLock(dynamodb, "ledger", TABLE, "benchmark"),
        rejects=RejectedRows(s3, BUCKET, LOAD, piece.name),
        rejects_allowed=0,
        transport=BatchTransport(
            table=TABLE,
            session=botocore.session.get_session(),
            max_in_flight=task.in_flight,
            budget=None,
            seconds_left=lambda: _SECONDS_LEFT,
        ),
        seconds_left=lambda: _SECONDS_LEFT,
        refresh=BucketRefresh(s3, plan, piece),
    )
    return lambda: loader.load(piece).rows
