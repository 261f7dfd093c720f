"""This application's loader: all that LoadDynamoFunction does with a piece.

It reads over HTTP as from S3, looks for duplicates and rejects, and writes its checkpoints to the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import botocore.session

import lean_arrow  # noqa: F401
from benchmarks.object_store import BUCKET
from dynamo_load.accounting.ledger import PieceLedger
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.loading import PieceLoader
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import Piece, Slice
from dynamo_load.writing.transport import BatchTransport
from locks.table import TableLock
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task

_SECONDS_LEFT = 900.0


def prepare(task: Task) -> Callable[[], int]:
    """Make a loader for the task's row groups, which must be as many rows as the task has."""
    s3 = boto3.client("s3")
    piece = Piece(task.piece, task.rows, (Slice(Path(task.file).name, tuple(task.row_groups), task.rows),))
    dynamodb = boto3.client("dynamodb", endpoint_url=task.store_url)
    loader = PieceLoader(
        s3=s3,
        bucket=BUCKET,
        mapping=ItemMapping(TargetTable("sink", (KeyAttribute(task.key, "S"),))),
        ledger=PieceLedger(dynamodb, "ledger", "benchmark", piece.name, piece.rows, busy_until=0.0),
        lock=TableLock(dynamodb, "ledger", "sink", "benchmark"),
        rejects=RejectedRows(s3, BUCKET, "benchmark", piece.name),
        rejects_allowed=0,
        transport=BatchTransport(
            table="sink",
            session=botocore.session.get_session(),
            max_in_flight=task.in_flight,
            budget=None,
            seconds_left=lambda: _SECONDS_LEFT,
        ),
        seconds_left=lambda: _SECONDS_LEFT,
    )
    return lambda: loader.load(piece).written
