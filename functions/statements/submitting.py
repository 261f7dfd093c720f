"""Submitting a statement for a task that waits, so that any number of attempts run the SQL once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errors import PipelineError
from statements.names import statement_name

if TYPE_CHECKING:
    from statements.data_api import RedshiftDataApi, RedshiftTarget, Statement
    from statements.names import CallbackTask
    from statements.resuming import TaskResumer
    from statements.token_store import TokenStore


@dataclass(frozen=True)
class TaskSubmitter:
    """Submits statements on behalf of tasks that wait for a token."""

    data_api: "RedshiftDataApi"
    target: "RedshiftTarget"
    tokens: "TokenStore"
    resumer: "TaskResumer"

    def submit(self, task: "CallbackTask", make_statement: Callable[[], "Statement"]) -> PipelineError | None:
        """Make the statement and submit it; a named failure fails the task and is returned.

        Failing through the token rather than by raising gives the state machine the error's name and message as they
        are, without a stack trace around them, and the same way as a failure inside Redshift.
        """
        try:
            self._submit_once(task, make_statement())
        except PipelineError as error:
            self.resumer.fail(task.token, error)
            return error
        return None

    def _submit_once(self, task: "CallbackTask", statement: "Statement") -> None:
        name = statement_name(statement.kind, task)
        row = self.tokens.save_token(name, statement.kind, task)
        statement_id = row.statement_id
        if statement_id is None:
            statement_id = self.data_api.execute(statement, name, self.target)
            self.tokens.save_statement_id(name, statement_id)
        if row.attempts > 1:
            # The statement of the attempt before may have ended already: its event will not come again.
            self.resumer.resume(name, statement_id)
