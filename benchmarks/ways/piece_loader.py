"""This application's loader: all that LoadDynamoFunction does with a piece.

It reads over HTTP as from S3, looks for duplicates and rejects, and writes its checkpoints to the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.session

import lean_arrow  # noqa: F401
from benchmarks.datasets import lengths
from benchmarks.task import BUCKET, LEDGER, TABLE
from dynamo_load.accounting.ledger import PieceLedger
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.loading import PieceLoader
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import Piece, Slice
from dynamo_load.reading.piece_reader import short_columns
from dynamo_load.writing.common_pace import CommonPace
from dynamo_load.writing.transport import BatchTransport
from locks.table import TableLock
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task
    from dynamo_load.comparing import BucketRefresh

_SECONDS_LEFT = 900.0


def prepare(task: Task) -> Callable[[], int]:
    """Make a loader for the task's row groups, which must be as many rows as the task has."""
    piece = piece_of(task)
    key = [KeyAttribute(name, "S") for name in (task.key, task.sort_key) if name]
    loader = loader_of(task, piece, mapping_of(TargetTable(TABLE, tuple(key))))
    return lambda: loader.load(piece).written


def mapping_of(target: TargetTable, hash_column: str | None = None) -> ItemMapping:
    """The mapping that a load of the reviews' table has."""
    return ItemMapping(target, hash_column=hash_column, short_columns=short_columns(lengths()))


def piece_of(task: Task, bucket: int | None = None) -> Piece:
    """The task's row groups as one piece."""
    slices = (Slice(Path(task.file).name, tuple(task.row_groups), task.rows),)
    return Piece(task.piece, task.rows, slices, bucket)


def loader_of(task: Task, piece: Piece, mapping: ItemMapping, refresh: BucketRefresh | None = None) -> PieceLoader:
    """Make a loader as LoadDynamoFunction does, whose S3, ledger and target are those of the task."""
    s3 = boto3.client("s3")
    dynamodb = boto3.client("dynamodb", endpoint_url=task.ledger_url)
    return PieceLoader(
        s3=s3,
        bucket=BUCKET,
        mapping=mapping,
        ledger=PieceLedger(dynamodb, LEDGER, task.load, piece.name, piece.rows, busy_until=0.0),
        lock=TableLock(dynamodb, LEDGER, TABLE, "benchmark"),
        rejects=RejectedRows(s3, BUCKET, task.load, piece.name),
        rejects_allowed=0,
        transport=BatchTransport(
            table=TABLE,
            session=botocore.session.get_session(),
            max_in_flight=task.in_flight,
            common_pace=CommonPace(dynamodb, LEDGER, task.load, task.loaders),
            budget=None,
            seconds_left=lambda: _SECONDS_LEFT,
        ),
        seconds_left=lambda: _SECONDS_LEFT,
        refresh=refresh,
    )
