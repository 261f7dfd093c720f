"""Names that tie one attempt of a task to one statement, computed rather than stored.

A retried Lambda computes the same name and the same client token, so the SQL runs once however often it is retried.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class StatementKind(StrEnum):
    """What a statement is for; the value is the prefix that EventBridgeRedshiftEventRule matches."""

    STORED_PROCEDURE = "redshift-storedproc-event-"
    UNLOAD = "redshift-unload-event-"


@dataclass(frozen=True)
class CallbackTask:
    """A state of a state machine that waits for its task token."""

    token: str
    execution_arn: str
    state_name: str
    entered_at: datetime

    @classmethod
    def from_event(cls, event: dict[str, Any]) -> "CallbackTask":
        """Read the context object's nodes that the state machine passes: `execution`, `state` and `task_token`."""
        return cls(
            token=event["task_token"],
            execution_arn=event["execution"]["Id"],
            state_name=event["state"]["Name"],
            entered_at=datetime.fromisoformat(event["state"]["EnteredTime"]),
        )


def statement_name(kind: StatementKind, task: CallbackTask) -> str:
    """`<prefix>|<epoch seconds of the state's entry>|<digest>`, at most 128 characters."""
    attempt = "\n".join([task.execution_arn, task.state_name, task.entered_at.isoformat()])
    digest = hashlib.sha256(attempt.encode()).hexdigest()[:32]
    return f"{kind.value}|{int(task.entered_at.timestamp())}|{digest}"


def client_token(name: str) -> str:
    """The Data API's idempotency token of a statement name: 64 characters, its maximum length."""
    return hashlib.sha256(name.encode()).hexdigest()
