"""This application's loader where it knows what the target holds: it writes what differs from a record of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

import lean_arrow  # noqa: F401
from benchmarks.datasets import HASH
from benchmarks.task import BUCKET, LOAD, MADE, TABLE
from benchmarks.ways.piece_loader import loader_of, mapping_of, piece_of
from data_bucket import record_key
from dynamo_load.comparing import BucketRefresh
from dynamo_load.plan import LoadLimits, LoadPlan, Refresh
from records.table_state import Generation
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.task import Task


def prepare(task: Task) -> Callable[[], int]:
    """Make a loader for the task's row groups, which are one bucket."""
    s3 = boto3.client("s3")
    piece = piece_of(task, bucket=0)
    plan = LoadPlan(
        load_id=LOAD,
        bucket=BUCKET,
        pieces_key="",
        pieces=1,
        files=1,
        rows=task.rows,
        bytes=0,
        mapping=mapping_of(TargetTable(TABLE, (KeyAttribute(task.key, "S"),), made=MADE), hash_column=HASH),
        limits=LoadLimits(0, 1, 0),
        refresh=Refresh(buckets=1, key_form="", current=Generation(task.known, 1) if task.known else None),
    )
    s3.put_object(Bucket=BUCKET, Key=record_key(TABLE, MADE, LOAD, 0), Body=b"")
    loader = loader_of(task, piece, plan.mapping, BucketRefresh(s3, plan, piece))
    return lambda: loader.load(piece).rows
