"""Starting the execution of a schedule once, however often that fires for one scheduled time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from aws_errors import named_failures
from execution_input import ExecutionInput

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# An execution's name has 80 characters at most, and none of those that stand between the parts of a time and of an ARN
# ("StartExecution", Step Functions API reference). "-2026-11-26T031500Z" takes 19.
_LONGEST_SCHEDULE = 61

ScheduledTime = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Firing(ExecutionInput):
    """What EventBridge Scheduler passes on: which schedule, for which time (UTC), and what to start with what input."""

    schedule: Annotated[str, Field(pattern=r"^arn:[^:]+:scheduler:.+/[0-9a-zA-Z_.-]{1,64}$")]
    scheduled_time: ScheduledTime
    state_machine: str
    input: dict[str, Any]

    @property
    def execution_name(self) -> str:
        """The same for each firing for one time: two executions of a machine can't have one name within 90 days."""
        schedule = self.schedule.rsplit("/", 1)[-1][:_LONGEST_SCHEDULE]
        return f"{schedule}-{self.scheduled_time.replace(':', '')}"


def start_once(states: SFNClient, firing: Firing) -> bool:
    """Start an execution, or return false if one for that time has ended; one that runs with that input is that one.

    Raises AwsUnavailable and AwsRefused.
    """
    with named_failures():
        try:
            states.start_execution(
                stateMachineArn=firing.state_machine, name=firing.execution_name, input=json.dumps(firing.input)
            )
        except states.exceptions.ExecutionAlreadyExists:
            return False
    return True
