"""`report`: all that is known of a run, as a page for a browser and for paper."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.report.writing import write_report

if TYPE_CHECKING:
    from scripts.pipelines.runs.model import Run

_FOLDER = Path("reports")


@click.command(
    short_help="Write the report of a run, an HTML page.",
    epilog=examples("report", "report nightly-2026-11-22", "report nightly-2026-11-22 --to nightly.html"),
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option(
    "--to",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The file to write; one that is there is replaced  [default: reports/<run>.html]",
)
@pass_context
def command(context: Context, run: str | None, file: Path | None) -> None:
    """Write the report of a run: one HTML page that needs no network, for a browser and for paper.

    Without RUN, the latest one. What ran, when and how long, rows per second and throttling, the slowest pieces, where
    every row went, what it cost and what it saved. No value of a row is in it, but the run's input is.
    """
    found = context.reader.read(context.run(run))
    path = file or _FOLDER / f"{found.name}.html"
    _write(context, found, path)
    if context.as_json:
        context.screen.document({"run": found.name, "report": str(path)})
    context.screen.done(f"The report of {found.name} is in {path}")


def _write(context: Context, run: Run, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_report(run, context.stack, path, looked_at=datetime.now(UTC))
    except OSError as error:
        raise CommandFailed(f"{path} can't be written ({error.strerror}): name another file with --to.") from error
