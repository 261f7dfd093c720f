"""Running a state machine and watching its execution to the end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient

POLL_SECONDS = 0.1


class ExecutionDidNotEndError(Exception):
    """An execution was still running when the time for it was over."""


@dataclass(frozen=True)
class Execution:
    """How an execution ended: `output` if it succeeded, `error` and `cause` if it failed."""

    arn: str
    status: str
    output: Any
    error: str
    cause: str

    @property
    def name(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition(":")[2]


def start(states: SFNClient, state_machine_arn: str, payload: Any) -> str:
    """Start an execution with a JSON payload; return its ARN."""
    started = states.start_execution(stateMachineArn=state_machine_arn, input=json.dumps(payload))
    return started["executionArn"]


def wait(
    states: SFNClient,
    execution_arn: str,
    *,
    timeout_seconds: float = 120,
    while_running: Callable[[], None] = lambda: None,
) -> Execution:
    """Wait for the end of an execution, calling `while_running` at each look and once more at the end.

    Raises `ExecutionDidNotEndError`: It was still running after `timeout_seconds`.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        described = states.describe_execution(executionArn=execution_arn)
        while_running()
        if described["status"] != "RUNNING":
            output = described.get("output")
            succeeded = described["status"] == "SUCCEEDED"
            return Execution(
                arn=execution_arn,
                status=described["status"],
                output=json.loads(output) if succeeded and output else None,
                error=described.get("error", ""),
                cause=described.get("cause", ""),
            )
        if time.monotonic() > deadline:
            raise ExecutionDidNotEndError(f"{execution_arn} was still running after {timeout_seconds:g} s")
        time.sleep(POLL_SECONDS)


def run(states: SFNClient, state_machine_arn: str, payload: Any, *, timeout_seconds: float = 120) -> Execution:
    """Start an execution and wait for its end. Raises `ExecutionDidNotEndError`."""
    return wait(states, start(states, state_machine_arn, payload), timeout_seconds=timeout_seconds)
