"""Loads of one table that follow each other, each comparing with what the ones before have left."""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from data_bucket import record_key
from dynamo_load.accounting.ledger import PieceLedger, Tally
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.comparing import BucketRefresh
from dynamo_load.loading import PieceLoader
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Piece, Refresh, Slice
from dynamo_load.writing.dry_run import DryRun
from dynamo_load.writing.transport import BatchTransport
from locks.table import TableLock
from records.table_state import Generation
from target.table import TargetTable
from tests.unit.dynamo_load.conftest import EXECUTION, NO_DEADLINE, session_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.dynamodb_sink import DynamoDbSink
    from tests.unit.dynamo_load.conftest import Stage

_SUMS = ("written", "unchanged", "rejected", "superseded", "deleted", "write_units", "units_saved", "recorded_keys")
MADE = "20261126T000000.000000Z"


def hashed(rows: pa.Table) -> pa.Table:
    """Rows with the hash of their key `id`, as UNLOAD adds it."""
    hashes = [0 if key is None else zlib.crc32(str(key).encode()) & 0x7FFFFFFF for key in rows["id"].to_pylist()]
    return rows.append_column("load_hash", pa.array(hashes, pa.int32()))


@dataclass
class Refreshes:
    """The loads of a stage's table, and what is noted of it between them."""

    stage: Stage
    current: Generation | None = None
    begun: tuple[Generation, ...] = ()
    digests_hold: bool = True
    sink: DynamoDbSink | None = None
    loads: int = 0

    def begin(self, rows: pa.Table, *, buckets: int = 1, deletes: bool = False, dry_run: bool = False) -> RefreshLoad:
        """Unload rows, and note that a load of them changes the table."""
        self.loads += 1
        load_id = f"load-{self.loads}"
        refresh = Refresh(
            buckets=buckets,
            key_form="",
            current=self.current,
            begun=self.begun,
            digests_hold=self.digests_hold,
            deletes=deletes,
        )
        rows = hashed(rows)
        pieces = []
        for bucket in range(buckets):
            chosen = [value & (buckets - 1) == bucket for value in rows["load_hash"].to_pylist()]
            inside = rows.filter(pa.array(chosen, pa.bool_()))
            file = self.stage.put_file(inside, f"unload/{load_id}/{bucket}", row_group_rows=50)
            slices = (Slice(file["key"], None, len(inside)),) if len(inside) else ()
            pieces.append(Piece(f"{bucket:05d}", len(inside), slices, bucket))
            if not dry_run:
                key = record_key(self.stage.name, MADE, load_id, bucket)
                self.stage.aws.s3.put_object(Bucket=self.stage.bucket, Key=key, Body=b"")
        target = TargetTable(self.stage.name, self.stage.key, made=MADE)
        plan = LoadPlan(
            load_id=load_id,
            bucket=self.stage.bucket,
            pieces_key="",
            pieces=buckets,
            files=buckets,
            rows=len(rows),
            bytes=0,
            mapping=ItemMapping(target, hash_column="load_hash"),
            limits=LoadLimits(0, 1, 1_000_000),
            refresh=refresh,
            dry_run=dry_run,
        )
        if not dry_run:
            self.begun = (*self.begun, Generation(load_id, buckets))
        return RefreshLoad(self, plan, pieces)

    def load(self, rows: pa.Table, **options: Any) -> Tally:
        """Load rows from beginning to end, and make the records current."""
        load = self.begin(rows, **options)
        total = load.run()
        if not load.plan.dry_run:
            load.succeed()
        return total


@dataclass
class RefreshLoad:
    """One load, a loader for each of its buckets."""

    table: Refreshes
    plan: LoadPlan
    pieces: list[Piece]

    def run(self, deadline: Callable[[], float] = lambda: NO_DEADLINE, transport: Any = None) -> Tally:
        """Run a loader for each bucket after the other, and add up what became of them."""
        total = Tally(finished=True)
        for piece in self.pieces:
            tally = self._loader(piece, deadline, transport).load(piece)
            for name in _SUMS:
                setattr(total, name, getattr(total, name) + getattr(tally, name))
            total.finished &= tally.finished
        return total

    def refresh_of_its_bucket(self) -> BucketRefresh:
        """What a loader of the only bucket compares with, and notes."""
        (piece,) = self.pieces
        return BucketRefresh(self.table.stage.aws.s3, self.plan, piece)

    def succeed(self) -> None:
        """Make the records of this load the current ones."""
        refresh = self.plan.refresh
        assert refresh is not None
        self.table.current, self.table.begun = Generation(self.plan.load_id, refresh.buckets), ()
        self.table.digests_hold = True

    def _loader(self, piece: Piece, deadline: Callable[[], float], transport: Any) -> PieceLoader:
        stage, sink = self.table.stage, self.table.sink
        session = session_for(sink.endpoint_url, sink.ca_bundle) if sink else stage.aws.session
        if self.plan.dry_run:
            transport = DryRun()
        elif transport is None:
            transport = BatchTransport(
                table=stage.name, session=session, max_in_flight=4, budget=None, seconds_left=deadline
            )
        return PieceLoader(
            s3=stage.aws.s3,
            bucket=stage.bucket,
            mapping=self.plan.mapping,
            ledger=PieceLedger(
                stage.aws.dynamodb,
                stage.ledger_table,
                self.plan.load_id,
                piece.name,
                piece.rows,
                busy_until=time.time() + NO_DEADLINE,
            ),
            lock=TableLock(stage.aws.dynamodb, stage.ledger_table, stage.name, EXECUTION),
            rejects=RejectedRows(stage.aws.s3, stage.bucket, self.plan.load_id, piece.name),
            rejects_allowed=1_000_000,
            transport=transport,
            seconds_left=deadline,
            refresh=BucketRefresh(stage.aws.s3, self.plan, piece),
        )
