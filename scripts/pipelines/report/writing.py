"""The report of a run of a stack, from what the reading room tells to a file."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from scripts.pipelines.ending import STOPPED
from scripts.pipelines.report.balance import Rejects
from scripts.pipelines.report.contents import contents
from scripts.pipelines.report.page import page
from scripts.pipelines.runbook import advice
from scripts.pipelines.runs.rejects import rejected_rows

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from scripts.pipelines.runs.model import Run
    from scripts.pipelines.stack import Stack

_ROWS_COUNTED = 100_000


def write_report(run: Run, stack: Stack, path: Path, *, looked_at: datetime) -> None:
    """Write the page of a run as it was read at that time; a file that is there is replaced.

    Raises OSError if it can't be written, AwsRefused and AwsUnavailable if the rejects can't be read.
    """
    told = contents(
        run,
        _rejects(run, stack),
        stack=stack.name,
        looked_at=looked_at,
        advice=_advice(run),
    )
    path.write_text(page(told), encoding="utf-8")


def _advice(run: Run) -> str:
    if run.error:
        return advice(run.error) or ""
    return STOPPED if run.status == "ABORTED" else ""


def _rejects(run: Run, stack: Stack) -> Rejects:
    if run.load is None or not run.load.total.rejected:
        return Rejects({}, all_read=True)
    rows = rejected_rows(stack.client("s3"), run.load.plan.bucket, run.load.load_id)
    reasons = Counter(row.reason for row in islice(rows, _ROWS_COUNTED))
    return Rejects(reasons, all_read=next(rows, None) is None)
