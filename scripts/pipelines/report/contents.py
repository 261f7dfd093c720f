"""What stands in the report of a run: its figures in words, its bars and curves as paths."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.pipelines.report import costs, pieces, words
from scripts.pipelines.report.balance import balance, missing_because, reasons
from scripts.pipelines.report.balance import told as balance_told
from scripts.pipelines.report.curve import curve
from scripts.pipelines.report.drawing import TimeAxis
from scripts.pipelines.report.timeline import loaders, states
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.wording import dollars, duration, moment
from statements.names import StatementKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from scripts.pipelines.report.balance import Part, Rejects
    from scripts.pipelines.report.curve import Curve
    from scripts.pipelines.report.drawing import Tick
    from scripts.pipelines.report.pieces import PieceRow
    from scripts.pipelines.report.timeline import Loaders, StateRow
    from scripts.pipelines.runs.model import Load, Run, Statement

_FAILED_PIECES = 5

_OUTCOMES = {
    "SUCCEEDED": ("good", "Succeeded"),
    "FAILED": ("bad", "Failed"),
    "TIMED_OUT": ("bad", "Timed out"),
    "ABORTED": ("stopped", "Stopped"),
    "RUNNING": ("running", "Running"),
    "PENDING_REDRIVE": ("stopped", "To be redriven"),
}

_STATEMENTS = {
    StatementKind.STORED_PROCEDURE: "CALL of the procedure",
    StatementKind.COUNT: "Count of the rows",
    StatementKind.UNLOAD: "UNLOAD",
}


@dataclass(frozen=True)
class Figure:
    """A number to be seen first: its `label`, the number, and a few words on it."""

    label: str
    value: str
    note: str


@dataclass(frozen=True)
class StatementRow:
    """A statement at Redshift."""

    kind: str
    status: str
    took: str
    rows: str
    id: str
    attempts: int
    error: str


@dataclass(frozen=True)
class Contents:
    """All that the page shows; what a run has nothing of is empty or None."""

    title: str
    subtitle: str
    tone: str
    outcome: str
    stack: str
    name: str
    arn: str
    began: str
    ended: str
    took: str
    looked_at: str
    redrives: int
    error: str
    cause: str
    advice: str
    failed_pieces: Sequence[tuple[str, str]]
    figures: Sequence[Figure]
    ticks: Sequence[Tick]
    states: Sequence[StateRow]
    states_left_out: str
    loaders: Loaders | None
    curve: Curve | None
    balance: Sequence[Part]
    balance_told: str
    balance_note: str
    deleted: str
    full_because: str
    slowest: Sequence[PieceRow]
    pieces_told: str
    rejects: Sequence[Part]
    rejects_told: str
    rejects_at: str
    statements: Sequence[StatementRow]
    bill: costs.Bill
    input: str
    output: str


def contents(
    run: Run,
    rejects: Rejects,
    *,
    stack: str,
    looked_at: datetime,
    advice: str = "",
) -> Contents:
    """Put together the report of a run of the stack as it was at `looked_at`; `advice` is what the runbook says."""
    axis = TimeAxis(run.started_at.timestamp(), (run.ended_at or looked_at).timestamp())
    tone, outcome = _OUTCOMES.get(run.status, ("stopped", run.status.capitalize()))
    rows, left_out = states(run, axis, looked_at)
    load = run.load
    bill = costs.bill(run, _waited(run, looked_at))
    note = missing_because(run)
    parts = balance(load, is_running=run.is_running) if load and not note else []
    by_reason = reasons(rejects)
    return Contents(
        title=_title(run),
        subtitle=_subtitle(run),
        tone=tone,
        outcome=outcome,
        stack=stack,
        name=run.name,
        arn=run.arn,
        began=moment(run.started_at),
        ended=moment(run.ended_at) if run.ended_at else "",
        took=duration(axis.seconds),
        looked_at=moment(looked_at),
        redrives=run.redrives,
        error=run.error or "",
        cause=run.cause or "",
        advice=advice,
        failed_pieces=_failed_pieces(run),
        figures=_figures(run, bill, axis),
        ticks=axis.ticks(),
        states=rows,
        states_left_out=left_out,
        loaders=loaders(load, axis) if load and load.pieces else None,
        curve=curve(load, looked_at if run.is_running else None) if load else None,
        balance=parts,
        balance_told=balance_told(parts, f"{words.count(load.plan.rows)} rows unloaded") if load else "",
        balance_note=note,
        deleted=words.count(load.total.deleted) if load and load.total.deleted else "",
        full_because=(load.plan.refresh.full_because or "") if load and load.plan.refresh else "",
        slowest=pieces.slowest(load) if load else [],
        pieces_told=pieces.told(load) if load and load.pieces else "",
        rejects=by_reason,
        rejects_told=balance_told(by_reason, "Rejected rows") + ("" if rejects.all_read else " Only these were read."),
        rejects_at=(load.rejects or "") if load else "",
        statements=[_statement(statement, run) for statement in run.statements],
        bill=bill,
        input=_json(run.input),
        output=_json(run.output) if run.output is not None else "",
    )


def _title(run: Run) -> str:
    """The procedure, or the table: of the plan, or as Prepare Load has found it."""
    if run.load:
        return run.load.table
    for stage in run.stages:
        match stage.output:
            case {"target": {"name": str(table)}}:
                return table
    given = run.input if isinstance(run.input, dict) else {}
    return str(given.get("spname") or given.get("target_table") or run.name)


def _subtitle(run: Run) -> str:
    if run.pipeline is Pipeline.PROCEDURE:
        return "Stored procedure"
    is_dry = isinstance(run.input, dict) and run.input.get("dry_run") is True
    kind = f"{'Dry run of a load' if is_dry else 'Load'} from Redshift to DynamoDB"
    if not run.load:
        return kind
    meant = {"upsert": "every row written", "changes": "what has changed", "mirror": "what has changed or vanished"}
    mode = run.load.plan.mode
    return f"{kind}: {mode}, {meant[mode]}" if mode in meant else f"{kind}: {mode}"


def _figures(run: Run, bill: costs.Bill, axis: TimeAxis) -> list[Figure]:
    took = Figure("Took", duration(axis.seconds), "so far" if run.is_running else "from start to end")
    cost = Figure("Cost", dollars(bill.total), "without Redshift's own")
    if not run.load:
        waiting = [statement for statement in run.statements if statement.seconds is not None]
        redshift = sum(statement.seconds or 0.0 for statement in waiting)
        there = [Figure("At Redshift", duration(redshift), "by Redshift itself")] if waiting else []
        return [took, *there, cost]
    total, plan = run.load.total, run.load.plan
    loading = _loading_seconds(run.load)
    if run.is_running:
        first = Figure("Settled", words.share(total.rows, plan.rows), f"of {words.count(plan.rows)} rows")
    elif plan.dry_run:
        first = Figure("To be written", words.count(total.written), f"of {words.count(plan.rows)} rows")
    else:
        first = Figure("Rows written", words.count(total.written), f"of {words.count(plan.rows)} unloaded")
    rate = Figure(
        "Rows per second",
        words.count((total.rows + total.deleted) / loading) if loading else "none yet",
        f"settled, in {duration(loading)} of loading",
    )
    if run.is_running and loading and total.rows:
        left = (plan.rows - total.rows) * loading / total.rows
        took = Figure("To go", duration(left), f"at that pace; {duration(axis.seconds)} so far")
    if not total.units_saved or plan.dry_run:
        return [first, rate, took, cost]
    saved = Figure("Saved", dollars(bill.total_saved), f"{words.count(total.unchanged)} rows unchanged")
    return [first, rate, took, cost, saved]


def _failed_pieces(run: Run) -> list[tuple[str, str]]:
    """Some of the pieces that failed, and why, as far as the cause doesn't say it."""
    pieces = run.load.pieces if run.load else ()
    failed = [(piece.piece, piece.failure) for piece in pieces if piece.failure]
    return [(name, failure) for name, failure in failed if failure not in (run.cause or "")][:_FAILED_PIECES]


