"""The statements that were submitted: run in the background, several at once, and remembered for a day.

Numbers and rules are those of "Using the Amazon Redshift Data API" and "Amazon Redshift quotas and limits" in the
Redshift management guide. Requests per second are limited elsewhere (`quotas`).
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from local.redshift.api.errors import ActiveStatementsExceededError, ResourceNotFoundError, ValidationError
from local.redshift.api.running import StatementRunner
from local.redshift.api.statements import Query, Statement, Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.redshift.api.statements import Submission
    from local.redshift.sql.engine import Engine
    from local.redshift.transfer.storage import Storage

_log = logging.getLogger(__name__)

ACTIVE_STATEMENTS = 500
RETENTION_SECONDS = 24 * 3600
CLIENT_TOKEN_SECONDS = 8 * 3600

CONCURRENT_STATEMENTS = 20
"""As many run at once unless told otherwise; PostgreSQL has connections for all that may be active, and to spare."""


class StatementStore:
    """Accepts statements, has them run, and remembers them.

    `on_end` is called, on the statement's own thread, for each that was submitted with an event and has ended.
    `clock` gives epoch seconds. `concurrent` run at once; the others wait as SUBMITTED.
    """

    def __init__(
        self,
        engine: Engine,
        storage: Storage,
        on_end: Callable[[Statement], None],
        clock: Callable[[], float] = time.time,
        *,
        concurrent: int = CONCURRENT_STATEMENTS,
    ) -> None:
        self._runner = StatementRunner(engine, storage, clock)
        self._on_end = on_end
        self._clock = clock
        self._lock = threading.Lock()
        self._statements: dict[str, Statement] = {}
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._query_numbers = itertools.count(1)
        self._threads = ThreadPoolExecutor(concurrent, thread_name_prefix="redshift-data")
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
        """Cancel a statement that runs.

        Raises `ValidationError` if it doesn't.
        """
        if statement.status is not Status.STARTED:
            raise ValidationError(
                f"Could not cancel a query that is already in {statement.status} state with ID: {statement.id}"
            )
        self._runner.interrupt(statement)

    def close(self) -> None:
        """Cancel all that runs, leave all that waits, and announce none of it."""
        self._closed = True
        with self._lock:
            running = [item for item in self._statements.values() if item.status is Status.STARTED]
        self._threads.shutdown(wait=False, cancel_futures=True)
        for statement in running:
            self._runner.interrupt(statement)
        self._threads.shutdown(wait=True)

    def _run(self, statement: Statement) -> None:
        self._runner.run(statement)
        if statement.submission.with_event and not self._closed:
            try:
                self._on_end(statement)
            except Exception:  # noqa: BLE001 - this thread is the last to know
                _log.exception("nobody was told that statement %s has ended", statement.id)

    def _forget_expired(self) -> None:
        now = self._clock()
        for token, (_, remembered_at) in list(self._tokens.items()):
            if now - remembered_at > CLIENT_TOKEN_SECONDS:
                del self._tokens[token]
        for statement in list(self._statements.values()):
            if statement.ended.is_set() and now - statement.updated_at > RETENTION_SECONDS:
                del self._statements[statement.id]
