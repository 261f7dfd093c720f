"""The part of the benchmarks that deploys the application."""

from pathlib import Path

from benchmarks.scale import QUICK
from tests import quick_benchmarks


def test_a_quick_run_of_the_pipeline_measures_who_was_busy_and_writes_it_down(tmp_path: Path) -> None:
    executions = quick_benchmarks.run(tmp_path, "pipeline")["pipeline"]["executions"]

    assert tuple(figure["rows"] for figure in executions) == QUICK.pipeline_rows
    assert all(figure["cpu_seconds"]["local AWS"] > 0 < figure["loader_peak_bytes"] for figure in executions)
    assert "## The whole pipeline" in (tmp_path / "performance.md").read_text()
