"""Names that tie a task to its statement, computed rather than stored.

A retried Lambda computes the same name and the same client token, so the SQL runs once however often it is retried.
"""

import hashlib
from enum import StrEnum

from statements.tasks import CallbackTask


class StatementKind(StrEnum):
    """What a statement is for; the value is the prefix that EventBridgeRedshiftEventRule matches."""

    STORED_PROCEDURE = "redshift-storedproc-event-"
    UNLOAD = "redshift-unload-event-"
    COUNT = "redshift-count-event-"


def statement_name(kind: StatementKind, task: CallbackTask, redrives: int = 0) -> str:
    """Return `<prefix>|<epoch seconds of the execution's start>|<digest>`, at most 128 characters.

    The same for every attempt of a state: no retry and no redrive moves what it is made of, and a state machine enters
    each of its states once. `redrives` is that of the redrive which runs the statement anew.
    """
    parts = [task.execution_arn, task.started_at.isoformat(), task.state_name, str(redrives)]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
    return f"{kind.value}|{int(task.started_at.timestamp())}|{digest}"


def client_token(name: str) -> str:
    """Return the Data API's idempotency token of a statement name: 64 characters, its maximum length."""
    return hashlib.sha256(name.encode()).hexdigest()
