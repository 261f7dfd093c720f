"""`python -m benchmarks --quick` as a user calls it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from local.stack import PROJECT


def run(output: Path, *parts: str) -> dict[str, Any]:
    """Measure these parts, which must succeed, into a folder; return the figures by part."""
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks", *parts, "--quick", "--output", str(output)],
        cwd=PROJECT,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures: dict[str, Any] = json.loads((output / "performance.json").read_text())
    return figures
