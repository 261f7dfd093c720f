"""The statements that were submitted: run in the background, several at once, remembered for a day, cancelled for real.

Numbers and rules are those of "Using the Amazon Redshift Data API" and "Amazon Redshift quotas and limits" in the
Redshift management guide. Requests per second are not limited here.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import psycopg

from local.redshift import execution, parameters
from local.redshift.engine import DatabaseNotFound, UserNotFound
from local.redshift.errors import ActiveStatementsExceededError, ResourceNotFoundError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.redshift.authorization import Caller, Login
    from local.redshift.engine import Engine
    from local.redshift.execution import StatementResult
    from local.redshift.storage import Storage
    from local.redshift.target import Target

ACTIVE_STATEMENTS = 500
RETENTION_SECONDS = 24 * 3600
CLIENT_TOKEN_SECONDS = 8 * 3600

# As many run at once; the others wait as SUBMITTED. PostgreSQL has connections to spare for metadata operations.
_CONCURRENT_STATEMENTS = 20
# PostgreSQL forgets a cancellation that arrives between two of a connection's queries: it is sent again.
_CANCEL_ATTEMPTS = 50
_CANCEL_INTERVAL_SECONDS = 0.1


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


class StatementStore:
    """Runs statements on the engine and remembers them.

    `on_end` is called, on the statement's own thread, for each that was submitted with an event and has ended.
    """

    def __init__(
        self,
        engine: Engine,
        storage: Storage,
        on_end: Callable[[Statement], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._on_end = on_end
        self._clock = clock
        self._lock = threading.Lock()
        self._statements: dict[str, Statement] = {}
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._query_numbers = itertools.count(1)
        self._threads = ThreadPoolExecutor(_CONCURRENT_STATEMENTS, thread_name_prefix="redshift-data")
        self._closed = False

    def submit(self, submission: Submission) -> Statement:
        """Accept a statement, to be run when a thread is free.

        One with a ClientToken that the same owner used within 8 hours is not run again: the earlier one is returned,
        whatever its SQL was.

        Raises `ActiveStatementsExceededError` if 500 statements are waiting or running.
        """
        with self._lock:
            self._forget_expired()
            token = (submission.caller.owner, submission.client_token or str(uuid.uuid4()))
            if token in self._tokens:
                return self._statements[self._tokens[token][0]]
            active = sum(not statement.ended.is_set() for statement in self._statements.values())
            if active >= ACTIVE_STATEMENTS:
                raise ActiveStatementsExceededError(
                    f"Active statements exceeded the allowed quota ({ACTIVE_STATEMENTS})."
                )
            now = self._clock()
            queries = [Query(sql, next(self._query_numbers), now) for sql in submission.sqls]
            statement = Statement(str(uuid.uuid4()), submission, queries, now, now)
            self._statements[statement.id] = statement
            self._tokens[token] = (statement.id, now)
            self._threads.submit(self._run, statement)
            return statement

    def find(self, statement_id: str, owner: str) -> Statement:
        """The statement with an id that `owner` submitted within the last day.

        Raises `ResourceNotFoundError` if there is none; somebody else's statement is none.
        """
        with self._lock:
            self._forget_expired()
            statement = self._statements.get(statement_id)
        if statement is None or statement.submission.caller.owner != owner:
            raise ResourceNotFoundError("Query does not exist.", statement_id)
        return statement

    def submitted_by(self, owner: str) -> list[Statement]:
        """The statements of an owner, the latest first."""
        with self._lock:
            self._forget_expired()
            mine = [item for item in self._statements.values() if item.submission.caller.owner == owner]
        return mine[::-1]

    def cancel(self, statement: Statement) -> None:
        """Have PostgreSQL cancel what the statement is running, and leave its further queries.

        Raises `ValidationError` if the statement isn't running.
        """
        with self._lock:
            if statement.status is not Status.STARTED:
                raise ValidationError(
                    f"Could not cancel a query that is already in {statement.status} state with ID: {statement.id}"
                )
            statement.cancel_requested = True
        self._interrupt(statement)

    def close(self) -> None:
        """Cancel all that runs, leave all that waits, and announce none of it."""
        with self._lock:
            self._closed = True
            running = [item for item in self._statements.values() if item.status is Status.STARTED]
            for statement in running:
                statement.cancel_requested = True
        for statement in running:
            self._interrupt(statement)
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _interrupt(self, statement: Statement) -> None:
        for _ in range(_CANCEL_ATTEMPTS):
            connection = statement.connection
            if connection is None or connection.closed:
                return
            with suppress(psycopg.OperationalError):  # the connection was closed meanwhile: the statement has ended
                connection.cancel_safe(timeout=_CANCEL_INTERVAL_SECONDS * 10)
            if statement.ended.wait(_CANCEL_INTERVAL_SECONDS):
                return

    def _forget_expired(self) -> None:
        now = self._clock()
        for token, (_, remembered_at) in list(self._tokens.items()):
            if now - remembered_at > CLIENT_TOKEN_SECONDS:
                del self._tokens[token]
        for statement in list(self._statements.values()):
            if statement.ended.is_set() and now - statement.updated_at > RETENTION_SECONDS:
                del self._statements[statement.id]

    def _run(self, statement: Statement) -> None:
        self._mark(statement, Status.PICKED)
        try:
            with closing(statement.submission.login.connect(self._engine)) as connection:
                self._execute(statement, connection)
        except (DatabaseNotFound, UserNotFound) as error:
            self._fail(statement, f"FATAL: {error}")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the statement must end, and its owner be told
            self._fail(statement, f"ERROR: {type(error).__name__}: {error}")
        finally:
            statement.connection = None
        self._end(statement)

    def _execute(self, statement: Statement, connection: psycopg.Connection[Any]) -> None:
        mode = statement.submission.mode
        # A single statement isn't wrapped in a transaction block: a procedure may commit, VACUUM may run.
        connection.autocommit = mode is not Mode.TRANSACTION
        with self._lock:
            statement.connection = connection
            statement.process_id = connection.info.backend_pid
        self._mark(statement, Status.STARTED)
        for query in statement.queries:
            self._run_query(statement, query, connection)
            if query.status is not Status.FINISHED and mode is Mode.TRANSACTION:
                break
        if mode is Mode.TRANSACTION:
            last = statement.queries[-1]
            if last.status is Status.FINISHED and not statement.cancel_requested:
                connection.commit()
            elif last.status is Status.FINISHED:
                last.status = Status.ABORTED

    def _run_query(self, statement: Statement, query: Query, connection: psycopg.Connection[Any]) -> None:
        if statement.cancel_requested:
            query.status = Status.ABORTED
            return
        query.status = Status.STARTED
        began = time.monotonic_ns()
        values = parameters.used_by(query.sql, statement.submission.parameters)
        try:
            query.result = execution.run(connection, query.sql, values, self._storage)
            query.status = Status.FINISHED
        except execution.SqlCancelled:
            query.status = Status.ABORTED
        except execution.SqlFailed as error:
            query.status, query.error = Status.FAILED, str(error)
        query.duration_nanoseconds = time.monotonic_ns() - began
        query.updated_at = self._clock()

    def _mark(self, statement: Statement, status: Status) -> None:
        with self._lock:
            statement.status = status
            statement.updated_at = self._clock()

    def _fail(self, statement: Statement, error: str) -> None:
        """End the query that was running, or the first, with an error of no SQL statement's making."""
        failed = next((q for q in statement.queries if q.status is Status.STARTED), statement.queries[0])
        failed.status, failed.error = Status.FAILED, error

    def _end(self, statement: Statement) -> None:
        for query in statement.queries:
            if query.status in (Status.SUBMITTED, Status.STARTED):
                query.status = Status.ABORTED
        status = Status.FINISHED
        for number, query in enumerate(statement.queries, 1):
            if query.status is Status.FAILED:
                status = Status.FAILED
                prefix = f"Query #{number} failed with " if statement.is_batch else ""
                statement.error = prefix + query.error
                break
            if query.status is Status.ABORTED:
                status = Status.ABORTED
        self._mark(statement, status)
        statement.ended.set()
        if statement.submission.with_event and not self._closed:
            self._on_end(statement)
