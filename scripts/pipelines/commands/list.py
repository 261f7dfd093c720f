"""`list`: the latest runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from scripts.pipelines import documents
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from scripts.pipelines.runs.model import Outcome

_OUTCOMES = ("RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@click.command(
    epilog=examples(
        "list",
        "list --pipeline load --outcome failed --most 5",
        "--json list --most 1",
    ),
)
@click.option("--most", type=click.IntRange(1, 1_000), default=20, show_default=True, help="How many, the latest first")
@click.option("--pipeline", type=click.Choice([pipeline.value for pipeline in Pipeline]), help="Only its runs")
@click.option("--outcome", type=click.Choice(_OUTCOMES, case_sensitive=False), help="Only runs with this status")
@pass_context
def command(context: Context, most: int, pipeline: str | None, outcome: str | None) -> None:
    """List the latest runs, with their outcome and their rows. Times are in UTC."""
    pipelines = [Pipeline(pipeline)] if pipeline else list(Pipeline)
    runs = [context.reader.outcome(run) for run in context.reader.recent(most, pipelines, (outcome or "").upper())]
    if context.as_json:
        context.screen.document([documents.outcome(run) for run in runs])
    elif not runs:
        context.screen.line(f"No such runs yet. Start one: {context.command('run', '--help')}")
    else:
        context.screen.table(
            ("Started", "Run", "Took", "Outcome", "What came of it"),
            [
                (f"{run.started_at:%m-%d %H:%M}", run.name, duration(run.seconds()), run.status, _result(context, run))
                for run in runs
            ],
            right=["Took"],
        )


def _result(context: Context, run: Outcome) -> str:
    if run.is_running and run.pipeline is Pipeline.LOAD:
        load = context.reader.read(run).load
        return f"{load.total.rows:,} of {count(load.plan.rows, 'row')} so far" if load else "not loading yet"
    output = run.output if isinstance(run.output, dict) else {}
    if run.error:
        return run.error
    if run.pipeline is Pipeline.PROCEDURE:
        return str(run.input.get("spname", "")) if isinstance(run.input, dict) else ""
    if "rows_unloaded" in output:
        rejected = f", {output['rows_rejected']:,} rejected" if output["rows_rejected"] else ""
        return f"{count(output['rows_unloaded'], 'row')} to {output['table']}{rejected}"
    return f"dry run, {count(output['rows'], 'row')}" if "rows" in output else ""
