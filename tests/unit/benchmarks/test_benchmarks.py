"""The benchmarks run, and account for every row. How fast anything is, is not tested."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from benchmarks import datasets, table_limit
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


def test_a_quick_run_of_loads_at_the_tables_limit_measures_every_case(tmp_path: Path) -> None:
    runs = quick_benchmarks.run(tmp_path, "table_limit")["table_limit"]["runs"]
    assert [run["case"] for run in runs] == [case.name for case in table_limit.cases(tmp_path, QUICK)]
    shared = next(run for run in runs if run["case"] == table_limit.SHARED)
    assert 0 <= shared["others_throttled_share"] <= 1
    assert sum(shared["rows_by_second"]) == shared["rows"]
    document = (tmp_path / "performance.md").read_text()
    assert "## At the table's limit" in document
    assert "<svg" in (tmp_path / "table-limit.svg").read_text()


def test_a_rate_is_reached_when_it_is_kept_for_a_while() -> None:
    rows = [100] * 20 + [10] * 10 + [90, 10, 10, 10] + [95] * 10
    assert table_limit.seconds_until(rows, 900, since=2.0, sustained=5) == 1.4
    assert table_limit.seconds_until(rows, 900, since=1.0, sustained=5) == 0.0
    assert table_limit.seconds_until(rows, 960, since=2.0, sustained=5) is None


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