def _loading_seconds(load: Load) -> float:
    if load.begun_at is None or load.updated_at is None:
        return 0.0
    return (load.updated_at - load.begun_at).total_seconds()


def _statement(statement: Statement, run: Run) -> StatementRow:
    return StatementRow(
        kind=_STATEMENTS[statement.kind],
        status=statement.status,
        took=duration(statement.seconds) if statement.seconds is not None else _told_by_history(statement, run),
        rows=words.count(statement.rows) if statement.rows is not None else "not told",
        id=statement.statement_id or "none yet",
        attempts=statement.attempts,
        error=statement.error or "",
    )


def _told_by_history(statement: Statement, run: Run) -> str:
    """What the output of a state says of a statement, where Redshift itself tells us nothing."""
    for stage in run.stages:
        for result in _results(stage.output):
            if result.get("statement_id") == statement.statement_id and "duration_seconds" in result:
                return duration(float(result["duration_seconds"]))
    return "not told"


def _results(output: Any) -> list[Mapping[str, Any]]:
    documents = [output, *output.values()] if isinstance(output, dict) else []
    return [document for document in documents if isinstance(document, dict)]


def _waited(run: Run, looked_at: datetime) -> float:
    return sum(stage.seconds(looked_at) for stage in run.stages if stage.name in costs.WAITING_STATES)


def _json(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
