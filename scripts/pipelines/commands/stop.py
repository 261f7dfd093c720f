"""`stop`: end a run, its statement and its loaders."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from aws_errors import named_failures
from scripts.pipelines import documents
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.wording import count

if TYPE_CHECKING:
    from scripts.pipelines.runs.model import Run

_LOOK_SECONDS = 0.5


@click.command(
    short_help="Stop a run, its statement and its loaders.",
    epilog=examples(
        "stop nightly-2026-11-22",
    ),
)
@click.argument("run", metavar="RUN")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until statement and loaders have ended as well",
)
@pass_context
def command(context: Context, run: str, wait: float) -> None:
    """Stop a run: its execution, and with it its statement in Redshift and its loaders.

    What a load has written stays; redrive the execution to go on, or give its load_id as --resume of a new load. With
    "keep_statement" in its input, the statement runs on.
    """
    found = context.reader.find(run)
    if not found.is_running:
        raise CommandFailed(f"{found.name} has ended already: {found.status}.")
    with named_failures():
        context.stack.client("stepfunctions").stop_execution(executionArn=found.arn, cause="stopped by command line")
    context.screen.done(f"{found.name} is stopped")
    keeps = isinstance(found.input, dict) and found.input.get("keep_statement") is True
    deadline = time.monotonic() + wait
    while left := _at_work(stopped := context.reader.read(found), keeps_statement=keeps):
        if time.monotonic() >= deadline:
            raise CommandFailed(
                f"After {wait:g} s there is still at work: {' and '.join(left)}. They are told to end; Redshift "
                "cancels three statements a second, so that many runs that are stopped at once take minutes."
            )
        time.sleep(_LOOK_SECONDS)
    if context.as_json:
        context.screen.document(documents.whole(stopped))
    for statement in stopped.statements:
        context.screen.line(f"Statement {statement.statement_id}: {statement.status}", indent=2)
    if stopped.load:
        rows = count(stopped.load.total.written, "row")
        context.screen.line(f"{rows} of {stopped.load.plan.rows:,} had been written and stay.", indent=2)


def _at_work(run: Run, *, keeps_statement: bool) -> list[str]:
    """What of a run has not ended yet."""
    statements = [] if keeps_statement else [each for each in run.statements if not each.has_ended]
    loaders = [piece for piece in (run.load.pieces if run.load else ()) if piece.busy_until > time.time()]
    return [
        *(f"statement {each.statement_id or each.name}" for each in statements),
        *([count(len(loaders), "loader")] if loaders else []),
    ]
