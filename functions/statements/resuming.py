"""Telling the task that waits for a statement how it ended: one idempotent function, whoever notices the end."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from errors import PipelineError
from statements.errors import StatementAborted, StatementFailed, StatementRefused
from statements.names import StatementKind
from telemetry import logger

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from statements.data_api import RedshiftDataApi, StatementState
    from statements.token_store import TokenRow, TokenStore

# SendTaskSuccess and SendTaskFailure in the Step Functions API reference; boto3 does not check these.
_MAX_OUTPUT_BYTES = 262_144
_MAX_RESULT_BYTES = _MAX_OUTPUT_BYTES - 4096  # leaves room for the rest of the output
_MAX_CAUSE_CHARACTERS = 32_768


class Resumption(StrEnum):
    """What came of noticing that a statement may have ended. All but the first two change nothing."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NOT_ENDED = "not ended"
    DUPLICATE = "duplicate"
    LATE = "late"
    UNKNOWN = "unknown"


class TaskResumer:
    """Resumes tasks from the outcome that Redshift itself reports, never from what an event claims."""

    def __init__(self, steps: "SFNClient", data_api: "RedshiftDataApi", tokens: "TokenStore") -> None:
        self._steps = steps
        self._data_api = data_api
        self._tokens = tokens
        # An expired or closed task answers TaskTimedOut; the other two are tokens that can never be resumed.
        self._spent_token = (
            steps.exceptions.TaskTimedOut,
            steps.exceptions.TaskDoesNotExist,
            steps.exceptions.InvalidToken,
        )

    def resume(self, name: str, statement_id: str) -> Resumption:
        """Resume the task that waits for this statement, if it has ended and the task has not been told yet.

        Raises RedshiftBusy, RedshiftUnavailable or AwsUnavailable when the outcome can't be read or told now.
        """
        row = self._tokens.find(name)
        if row is None or (row.statement_id or statement_id) != statement_id:
            return Resumption.UNKNOWN
        logger.append_keys(execution_arn=row.execution_arn)
        if row.resumed:
            return Resumption.DUPLICATE
        try:
            state = self._data_api.describe(statement_id)
        except StatementRefused:
            if row.statement_id is None:
                # A name of ours on a statement that this role never ran: somebody else's.
                return Resumption.UNKNOWN
            raise
        if not state.is_terminal:
            return Resumption.NOT_ENDED
        outcome = self._tell(row, state)
        self._tokens.mark_resumed(row, statement_id, state.status)
        return outcome

    def fail(self, token: str, error: PipelineError) -> Resumption:
        """Fail the task that holds a token, with the error's class name and its message."""
        cause = str(error)[:_MAX_CAUSE_CHARACTERS]
        with named_failures():
            try:
                self._steps.send_task_failure(taskToken=token, error=type(error).__name__, cause=cause)
            except self._spent_token:
                return Resumption.LATE
        return Resumption.FAILED

    def _tell(self, row: "TokenRow", state: "StatementState") -> Resumption:
        match state.status:
            case "FINISHED":
                return self._succeed(row.token, self._output(row, state))
            case "ABORTED":
                message = state.error or "the statement was cancelled"
                return self.fail(row.token, StatementAborted(f"{message} (statement {state.statement_id})"))
            case _:
                return self.fail(row.token, StatementFailed(f"{state.error} (statement {state.statement_id})"))

    def _succeed(self, token: str, output: str) -> Resumption:
        with named_failures():
            try:
                self._steps.send_task_success(taskToken=token, output=output)
            except self._spent_token:
                return Resumption.LATE
        return Resumption.SUCCEEDED

    def _output(self, row: "TokenRow", state: "StatementState") -> str:
        output: dict[str, Any] = {
            "statement_id": state.statement_id,
            "statement_name": row.name,
            "rows": state.rows,
            "duration_seconds": state.duration_seconds,
        }
        if row.kind is StatementKind.STORED_PROCEDURE and state.has_result_set:
            output |= self._result(state.statement_id)
        return json.dumps(output, ensure_ascii=False)

    def _result(self, statement_id: str) -> dict[str, Any]:
        """The row of OUT parameters, or why it is left out: the procedure has done its work in any case.

        Redshift keeps the row for 24 hours to be read from there.
        """
        try:
            row = self._data_api.first_row(statement_id)
        except StatementRefused as error:
            return {"result": None, "result_omitted": str(error)}
        size = len(json.dumps(row, ensure_ascii=False).encode())
        if size > _MAX_RESULT_BYTES:
            return {"result": None, "result_omitted": f"{size:,} bytes are more than a state may pass on"}
        return {"result": row}
