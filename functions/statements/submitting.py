"""Submitting a statement for a task that waits, so that any number of attempts run the SQL once."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from errors import PipelineError
from executions.notes import ExecutionNotes
from statements.data_api import RedshiftDataApi, RedshiftLogin, Statement
from statements.errors import ExecutionStopped, OutcomeNotTold, StatementForgotten
from statements.names import StatementKind, statement_name
from statements.reporting import record_cancelled, record_failure, record_second_look, record_submitted
from statements.resuming import Resumption, TaskResumer
from statements.tasks import CallbackTask
from statements.token_store import UNSUBMITTED, TokenRow, TokenStore
from telemetry import logger

# How long the Data API knows a client token ("Using the Amazon Redshift Data API", idempotency).
_CLIENT_TOKEN_SECONDS = 8 * 3600
# What a redrive runs anew.
_RUN_ANEW = frozenset({"FAILED", "ABORTED", UNSUBMITTED})


@dataclass(frozen=True)
class TaskSubmitter:
    """Submits statements on behalf of tasks that wait for a token. `notes` makes those of an execution, by its ARN."""

    data_api: RedshiftDataApi
    login: RedshiftLogin
    tokens: TokenStore
    resumer: TaskResumer
    notes: Callable[[str], ExecutionNotes]

    def submit_for(
        self, event: dict[str, Any], kind: StatementKind, make_statement: Callable[[str], Statement]
    ) -> None:
        """Submit the statement that is made for a name, for the task of an event; a named failure fails the task.

        Failing through the token rather than by raising gives the state machine the error's name and message as they
        are, without a stack trace around them, and the same way as a failure inside Redshift. Raises the failure only
        if the task can't be failed through its token, so that it ends in any case.
        """
        task = CallbackTask.from_event(event)
        logger.append_keys(execution_arn=task.execution_arn)
        statement_id: str | None = None
        try:
            name = self._name(kind, task)
            logger.append_keys(statement_name=name)
            found = self.tokens.find(name)
            statement_id = found.statement_id if found is not None else None
            if statement_id is None:
                # Before a row is there: what can't be made must not look like what may have run.
                statement = make_statement(name)
                row = self.tokens.save_token(name, kind, task)
                # After the row, which whoever stops the execution looks for once the name is noted.
                if not self.notes(task.execution_arn).add_statement(name, task.redrives):
                    raise ExecutionStopped(
                        f"execution {task.execution_arn} was stopped or redriven since: nothing was submitted."
                    )
                statement_id = row.statement_id or self._execute(row, statement)
            else:
                row = self.tokens.save_token(name, kind, task)
            logger.append_keys(statement_id=statement_id)
            if row.statement_id is None:
                noted = self.tokens.save_statement_id(name, statement_id)
                # Not before its id is noted: the next attempt would submit it again, under the same client token.
                record_submitted()
                if noted.stopping and not noted.has_ended:
                    # Whoever stopped the execution found no id to cancel.
                    self.data_api.cancel(statement_id)
                    record_cancelled(name, statement_id)
                    raise ExecutionStopped(
                        f"execution {task.execution_arn} was stopped, and its statement is cancelled."
                    )
            if row.attempts > 1:
                # The statement of the attempt before may have ended already: its event will not come again.
                self._look_again(row, statement_id)
        except PipelineError as error:
            record_failure(error, statement_id)
            if self.resumer.fail(task.token, error) is Resumption.LATE:
                raise

    def _name(self, kind: StatementKind, task: CallbackTask) -> str:
        """Return the name of the task's statement: a redrive runs anew what has failed or was cancelled before it.

        What a redrive has chosen once stays its choice: its row has its number.
        """
        anew = statement_name(kind, task, task.redrives)
        if not task.redrives:
            return anew
        # Before looking: an attempt of the run before that is still under way is found, or refused.
        self.notes(task.execution_arn).begin_redrive(task.redrives)
        names = (statement_name(kind, task, redrives) for redrives in range(task.redrives, -1, -1))
        last = next(filter(None, map(self.tokens.find, names)), None)
        if last is None:
            return anew
        if last.redrives == task.redrives:
            return last.name
        return anew if self._status(last) in _RUN_ANEW else last.name

    def _status(self, row: TokenRow) -> str:
        if row.has_ended or row.statement_id is None:
            return row.status
        return self.data_api.describe(row.statement_id).status

    def _execute(self, row: TokenRow, statement: Statement) -> str:
        if time.time() - row.created_at > _CLIENT_TOKEN_SECONDS:
            raise StatementForgotten(
                f"look in Redshift (SYS_QUERY_HISTORY) whether statement {row.name} has run, and start the execution "
                "anew if it has not: an attempt more than 8 hours ago did not learn its id, and Redshift might run it "
                "a second time."
            )
        return self.data_api.execute(statement, row.name, self.login)

    def _look_again(self, row: TokenRow, statement_id: str) -> None:
        resumption = self.resumer.resume(row.name, statement_id, just_submitted=row.statement_id is None)
        record_second_look(resumption, found=row.statement_id is not None)
        if resumption is Resumption.LATE:
            raise OutcomeNotTold(
                f"look in Redshift how statement {statement_id} ended: it is over, but Step Functions says that this "
                "task no longer waits for it."
            )
