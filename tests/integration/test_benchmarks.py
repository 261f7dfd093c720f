"""The part of the benchmarks that deploys the application."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.scale import QUICK
from local.stack import PROJECT


def test_a_quick_run_of_the_pipeline_measures_who_was_busy_and_writes_it_down(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", "pipeline", "--quick", "--output", str(tmp_path)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    executions = json.loads((tmp_path / "performance.json").read_text())["pipeline"]["executions"]
    assert tuple(figure["rows"] for figure in executions) == QUICK.pipeline_rows
    assert all(figure["cpu_seconds"]["local AWS"] > 0 < figure["loader_peak_bytes"] for figure in executions)
    assert "## The whole pipeline" in (tmp_path / "performance.md").read_text()
