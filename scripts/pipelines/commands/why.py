"""`why`: what went wrong with a run, and what to do about it."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from scripts.pipelines import documents
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.ending import ENDS, STOPPED
from scripts.pipelines.runbook import advice
from scripts.pipelines.runs.rejects import rejected_rows
from scripts.pipelines.wording import count, duration, moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.pipelines.runs.model import Run, Summary

_PIECES_SHOWN = 5
_ROWS_COUNTED = 100_000
_UNTOLD = ("FAILED", "TIMED_OUT", "ABORTED")


@click.command(
    short_help="Explain why a run failed, and what to do.",
    epilog=examples("why", "why nightly-2026-11-22", "--json why nightly-2026-11-22"),
)
@click.argument("run", required=False, metavar="[RUN]")
@pass_context
def command(context: Context, run: str | None) -> None:
    """Explain why a run failed: its error, Redshift's words, the piece and the row, and what to do.

    Without RUN, the latest one that did not succeed. What to do is the error's section of the runbook,
    docs/operating.md.
    """
    found = context.reader.read(context.run(run) if run else _latest(context))
    errors = list(_errors(found))
    sections = {error: advice(error) for error in errors}
    reasons, first = _rejects(context, found)
    if context.as_json:
        document = documents.whole(found) | {"advice": sections, "rejects_by_reason": dict(reasons.most_common())}
        context.screen.document(document)
        return
    _tell_end(context, found)
    _tell_statements(context, found)
    _tell_pieces(context, found)
    _tell_rejects(context, found, reasons, first)
    for error, section in sections.items():
        context.screen.line()
        context.screen.line(f"{error}: what the runbook says", style="bold")
        context.screen.line(
            section
            or "Nothing: a failure that nobody foresaw. Its stack is in the function's log; start again with "
            "the same input, and if it comes again, it is a defect.",
            indent=2,
        )


def _latest(context: Context) -> Summary:
    runs = [run for status in _UNTOLD for run in context.reader.recent(1, status=status)]
    return max(runs, key=lambda run: run.started_at) if runs else context.run(None, status="FAILED")


def _errors(run: Run) -> Iterator[str]:
    """The names of what went wrong, the run's own first, each once."""
    names = [run.error] if run.error else []
    if run.is_running and run.stage:
        names += [failure.error for failure in run.stage.failures]
    names += [piece.failure.split(":")[0] for piece in (run.load.pieces if run.load else ()) if piece.failure]
    yield from dict.fromkeys(names)


def _rejects(context: Context, run: Run) -> tuple[Counter[str], Any]:
    if run.load is None or not run.load.total.rejected:
        return Counter(), None
    rows = islice(rejected_rows(context.stack.client("s3"), run.load.plan.bucket, run.load.load_id), _ROWS_COUNTED)
    first = next(rows, None)
    reasons = Counter([first.reason] if first else [])
    reasons.update(row.reason for row in rows)
    return reasons, first


def _tell_end(context: Context, run: Run) -> None:
    screen = context.screen
    started = f"started at {moment(run.started_at)} UTC"
    if run.succeeded:
        screen.done(f"{run.name}, {started}, succeeded in {duration(run.seconds())}: nothing to explain")
    elif run.is_running:
        screen.line(f"{run.name}, {started}, is running. Watch it: {context.command('watch', run.name)}")
    else:
        screen.failed(f"{run.name}, {started}, {ENDS.get(run.status, run.status)} after {duration(run.seconds())}")
    if run.error:
        screen.line(run.error, indent=2, style="bold")
    if run.cause:
        screen.line(run.cause, indent=2)
    if run.status == "ABORTED":
        screen.line(STOPPED, indent=2)
    shown = [stage for stage in run.stages if stage.failures]
    for stage in shown:
        last = stage.failures[-1]
        screen.line(f"{stage.name} failed {count(len(stage.failures), 'time')}, last with {last.error}", indent=2)


def _tell_statements(context: Context, run: Run) -> None:
    for statement in run.statements:
        took = f" after {duration(statement.seconds)}" if statement.seconds is not None else ""
        told = "" if statement.is_told else " (by the token table: Redshift tells only the role that submitted it)"
        identity = statement.statement_id or "not submitted"
        context.screen.line(f"Statement {identity} ({statement.kind.name}): {statement.status}{took}{told}", indent=2)
        if statement.error and statement.error not in (run.cause or ""):
            context.screen.line(statement.error, indent=4)


def _tell_pieces(context: Context, run: Run) -> None:
    if run.load is None or run.succeeded:
        return
    load = run.load
    rows = f"{load.total.rows:,} of {count(load.plan.rows, 'row')} settled"
    pieces = f"{load.finished_pieces:,} of {count(load.plan.pieces, 'piece')} finished"
    context.screen.line(f"Load {load.load_id} into {load.table}: {rows}, {pieces}", indent=2)
    failing = sorted((piece for piece in load.pieces if not piece.finished), key=lambda piece: piece.failure is None)
    for piece in failing[:_PIECES_SHOWN]:
        place = f"Piece {piece.piece} at row {piece.tally.next_row:,} of {piece.rows:,}"
        context.screen.line(f"{place}: {piece.failure or 'no failure noted'}", indent=4)
    if len(failing) > _PIECES_SHOWN:
        context.screen.line(f"and {len(failing) - _PIECES_SHOWN:,} more", indent=4)
    if load.pieces and not run.is_running:
        resumed = context.command("run", "load", "--resume", load.load_id)
        context.screen.hint("Go on where it stopped, once that is mended", resumed)


def _tell_rejects(context: Context, run: Run, reasons: Counter[str], first: Any) -> None:
    if not reasons or run.load is None:
        return
    words = ", ".join(f"{number:,} {reason}" for reason, number in reasons.most_common())
    context.screen.line(f"Rejected rows: {words}", indent=2)
    place = f"row {first.file_row:,} of {first.file}"
    context.screen.line(f"The first: {first.reason} ({first.detail}), piece {first.piece}, {place}", indent=4)
    context.screen.hint("See them", context.command("rejects", "show", run.name), indent=4)
