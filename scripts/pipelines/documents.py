"""Runs as JSON: the contract of `--json`, which docs/command-line.md describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from scripts.pipelines.runs.model import Load, Outcome, Run, Summary


def summary(run: Summary) -> dict[str, Any]:
    """What a list has of a run."""
    return {
        "name": run.name,
        "arn": run.arn,
        "pipeline": run.pipeline.value,
        "status": run.status,
        "started_at": _moment(run.started_at),
        "ended_at": _moment(run.ended_at),
        "seconds": round(run.seconds(), 3),
    }


def outcome(run: Outcome) -> dict[str, Any]:
    """Also what the execution itself says of it."""
    return summary(run) | {
        "input": run.input,
        "output": run.output,
        "error": run.error,
        "cause": run.cause,
        "redrives": run.redrives,
    }


def whole(run: Run) -> dict[str, Any]:
    """All that is known of a run."""
    return outcome(run) | {
        "stages": [
            {
                "name": stage.name,
                "kind": stage.kind,
                "entered_at": _moment(stage.entered_at),
                "left_at": _moment(stage.left_at),
                "failures": [
                    {"error": failure.error, "cause": failure.cause, "at": _moment(failure.at)}
                    for failure in stage.failures
                ],
            }
            for stage in run.stages
        ],
        "statements": [
            {
                "name": statement.name,
                "statement_id": statement.statement_id,
                "kind": statement.kind.name,
                "status": statement.status,
                "told_by_redshift": statement.is_told,
                "error": statement.error,
                "rows": statement.rows,
                "seconds": statement.seconds,
            }
            for statement in run.statements
        ],
        "load": _load(run.load) if run.load else None,
    }


def _load(load: Load) -> dict[str, Any]:
    total, plan = load.total, load.plan
    return {
        "load_id": load.load_id,
        "table": load.table,
        "mode": plan.mode,
        "dry_run": plan.dry_run,
        "rows_unloaded": plan.rows,
        "rows_written": total.written,
        "rows_unchanged": total.unchanged,
        "rows_rejected": total.rejected,
        "rows_superseded": total.superseded,
        "rows_deleted": total.deleted,
        "write_units": total.write_units,
        "rows_throttled": total.rows_throttled,
        "throttled_seconds": total.throttled_seconds,
        "rejects": load.rejects,
        "pieces": plan.pieces,
        "pieces_begun": len(load.pieces),
        "pieces_finished": load.finished_pieces,
        "unfinished": [
            {
                "piece": piece.piece,
                "rows": piece.rows,
                "next_row": piece.tally.next_row,
                "failure": piece.failure,
            }
            for piece in load.pieces
            if not piece.finished
        ],
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
