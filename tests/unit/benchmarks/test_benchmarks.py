"""The benchmarks run, and account for every row. How fast anything is, is not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import datasets
from benchmarks.bench import Bench, RowsUnaccountedFor, Work
from benchmarks.scale import QUICK
from local.dynamodb_sink import SinkBehaviour

ROOT = Path(__file__).parents[3]
LOADER_PARTS = ["peers", "fan_out", "limits"]


def test_a_quick_run_measures_every_way_and_writes_what_it_found(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *LOADER_PARTS, "--quick", "--output", str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    parts = json.loads((tmp_path / "performance.json").read_text())
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
