"""The benchmarks run, and account for every row. How fast anything is, is not tested."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks import datasets
from benchmarks.bench import Bench, RowsUnaccountedFor, Work
from benchmarks.scale import QUICK
from local.dynamodb_sink import SinkBehaviour
from tests import quick_benchmarks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_quick_run_measures_every_way_and_writes_what_it_found(tmp_path: Path) -> None:
    parts = quick_benchmarks.run(tmp_path, "peers", "fan_out", "limits")
    rows = {(figure["way"], figure["dataset"]): figure["rows"] for figure in parts["peers"]["runs"]}
    assert rows == QUICK.peer_rows
    assert [figure["rows"] for figure in parts["limits"]["unprocessed"]] == [QUICK.unprocessed_rows]
    document = (tmp_path / "performance.md").read_text()
    for section in (
        "## Targets",
        "## What this means on Lambda",
        "## Fan-out",
        "## Cold start",
    ):
        assert section in document
    assert "<svg" in (tmp_path / "performance.svg").read_text()


def test_rows_that_are_stored_twice_are_not_taken_for_a_result(tmp_path: Path) -> None:
    rows = datasets.write(tmp_path, "narrow", row_groups=1, row_group_rows=50)
    twice = [Work("piece_loader", rows, [0], datasets.KEY)] * 2
    with Bench(tmp_path) as bench, pytest.raises(RowsUnaccountedFor, match="50 keys more than once"):
        bench.run(SinkBehaviour(key=datasets.KEY), *twice)


def test_a_run_leaves_this_process_on_the_cores_that_it_had(tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    with Bench(tmp_path):
        pass
    assert os.sched_getaffinity(0) == before
