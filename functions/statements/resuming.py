"""Telling the task that waits for a statement how it ended: one idempotent function, whoever notices the end."""

from __future__ import annotations

import json
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from errors import AwsRefused, PipelineError, paragraph, shortened
from statements.data_api import RedshiftDataApi, StatementState
from statements.errors import (
    RedshiftUnavailable,
    StatementAborted,
    StatementFailed,
    StatementForgotten,
)
from statements.names import StatementKind
from statements.token_store import TokenRow, TokenStore
from telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient

# SendTaskSuccess and SendTaskFailure in the Step Functions API reference; boto3 does not check these. The reference
# does not say whether a cause is measured in characters or in bytes, so it has to fit as bytes.
_MAX_OUTPUT_BYTES = 262_144
_MAX_CAUSE_BYTES = 32_768
_MAX_REASON_BYTES = 1_000

FORGOTTEN = "FORGOTTEN"
"""The status of a statement of which Redshift did not tell any more how it ended."""


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

    def __init__(self, steps: SFNClient, data_api: RedshiftDataApi, tokens: TokenStore) -> None:
        self._steps = steps
        self._data_api = data_api
        self._tokens = tokens
        # An expired or closed task answers TaskTimedOut; the other two are tokens that can never be resumed.
        self._spent_token = (
            steps.exceptions.TaskTimedOut,
            steps.exceptions.TaskDoesNotExist,
            steps.exceptions.InvalidToken,
        )

    def resume(self, name: str, statement_id: str, *, just_submitted: bool = False) -> Resumption:
        """Resume the task that waits for this statement, if it has ended and the task has not been told yet.

        Every token that was saved for the statement is told, as the newest need not be the one that still waits. Raises
        RedshiftBusy, RedshiftUnavailable or AwsUnavailable when the outcome can't be read or told now,
        StatementForgotten or AwsRefused when it never can.
        """
        row = self._tokens.find(name)
        if row is None or (row.statement_id or statement_id) != statement_id:
            return Resumption.UNKNOWN
        logger.append_keys(execution_arn=row.execution_arn)
        if not row.waiting:
            return Resumption.DUPLICATE
        try:
            state = self._data_api.describe(statement_id)
        except StatementForgotten as error:
            if just_submitted or row.statement_id is None:
                # Nowhere is it said that what one call has submitted is known to the next at once.
                raise RedshiftUnavailable(
                    f"statement {statement_id} is not known to the Data API yet, try again later."
                ) from error
            raise
        except AwsRefused:
            if row.statement_id is None:
                # A name of ours on a statement that this role never ran: somebody else's.
                return Resumption.UNKNOWN
            raise
        if not state.is_terminal:
            if row.has_ended:
                raise RedshiftUnavailable(
                    f"statement {statement_id} has been seen to end ({row.status}), but is still described as "
                    f"{state.status}, try again later."
                )
            return Resumption.NOT_ENDED
        return self._tell_all(row, statement_id, state.status, self._outcome(row, state))

    def give_up(self, row: TokenRow, statement_id: str, forgotten: StatementForgotten) -> Resumption:
        """Fail the task that waits for a statement that Redshift no longer knows; nobody looks for its end any more.

        Raises AwsUnavailable and AwsRefused.
        """
        return self._tell_all(row, statement_id, FORGOTTEN, partial(self.fail, error=forgotten))

    def fail(self, token: str, error: PipelineError) -> Resumption:
        """Fail the task that holds a token, with the error's class name and its message; LATE if it no longer waits.

        Raises AwsUnavailable and AwsRefused.
        """
        cause = shortened(str(error), _MAX_CAUSE_BYTES)
        with named_failures(secret=token):
            try:
                self._steps.send_task_failure(taskToken=token, error=type(error).__name__, cause=cause)
            except self._spent_token:
                return Resumption.LATE
        return Resumption.FAILED

    def _tell_all(self, row: TokenRow, statement_id: str, status: str, tell: Callable[[str], Resumption]) -> Resumption:
        told = Resumption.LATE
        # A token that is saved meanwhile may belong to an attempt that was told "still running".
        while row.waiting:
            for token in sorted(row.waiting):
                answer = tell(token)
                told = told if answer is Resumption.LATE else answer
            row = self._tokens.mark_told(row, statement_id, status)
        return told

    def _outcome(self, row: TokenRow, state: StatementState) -> Callable[[str], Resumption]:
        """Return what tells a token how the statement ended."""
        match state.status:
            case "FINISHED":
                return partial(self._succeed, output=self._output(row, state))
            case "ABORTED":
                message = state.error or "the statement was cancelled"
                return partial(self.fail, error=StatementAborted(_with_id(message, state.statement_id)))
            case _:
                message = state.error or "Redshift gives no reason"
                return partial(self.fail, error=StatementFailed(_with_id(message, state.statement_id)))

    def _succeed(self, token: str, output: str) -> Resumption:
        with named_failures(secret=token):
            try:
                self._steps.send_task_success(taskToken=token, output=output)
            except self._spent_token:
                return Resumption.LATE
        return Resumption.SUCCEEDED

    def _output(self, row: TokenRow, state: StatementState) -> str:
        output: dict[str, Any] = {
            "statement_id": state.statement_id,
            "statement_name": row.name,
            "rows": state.rows,
            "duration_seconds": state.duration_seconds,
        }
        if row.kind is StatementKind.UNLOAD or not state.has_result_set:
            return _json(output)
        # The statement has done its work whether or not its row can be passed on (of a procedure, its OUT parameters):
        # Redshift keeps it for 24 hours to be read from there.
        try:
            whole = _json(output | {"result": self._data_api.first_row(state.statement_id)})
        except AwsRefused as error:
            return _json(output | {"result": None, "result_omitted": shortened(str(error), _MAX_REASON_BYTES)})
        if (size := len(whole.encode())) > _MAX_OUTPUT_BYTES:
            return _json(output | {"result": None, "result_omitted": f"{size:,} bytes are more than a state passes on"})
        return whole


def _json(output: dict[str, Any]) -> str:
    return json.dumps(output, ensure_ascii=False, allow_nan=False)


def _with_id(message: str, statement_id: str) -> str:
    """Return Redshift's message with the statement's id, which is not what is cut if both are too long."""
    where = f" (statement {statement_id})"
    return shortened(paragraph(message), _MAX_CAUSE_BYTES - len(where)) + where
