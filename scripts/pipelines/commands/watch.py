"""`watch`: how a run comes on, until it ends."""

from __future__ import annotations

import click

from scripts.pipelines import documents
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.ending import show_end
from scripts.pipelines.watching import StoppedWatching, watch
from scripts.pipelines.wording import moment

every_option = click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look: each time takes a few calls of Step Functions, DynamoDB and the Data API",
)


@click.command(
    short_help="Watch a run until it ends.",
    epilog=examples(
        "watch",
        "watch nightly-2026-11-22",
    ),
)
@click.argument("run", required=False, metavar="[RUN]")
@every_option
@pass_context
def command(context: Context, run: str | None, every: float) -> None:
    """Watch a run until it ends: its states, its statement at Redshift, its rows.

    Without RUN, the latest one. Ctrl-C stops watching; the run goes on. The exit code is 0 if it has succeeded, 1 if
    not. With --json the run is printed when it has ended.
    """
    found = context.run(run)
    context.screen.line(f"{found.name} ({found.pipeline.value}), started at {moment(found.started_at)} UTC")
    follow(context, found.name, every)


def follow(context: Context, name: str, every: float) -> None:
    """Watch a run to its end, say how it ended, and end the command so."""
    try:
        run = watch(context, context.reader.find(name), every)
    except StoppedWatching:
        context.screen.line(f"Stopped watching; {name} goes on.")
        context.screen.hint("Watch on", context.command("watch", name))
        context.screen.hint("Stop it", context.command("stop", name))
        raise
    if context.as_json:
        context.screen.document(documents.whole(run))
    show_end(context, run)
    if not run.succeeded:
        raise click.exceptions.Exit(1)
