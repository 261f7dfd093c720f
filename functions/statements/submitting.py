"""Submitting a statement for a task that waits, so that any number of attempts run the SQL once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errors import PipelineError

if TYPE_CHECKING:
    from statements.data_api import RedshiftDataApi, RedshiftTarget, Statement
    from statements.names import CallbackTask
    from statements.resuming import Resumption, TaskResumer
    from statements.token_store import TokenStore


@dataclass
class Submission:
    """What an attempt to submit has come to.

    `statement_id` is that of the task's statement, None if Redshift has none; `is_new` tells whether this attempt
    submitted it; `resumption` is what came of looking at what an attempt before may have submitted; `failure` is what
    the task was failed with.
    """

    statement_id: str | None = None
    is_new: bool = False
    resumption: "Resumption | None" = None
    failure: PipelineError | None = None


@dataclass(frozen=True)
class TaskSubmitter:
    """Submits statements on behalf of tasks that wait for a token."""

    data_api: "RedshiftDataApi"
    target: "RedshiftTarget"
    tokens: "TokenStore"
    resumer: "TaskResumer"

    def submit(self, task: "CallbackTask", name: str, make_statement: Callable[[], "Statement"]) -> Submission:
        """Make the task's statement and submit it by its name; a named failure fails the task and is returned.

        Failing through the token rather than by raising gives the state machine the error's name and message as they
        are, without a stack trace around them, and the same way as a failure inside Redshift.
        """
        submission = Submission()
        try:
            self._submit_once(task, name, make_statement(), submission)
        except PipelineError as error:
            self.resumer.fail(task.token, error)
            submission.failure = error
        return submission

    def _submit_once(self, task: "CallbackTask", name: str, statement: "Statement", submission: Submission) -> None:
        row = self.tokens.save_token(name, statement.kind, task)
        submission.statement_id = row.statement_id
        if submission.statement_id is None:
            submission.statement_id = self.data_api.execute(statement, name, self.target)
            self.tokens.save_statement_id(name, submission.statement_id)
            # Not before its id is noted: the next attempt would submit it again, under the same client token.
            submission.is_new = True
        if row.attempts > 1:
            # The statement of the attempt before may have ended already: its event will not come again.
            submission.resumption = self.resumer.resume(name, submission.statement_id)
