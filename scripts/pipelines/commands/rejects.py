"""`rejects`: the rows that a load rejected: see them, correct them, send them back in."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aws_errors import named_failures
from data_bucket import corrected_prefix
from errors import InvalidInput
from scripts.pipelines.commands.run import start_load
from scripts.pipelines.commands.watch import every_option
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.runs.rejects import rejected_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.pipelines.runs.rejects import RejectedRow

_CORRECTED = "corrected.jsonl"
_UNLOADED = "unload"


@click.group(
    epilog=examples(
        "rejects show",
        "rejects count nightly-2026-11-22",
        "rejects download nightly-2026-11-22 rows.jsonl",
        "rejects send rows.jsonl",
    ),
)
def command() -> None:
    """See the rows that a load rejected, correct them, and load them.

    A rejected row is kept whole, with the reason. Without RUN, the latest load is meant.
    """


@command.command(
    epilog=examples("rejects show", "rejects show nightly-2026-11-22 --most 3 --reason key_missing"),
)
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--most", type=click.IntRange(min=1), default=10, show_default=True, help="How many rows")
@click.option("--reason", metavar="NAME", help="Only rows that were rejected for it")
@pass_context
def show(context: Context, run: str | None, most: int, reason: str | None) -> None:
    """Show rejected rows, with their reasons.

    A column load_hash is a hash of the key, which refreshes add: it is none of the query's, and to be left alone.
    """
    load_id, rows = _rows(context, run)
    shown = list(islice((row for row in rows if reason in (None, row.reason)), most))
    if context.as_json:
        context.screen.document({"load_id": load_id, "rows": [asdict(row) for row in shown]})
        return
    if not shown:
        context.screen.line(f"Load {load_id} has rejected no {'such ' if reason else ''}row.")
    for row in shown:
        refused = ", refused by DynamoDB itself" if row.is_refused else ""
        context.screen.line(f"{row.reason}: {row.detail}{refused}", style="bold")
        context.screen.line(f"row {row.file_row:,} of {row.file}, piece {row.piece}", indent=2, style="dim")
        context.screen.pairs([(name, json.dumps(value, ensure_ascii=False)) for name, value in row.row.items()])


@command.command(
    "count",
    epilog=examples("rejects count", "--json rejects count nightly-2026-11-22"),
)
@click.argument("run", required=False, metavar="[RUN]")
@pass_context
def count_reasons(context: Context, run: str | None) -> None:
    """Count rejected rows by reason."""
    load_id, rows = _rows(context, run)
    reasons = Counter(row.reason for row in rows)
    if context.as_json:
        context.screen.document({"load_id": load_id, "reasons": dict(reasons.most_common())})
    elif reasons:
        cells = [(f"{number:,}", reason) for reason, number in reasons.most_common()]
        context.screen.table(("Rows", "Reason"), cells, right=["Rows"])
    else:
        context.screen.line(f"Load {load_id} has rejected no row.")


@command.command(
    epilog=examples("rejects download nightly-2026-11-22 rows.jsonl"),
)
@click.argument("run", metavar="RUN")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--reason", metavar="NAME", help="Only rows that were rejected for it")
@pass_context
def download(context: Context, run: str, file: Path, reason: str | None) -> None:
    """Write rejected rows to a new file, one JSON object a line.

    Correct what is in "row", and leave "file" and "file_row": by them a row is known again. Lines may be left out.
    """
    load_id, rows = _rows(context, run)
    written = 0
    try:
        # As in the bucket: the escape of a byte that is not UTF-8 is JSON's own.
        with file.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
            for row in rows:
                if reason in (None, row.reason):
                    lines.write(json.dumps(_line(row), ensure_ascii=False) + "\n")
                    written += 1
    except FileExistsError:
        raise CommandFailed(f"{file} is there already: name another file, or remove it.") from None
    if context.as_json:
        context.screen.document({"load_id": load_id, "file": str(file), "rows": written})
    context.screen.done(f"{written:,} rejected rows of load {load_id} are in {file}")
    sent = context.command("rejects", "send", str(file))
    context.screen.hint('Correct what is in "row" of each line, then send them back in', sent)


@command.command(
    epilog=examples("rejects send rows.jsonl", "rejects send rows.jsonl --dry-run"),
)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--dry-run", is_flag=True, default=None, help="Only report what loading them would take")
@click.option("--write-over", is_flag=True, default=None, help="Also over what later loads have written")
@click.option("--rejects-allowed", type=int, metavar="NUMBER", help="Rejected rows that the load survives")
@click.option("--name", metavar="NAME", help="The run's name  [default: made of the time]")
@every_option
@pass_context
def send(
    context: Context,
    file: Path,
    dry_run: bool | None,
    write_over: bool | None,
    rejects_allowed: int | None,
    name: str | None,
    every: float,
) -> None:
    """Load corrected rows: put them beside their load's rejects, and run a load that replays them.

    docs/replaying.md says when a load can be replayed. To send a file again is harmless: it takes the place of what was
    sent before.
    """
    try:
        body = file.read_bytes()
        text = body.decode("utf-8-sig")
    except (OSError, UnicodeError) as error:
        raise CommandFailed(f"{file} can't be read as text: {error}.") from error
    load_id = _load_of(file, text)
    bucket = context.stack.outputs["DataBucketName"]
    key = f"{corrected_prefix(load_id)}{_CORRECTED}"
    with named_failures():
        context.stack.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
    context.screen.line(f"{file} is at s3://{bucket}/{key}.")
    fields = {
        "replay": load_id,
        "dry_run": dry_run,
        "write_over": write_over,
        "rejects_allowed": rejects_allowed,
    }
    start_load(context, fields, name=name, every=every)


def _rows(context: Context, run: str | None) -> tuple[str, Iterator[RejectedRow]]:
    """The load_id of a run, and the rows that it rejected."""
    read = context.reader.read(context.run(run, [Pipeline.LOAD]))
    if read.load is None:
        raise CommandFailed(
            f"{read.name} has no plan of a load, so no row was loaded or rejected: it "
            f"{'is a procedure' if read.pipeline is Pipeline.PROCEDURE else 'was a dry run, or ended before'}."
        )
    bucket = context.stack.outputs["DataBucketName"]
    return read.load.load_id, rejected_rows(context.stack.client("s3"), bucket, read.load.load_id)


def _line(row: RejectedRow) -> dict[str, Any]:
    """A row as the loader wrote it."""
    return {
        "file": row.file,
        "file_row": row.file_row,
        "piece_row": row.piece_row,
        "reason": row.reason,
        "detail": row.detail,
        "row": row.row,
    }


def _load_of(file: Path, text: str) -> str:
    """The load whose rejects the lines are: one and the same in all of them."""
    loads: set[str] = set()
    # Not by splitlines, which also breaks lines at what a text of a row may hold.
    lines = [(number, line) for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
    for number, line in lines:
        try:
            folder, load_id, _ = json.loads(line)["file"].split("/", 2)
        except (ValueError, KeyError, TypeError, AttributeError):
            folder, load_id = "", ""
        if folder != _UNLOADED:
            raise InvalidInput(f'line {number} of {file} is no rejected row: leave "file" and "file_row" as they were.')
        loads.add(load_id)
    if len(loads) != 1:
        raise InvalidInput(f"{file} has rows of {len(loads)} loads: send those of each load in a file of their own.")
    return loads.pop()
