"""Runs a statement on the engine, from PICKED to its end, and interrupts one that runs."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import psycopg

from local.redshift import execution
from local.redshift.api import parameters
from local.redshift.api.statements import Mode, Status
from local.redshift.sql.engine import DatabaseNotFound, UserNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.redshift.api.statements import Query, Statement
    from local.redshift.sql.engine import Engine
    from local.redshift.transfer.storage import Storage

# PostgreSQL forgets a cancellation that arrives between two of a connection's queries: it is sent again.
_CANCEL_ATTEMPTS = 50
_CANCEL_INTERVAL_SECONDS = 0.1


class StatementRunner:
    """Runs statements, each on a connection of its own. `clock` gives epoch seconds."""

    def __init__(self, engine: Engine, storage: Storage, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._storage = storage
        self._clock = clock

    def run(self, statement: Statement) -> None:
        """Run a statement to its end, whatever that is."""
        self._mark(statement, Status.PICKED)
        try:
            with closing(statement.submission.login.connect(self._engine)) as connection:
                self._execute(statement, connection)
        except (DatabaseNotFound, UserNotFound) as error:
            _fail(statement, f"FATAL: {error}")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the statement must end, and its owner be told
            _fail(statement, f"ERROR: {type(error).__name__}: {error}")
        finally:
            statement.connection = None
        status, statement.error = _outcome(statement)
        self._mark(statement, status)
        statement.ended.set()

    def interrupt(self, statement: Statement) -> None:
        """Have PostgreSQL cancel what a statement runs, and leave its further SQL texts."""
        statement.cancel_requested = True
        for _ in range(_CANCEL_ATTEMPTS):
            connection = statement.connection
            if connection is None or connection.closed:
                return
            with suppress(psycopg.OperationalError):  # the connection was closed meanwhile: the statement has ended
                connection.cancel_safe(timeout=_CANCEL_INTERVAL_SECONDS * 10)
            if statement.ended.wait(_CANCEL_INTERVAL_SECONDS):
                return

    def _execute(self, statement: Statement, connection: psycopg.Connection[Any]) -> None:
        mode = statement.submission.mode
        # A single statement isn't wrapped in a transaction block: a procedure may commit, VACUUM may run.
        connection.autocommit = mode is not Mode.TRANSACTION
        statement.connection = connection
        statement.process_id = connection.info.backend_pid
        self._mark(statement, Status.STARTED)
        for query in statement.queries:
            self._run_query(statement, query, connection)
            if query.status is not Status.FINISHED and mode is Mode.TRANSACTION:
                break
        last = statement.queries[-1]
        if mode is Mode.TRANSACTION and last.status is Status.FINISHED:
            if statement.cancel_requested:
                last.status = Status.ABORTED
            else:
                connection.commit()

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
        statement.status = status
        statement.updated_at = self._clock()


def _fail(statement: Statement, error: str) -> None:
    """Lay an error that no SQL text made on the one that was running, or on the first."""
    failed = next((query for query in statement.queries if query.status is Status.STARTED), statement.queries[0])
    failed.status, failed.error = Status.FAILED, error


def _outcome(statement: Statement) -> tuple[Status, str]:
    """The final status and error of a statement, by those of its SQL texts; what never ran counts as aborted."""
    outcome = Status.FINISHED, ""
    for number, query in enumerate(statement.queries, 1):
        if query.status in (Status.SUBMITTED, Status.STARTED):
            query.status = Status.ABORTED
        if query.status is Status.ABORTED and outcome[0] is Status.FINISHED:
            outcome = Status.ABORTED, ""
        if query.status is Status.FAILED and outcome[0] is not Status.FAILED:
            prefix = f"Query #{number} failed with " if statement.is_batch else ""
            outcome = Status.FAILED, prefix + query.error
    return outcome
