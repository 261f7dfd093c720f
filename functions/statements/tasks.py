"""The state that waits for a statement, as the state machine describes it to the functions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True)
class CallbackTask:
    """One attempt of a state that waits for its task token.

    `redrives` counts how often the execution was redriven; a retry of the state leaves it as it is. `keeps_statement`
    is whether the input wants the SQL to run on when the execution is stopped.
    """

    token: str
    execution_arn: str
    started_at: datetime
    state_name: str
    redrives: int
    keeps_statement: bool

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read what the state machine passes of its context object: `execution`, `state` (a name) and `task_token`."""
        execution, given = event["execution"], event["execution"]["Input"]
        return cls(
            token=event["task_token"],
            execution_arn=execution["Id"],
            started_at=datetime.fromisoformat(execution["StartTime"]),
            state_name=event["state"],
            # Absent from the context object of an execution that was never redriven, says none of AWS's samples.
            redrives=execution.get("RedriveCount", 0),
            # An input that is no object, or has anything else there, is refused before a statement is made of it.
            keeps_statement=isinstance(given, dict) and given.get("keep_statement") is True,
        )
