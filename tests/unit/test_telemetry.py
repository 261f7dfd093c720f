"""What functions write and what X-Ray is told: JSON lines, and no token, argument or value of a secret."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.unit import waiting_task

ROOT = Path(__file__).resolve().parents[2]

INVOCATION = """
import warnings
from telemetry import logger, metrics

@metrics.log_metrics
def handler(event, context):
    logger.info("handled")
    warnings.warn("old ways")

handler({}, None)
"""

TRACED = """
from moto import mock_aws
from tests.unit import waiting_task

with mock_aws():
    waiting_task.make_tokens()
    waiting_task.make_ledger()
    from redshift_run_sps.app import handler

    for name, given in (("good", {"event_message": "MARK"}), ("bad", {"arguments": [["MARK"]]})):
        execution = {"Id": "arn:aws:states:us-east-1:1:execution:m:" + name, "StartTime": "2026-11-26T00:00:00Z"}
        execution["Input"] = {"spname": "p", **given}
        event = {"execution": execution, "state": "Run", "task_token": "MARK" * 100}
        handler(event, waiting_task.FunctionContext())
"""


def test_warnings_are_json_lines_and_counting_nothing_is_none() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INVOCATION],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "functions"),
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


def test_a_trace_has_calls_and_nothing_of_what_is_passed() -> None:
    """The X-Ray SDK sends what it traces to a daemon by UDP: here it is this test."""
    with socket.socket(type=socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        ran = subprocess.run(
            [sys.executable, "-c", TRACED],
            cwd=ROOT,
            env={
                **os.environ,
                **waiting_task.ENVIRONMENT,
                "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}",
                "ALLOWED_PROCEDURES": "*",
                "POWERTOOLS_TRACE_DISABLED": "false",
                "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
                # What the SDK takes for Lambda's runtime.
                "LAMBDA_TASK_ROOT": "/var/task",
                "_X_AMZN_TRACE_ID": "Root=1-5e1b4151-5ac6c58f5daa519e7a1a5c4e;Parent=53995c3f42cd8ad8;Sampled=1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        daemon.settimeout(5)
        sent: list[str] = []
        while sum("## handler" in segment for segment in sent) < 2:
            sent.append(daemon.recv(65_535).decode())
    for part in ("ExecuteStatement", "UpdateItem", "SendTaskFailure"):
        assert any(part in segment for segment in sent), sent
    assert not [segment for segment in [*sent, ran.stdout, ran.stderr] if "MARK" in segment]
