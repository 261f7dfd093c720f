"""Runs as the reading room would read them: of each outcome, with figures that hang together."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dynamo_load.accounting.course import Course
from dynamo_load.accounting.ledger import PieceEntry, Tally
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan
from scripts.pipelines.runs.model import Failure, Load, Pipeline, Run, Stage, Statement
from statements.names import StatementKind
from target.table import KeyAttribute, TargetTable, WriteCapacity

if TYPE_CHECKING:
    from collections.abc import Sequence

BEGAN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
EXECUTION = (
    "arn:aws:states:us-east-1:123456789012:execution:redshift-pipelines-RedshiftToDynamoProces:nightly-2026-11-26"
)
LOADING_BEGINS = 95.0


def after(seconds: float) -> datetime:
    """So many seconds after the run began."""
    return BEGAN + timedelta(seconds=seconds)


def stages(*visits: tuple[str, float], failures: Sequence[Failure] = (), output: Any = None) -> tuple[Stage, ...]:
    """States, each with its seconds, one after the other; failures are of the last one but one."""
    found: list[Stage] = []
    at = 0.0
    for name, seconds in visits:
        found.append(Stage(name, _kind(name), after(at), after(at + seconds), (), output))
        at += seconds
    if failures:
        found[-2] = replace(found[-2], failures=tuple(failures))
    return tuple(found)


def _kind(state: str) -> str:
    if state.endswith("?"):
        return "Choice"
    return {"Load Pieces": "Map", "Loaded": "Succeed"}.get(state, "Fail" if state.endswith("Failed") else "Task")


def piece(
    number: int,
    rows: int,
    *,
    begins: float,
    per_second: float,
    throttled: bool = False,
    unchanged: float = 0.0,
    rejected: int = 0,
    stops_at: float = 1.0,
    failure: str | None = None,
    busy: bool = False,
) -> PieceEntry:
    """A piece that was loaded with so many rows a second, up to a share of its rows."""
    chance = random.Random(number)
    started = BEGAN.timestamp() + begins
    course, at, done, vain = Course(started, (), 0, 0), started, 0, 0
    reached = round(rows * stops_at)
    while done < reached:
        rows_now = min(reached - done, round(per_second * chance.uniform(1.5, 2.5)))
        at += rows_now / per_second * chance.uniform(0.9, 1.1)
        done += rows_now
        vain += round(rows_now * chance.uniform(0.02, 0.12)) if throttled and chance.random() < 0.7 else 0
        course.reach(at, done, vain)
    left_alone = round((done - rejected) * unchanged)
    tally = Tally(
        next_row=done,
        written=done - rejected - left_alone,
        unchanged=left_alone,
        rejected=rejected,
        item_bytes=900 * (done - rejected - left_alone),
        write_units=1.06 * (done - rejected - left_alone),
        units_saved=left_alone,
        seconds=at - started,
        rows_throttled=vain,
        throttled_seconds=vain / per_second,
        finished=stops_at == 1.0,
    )
    busy_until = at + 600 if busy else 0.0
    return PieceEntry(f"{number:05d}", rows, tally, tuple(course.legs), started, at, busy_until, False, failure)


def plan(rows: int, pieces: int, *, mode: str = "upsert", budget: int = 0, dry_run: bool = False) -> LoadPlan:
    """A plan of so many rows in so many pieces."""
    capacity = WriteCapacity(warm=12_000)
    return LoadPlan(
        load_id="nightly-2026-11-26-0f1e2d3c",
        bucket="redshift-pipelines-data",
        pieces_key="loads/nightly-2026-11-26-0f1e2d3c/pieces.json",
        pieces=pieces,
        files=16,
        rows=rows,
        bytes=310 * rows,
        mapping=ItemMapping(TargetTable("amazon_reviews", (KeyAttribute("review_id", "S"),), capacity=capacity)),
        limits=LoadLimits(budget, 4, 100),
        dry_run=dry_run,
        mode=mode,
    )


def statement(
    kind: StatementKind, seconds: float | None, rows: int | None, status: str = "FINISHED", error: str | None = None
) -> Statement:
    """A statement that ended so."""
    return Statement(
        name=f"{kind.value}|{int(BEGAN.timestamp())}|a28a0f1e2d3c4b5a",
        kind=kind,
        statement_id="5887a866-e41f-414d-8c7b-188f2aed8c4d",
        status=status,
        is_told=seconds is not None,
        has_ended=True,
        error=error,
        rows=rows,
        seconds=seconds,
        attempts=1,
        is_stopping=False,
        created_at=after(4),
        updated_at=after(80),
    )


def run(load: Load | None, visited: tuple[Stage, ...], status: str = "SUCCEEDED", **more: Any) -> Run:
    """A run of a load, unless `more` says otherwise."""
    is_running = status == "RUNNING"
    given: dict[str, Any] = {
        "arn": EXECUTION,
        "pipeline": Pipeline.LOAD,
        "status": status,
        "started_at": BEGAN,
        "ended_at": None if is_running else visited[-1].left_at,
        "redrives": 0,
        "input": {"table": "public.amazon_reviews_parquet", "columns": ["review_id", "star_rating"], "mode": "changes"},
        "output": None,
        "error": None,
        "cause": None,
        "stages": visited,
        "statements": (statement(StatementKind.UNLOAD, 71.4, load.plan.rows if load else 0),),
        "load": load,
    }
    return Run(**given | more)


def pieces_in_turn(count: int, rows: int, loaders: int, per_second: float, **more: Any) -> list[PieceEntry]:
    """Pieces that so many loaders take one after the other."""
    free = [LOADING_BEGINS + 0.4 * loader for loader in range(loaders)]
    found = []
    for number in range(count):
        loader = min(range(loaders), key=lambda at: free[at])
        speed = per_second * random.Random(number).uniform(0.8, 1.1)
        found.append(piece(number, rows, begins=free[loader], per_second=speed, **more))
        free[loader] = found[-1].updated_at - BEGAN.timestamp() + 0.6
    return found


def of_load(pieces: Sequence[PieceEntry], end: str = "Loaded", **visits: float) -> tuple[Stage, ...]:
    """The states of a load whose loaders took as long as these pieces."""
    loading = max(entry.updated_at for entry in pieces) - BEGAN.timestamp() - LOADING_BEGINS + 2
    return stages(
        ("Prepare Load", 3.1),
        ("Is The Table Free?", 0.0),
        ("Unload Redshift Table", 84.2),
        ("List Unloaded Files", 5.1),
        ("Dry Run?", 0.0),
        ("Begin Load", 1.4),
        ("Load Pieces", loading),
        ("Verify Load", 2.2),
        (end, 0.0),
    )


def finished_load() -> Run:
    """Two million rows by four loaders, most unchanged, some rejected; the table throttled."""
    pieces = pieces_in_turn(32, 62_500, 4, 3_100, throttled=True, unchanged=0.35)
    pieces[7] = replace(pieces[7], tally=replace(pieces[7].tally, written=pieces[7].tally.written - 9, rejected=9))
    load = Load(plan(2_000_000, 32, mode="changes"), tuple(pieces))
    visited = of_load(pieces)
    output = {"load_id": load.load_id, "rows_unloaded": 2_000_000, "rows_rejected": 9}
    return run(load, visited, output=output)


def paced_load() -> Run:
    """A load with a write budget, which it keeps to."""
    pieces = pieces_in_turn(8, 40_000, 4, 1_150)
    load = Load(plan(320_000, 8, budget=5_000), tuple(pieces))
    return run(load, of_load(pieces))


def failed_load() -> Run:
    """A load of which two loaders failed."""
    pieces = pieces_in_turn(8, 62_500, 4, 3_000)
    refused = "DynamoDbRefused: the table does not accept the writes of this role (AccessDeniedException)"
    pieces[5] = piece(5, 62_500, begins=LOADING_BEGINS + 22, per_second=2_900, stops_at=0.3, failure=refused)
    pieces[6] = piece(6, 62_500, begins=LOADING_BEGINS + 23, per_second=2_900, stops_at=0.5, failure="WritesStalled")
    load = Load(plan(500_000, 8), tuple(pieces[:7]))
    cause = (
        "500,000 rows were unloaded; 362,500 written, 0 left alone, 0 rejected and 0 superseded leave 137,500 "
        f"unaccounted for. 7 of 8 pieces were begun, 2 of them not finished: 00005 at row 18,750 of 62,500, {refused}; "
        "00006 at row 31,250 of 62,500, WritesStalled. See the entries of load nightly-2026-11-26-0f1e2d3c in the "
        "ledger redshift-load-ledger."
    )
    visited = of_load(pieces, end="Load Failed")
    failure = Failure("RowsUnaccounted", cause, visited[-1].entered_at)
    visited = (*visited[:-2], replace(visited[-2], failures=(failure,)), visited[-1])
    return run(load, visited, "FAILED", error="RowsUnaccounted", cause=cause)


def running_load() -> Run:
    """A load whose loaders are at work."""
    pieces = [
        *pieces_in_turn(8, 62_500, 4, 3_000, throttled=True),
        *(piece(8 + n, 62_500, begins=142, per_second=2_800, stops_at=0.2 + n / 10, busy=True) for n in range(4)),
    ]
    visited = of_load(pieces)[:-2]
    visited = (*visited[:-1], replace(visited[-1], left_at=None))
    return run(Load(plan(2_000_000, 32), tuple(pieces)), visited, "RUNNING")


def large_load(pieces: int = 4_000, loaders: int = 32) -> Run:
    """A billion rows: some pieces, again and again."""
    samples = [piece(number, 250_000, begins=0, per_second=1_250, throttled=True) for number in range(20)]
    entries = []
    for number in range(pieces):
        sample = samples[number % len(samples)]
        later = LOADING_BEGINS + number // loaders * 211 + number % loaders
        begins, ends = sample.started_at + later, sample.updated_at + later
        entries.append(replace(sample, piece=f"{number:05d}", started_at=begins, updated_at=ends))
    return run(Load(plan(250_000 * pieces, pieces), tuple(entries)), of_load(entries))


def procedure(message: str = "ETL Load Process started", status: str = "SUCCEEDED") -> Run:
    """A stored procedure, called with one argument."""
    error = 'ERROR: relation "public.etl_evnts" does not exist' if status == "FAILED" else None
    end = [("Notify Support", 0.6), ("Stored Procedure Failed", 0.0)] if error else []
    return run(
        None,
        stages(("Run Stored Procedure", 41.6), *end),
        status,
        arn=EXECUTION.replace("RedshiftToDynamoProces", "RedshiftDataApiSPProces"),
        pipeline=Pipeline.PROCEDURE,
        input={"spname": "public.sp_etl_log_etl_event", "event_message": message},
        output=None if error else {"statement_id": "5887a866", "rows": None, "duration_seconds": 40.8},
        statements=(statement(StatementKind.STORED_PROCEDURE, 40.8, None, "FAILED" if error else "FINISHED", error),),
        error="StatementFailed" if error else None,
        cause=f"{error} (statement 5887a866-e41f-414d-8c7b-188f2aed8c4d)" if error else None,
    )


def hostile_load(text: str) -> Run:
    """A failed load that has this text wherever somebody else chose it."""
    found = failed_load()
    assert found.load
    pieces = [
        replace(entry, failure=text + "!") if entry.failure else replace(entry, piece=f"{entry.piece}{text}")
        for entry in found.load.pieces
    ]
    target = replace(found.load.plan.mapping.target, name=text)
    changed = replace(found.load.plan, mapping=ItemMapping(target), bucket=text, mode=text, load_id=text)
    visited = tuple(replace(stage, name=stage.name + text) for stage in found.stages)
    return replace(
        found,
        load=Load(changed, tuple(pieces)),
        stages=visited,
        statements=(statement(StatementKind.UNLOAD, 3, 5, text, text),),
        input={text: [text]},
        error=text,
        cause=text,
    )
