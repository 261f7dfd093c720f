"""Looking after statements whose completion event has not come: by the index of what is unfinished, never the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_errors import named_failures
from errors import PipelineError
from locks.execution_lock import ENDED
from statements.data_api import RedshiftDataApi
from statements.errors import StatementForgotten
from statements.reporting import record_rescue, record_watch_failure
from statements.resuming import Resumption, TaskResumer
from statements.stopping import ExecutionStopper
from statements.token_store import TokenStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient

    from statements.token_store import TokenRow

# An event takes a second or two; what is younger is not worth a question to Redshift.
_OVERDUE_SECONDS = 60.0


@dataclass(frozen=True)
class StatementWatch:
    """Looks at unfinished statements; `seconds_left` is how long it may still take."""

    steps: SFNClient
    data_api: RedshiftDataApi
    tokens: TokenStore
    resumer: TaskResumer
    stopper: ExecutionStopper
    seconds_left: Callable[[], float]

    def look(self) -> Counter[str]:
        """Resume the tasks whose statements have ended, stop those of executions that have; count what came of each.

        What fails is logged, and left to the next look. Raises AwsUnavailable and AwsRefused if the index can't be
        read.
        """
        seen: Counter[str] = Counter()
        for name in self.tokens.unfinished(_OVERDUE_SECONDS):
            if self.seconds_left() <= 0:
                break
            try:
                seen[self._look_at(name)] += 1
            except PipelineError as error:
                record_watch_failure(name, error)
                seen["failed"] += 1
        return seen

    def _look_at(self, name: str) -> str:
        row = self.tokens.find(name)
        if row is None:
            return "expired"
        if not row.waiting:
            # Told meanwhile; or one invocation ran twice, and its token, told by then, was saved once more.
            self.tokens.mark_finished(row)
            return "told"
        statement_id = row.statement_id or self.data_api.find(name)
        if statement_id is None:
            return self._without_id(row)
        try:
            resumption = self.resumer.resume(name, statement_id)
        except StatementForgotten as forgotten:
            resumption = self.resumer.give_up(row, statement_id, forgotten)
        if resumption is Resumption.NOT_ENDED:
            return "stopped" if not row.keeps_statement and self._stop_if_ended(row) else "running"
        record_rescue(name, resumption)
        return resumption.value

    def _without_id(self, row: TokenRow) -> str:
        if self._ended_redrive(row.execution_arn) is None:
            # The state machine tries again to submit it.
            return "not submitted yet"
        self.stopper.close_if_never_submitted(row)
        return "never submitted"

    def _stop_if_ended(self, row: TokenRow) -> bool:
        redrives = self._ended_redrive(row.execution_arn)
        if redrives is None:
            return False
        self.stopper.stop(row.execution_arn, redrives)
        return True

    def _ended_redrive(self, execution_arn: str) -> int | None:
        """Return by how many redrives an execution has ended, or None while it runs."""
        with named_failures():
            execution = self.steps.describe_execution(executionArn=execution_arn)
        return execution.get("redriveCount", 0) if execution["status"] in ENDED else None
