"""A statement: what was submitted, how far each of its SQL texts is, and what came of it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    from local.redshift.api.authorization import Caller, Login
    from local.redshift.api.target import Target
    from local.redshift.execution import StatementResult


class Status(StrEnum):
    """How far a statement is; the last three are final."""

    SUBMITTED = "SUBMITTED"
    PICKED = "PICKED"
    STARTED = "STARTED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"


class Mode(StrEnum):
    """How the SQL texts of a batch belong together."""

    TRANSACTION = "TRANSACTION"
    AUTO_COMMIT = "AUTO_COMMIT"


@dataclass(frozen=True)
class Submission:
    """What was asked for. `mode` is None unless it is a batch; `echoed` are request members that responses repeat."""

    sqls: tuple[str, ...]
    parameters: Mapping[str, str]
    name: str
    mode: Mode | None
    with_event: bool
    client_token: str | None
    target: Target
    login: Login
    caller: Caller
    echoed: Mapping[str, str]


@dataclass
class Query:
    """One SQL text of a statement and what became of it. Times are epoch seconds."""

    sql: str
    number: int
    updated_at: float
    status: Status = Status.SUBMITTED
    error: str = ""
    result: StatementResult | None = None
    duration_nanoseconds: int = -1

    @property
    def has_result_set(self) -> bool:
        """Whether there are columns to fetch; the rows may be none."""
        return self.result is not None and bool(self.result.columns)


@dataclass
class Statement:
    """A submission and its progress. `ended` is set when the status is final. Times are epoch seconds."""

    id: str
    submission: Submission
    queries: list[Query]
    created_at: float
    updated_at: float
    status: Status = Status.SUBMITTED
    error: str = ""
    process_id: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    connection: psycopg.Connection[Any] | None = None
    cancel_requested: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether it was submitted by BatchExecuteStatement."""
        return self.submission.mode is not None

    @property
    def rows(self) -> int:
        """Rows returned or affected; -1 while unknown, and for a batch, whose queries have their own."""
        result = self.queries[0].result
        return -1 if self.is_batch or result is None else result.rows
