"""The report of an execution, written by the command that whoever uses the application has for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local.demo.expectation import expect
from local.stack import PROJECT, STACK_NAME

if TYPE_CHECKING:
    from local.executions import Execution
    from local.stack import LocalAws

FILE = Path("reports/demo.html")
"""Where it stays, below the folder that the demo is started in."""


def write(aws: LocalAws, execution: Execution) -> Path:
    """Write the report of an execution, in the place of the last demo's, and return its path.

    Raises `DemoFailedError` if the command fails.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    command = [sys.executable, str(PROJECT / "scripts/pipelines"), "--stack", STACK_NAME, "report", execution.name]
    written = subprocess.run(
        [*command, "--to", str(FILE)], env=environment | aws.environment, capture_output=True, text=True, check=False
    )
    expect(written.returncode == 0, f"its report could not be written: {written.stderr}")
    return FILE.resolve()
