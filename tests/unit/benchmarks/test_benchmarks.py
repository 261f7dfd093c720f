"""The benchmarks run, and account for every row. How fast anything is, is not tested."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import datasets, table_limit
from benchmarks.bench import Bench, RowsUnaccountedFor, Work
from benchmarks.scale import QUICK
from local.dynamodb_sink import SinkBehaviour
from tests import quick_benchmarks

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class QuickRun:
    """What a run of the parts that need no stack found, and the folder that it wrote to."""

    parts: dict[str, Any]
    folder: Path

    @property
    def document(self) -> str:
        return (self.folder / "performance.md").read_text()


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> QuickRun:
    folder = tmp_path_factory.mktemp("quick")
    return QuickRun(quick_benchmarks.run(folder, "peers", "fan_out", "limits", "table_limit"), folder)


def test_a_quick_run_measures_every_way_and_writes_what_it_found(quick: QuickRun) -> None:
    parts = quick.parts
    rows = {(figure["way"], figure["dataset"]): figure["rows"] for figure in parts["peers"]["runs"]}
    assert rows == QUICK.peer_rows
    assert [figure["rows"] for figure in parts["limits"]["unprocessed"]] == [QUICK.unprocessed_rows]
    for section in (
        "## Targets",
        "## What this means on Lambda",
        "## Fan-out",
        "## Cold start",
    ):
        assert section in quick.document
    assert "<svg" in (quick.folder / "performance.svg").read_text()


def test_a_quick_run_of_loads_at_the_tables_limit_measures_every_case(quick: QuickRun, tmp_path: Path) -> None:
    runs = quick.parts["table_limit"]["runs"]
    assert [run["case"] for run in runs] == [case.name for case in table_limit.cases(tmp_path, QUICK)]
    shared = next(run for run in runs if run["case"] == table_limit.SHARED)
    assert 0 <= shared["others_throttled_share"] <= 1
    assert sum(shared["rows_by_second"]) == shared["rows"]
    assert "## At the table's limit" in quick.document
    assert "<svg" in (quick.folder / "table-limit.svg").read_text()


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
