"""`rejects`: the rows that a load rejected: see them, count them, take them along."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.runs.rejects import rejected_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.pipelines.runs.rejects import RejectedRow


@click.group(
    epilog=examples(
        "rejects show",
        "rejects count nightly-2026-11-22",
        "rejects download nightly-2026-11-22 to-correct.jsonl",
    ),
)
def command() -> None:
    """See the rows that a load rejected.

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
    """Show rejected rows, with their reasons."""
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
    epilog=examples("rejects download nightly-2026-11-22 to-correct.jsonl"),
)
@click.argument("run", metavar="RUN")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--reason", metavar="NAME", help="Only rows that were rejected for it")
@pass_context
def download(context: Context, run: str, file: Path, reason: str | None) -> None:
    """Write rejected rows to a new file, one JSON object a line."""
    load_id, rows = _rows(context, run)
    written = 0
    try:
        with file.open("x", encoding="utf-8") as lines:
            for row in rows:
                if reason in (None, row.reason):
                    lines.write(json.dumps(_line(row), ensure_ascii=False) + "\n")
                    written += 1
    except FileExistsError:
        raise CommandFailed(f"{file} is there already: name another file, or remove it.") from None
    if context.as_json:
        context.screen.document({"load_id": load_id, "file": str(file), "rows": written})
    context.screen.done(f"{written:,} rejected rows of load {load_id} are in {file}")


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
