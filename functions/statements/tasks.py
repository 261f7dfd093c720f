"""The state that waits for a statement, as the state machine describes it to the functions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True)
class CallbackTask:
    """One attempt of a state that waits for its task token.

    `redrives` counts how often the execution was redriven; a retry of the state leaves it as it is.
    """

    token: str
    execution_arn: str
    started_at: datetime
    state_name: str
    redrives: int

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> Self:
        """Read what the state machine passes of its context object: `execution`, `state` (a name) and `task_token`."""
        execution = event["execution"]
        return cls(
            token=event["task_token"],
            execution_arn=execution["Id"],
            started_at=datetime.fromisoformat(execution["StartTime"]),
            state_name=event["state"],
            # Absent from the context object of an execution that was never redriven, says none of AWS's samples.
            redrives=execution.get("RedriveCount", 0),
        )
