"""Every line that a function writes is JSON, whatever its libraries warn of."""

import json
import os
import subprocess
import sys
from pathlib import Path

INVOCATION = """
import warnings
from telemetry import logger, metrics

@metrics.log_metrics
def handler(event, context):
    logger.info("handled")
    warnings.warn("old ways")

handler({}, None)
"""


def test_warnings_are_json_lines_and_counting_nothing_is_none() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INVOCATION],
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2] / "functions"),
            "POWERTOOLS_SERVICE_NAME": "test",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line)["message"] for line in (ran.stdout + ran.stderr).splitlines()]
    assert len(said) == 2
    assert said[0] == "handled"
    assert "old ways" in said[1]
