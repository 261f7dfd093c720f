"""Stopping what an execution left behind that has ended: its statements at Redshift, and its loaders.

Whoever submits and whoever stops meet in one row each (`docs/reliability.md`), so that no statement slips through.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from errors import AwsRefused
from executions.notes import ExecutionNotes
from locks.table import TableLock
from statements.data_api import RedshiftDataApi
from statements.errors import RedshiftUnavailable, StatementForgotten
from statements.reporting import record_cancelled
from statements.token_store import TokenRow, TokenStore

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# A submitting function is ended after 60 seconds. After these it can neither submit a statement nor have submitted one
# that the Data API does not list.
_SECONDS_TO_SUBMIT = 120


@dataclass(frozen=True)
class ExecutionStopper:
    """Stops executions; what they have under way is noted in `ledger_table`."""

    data_api: RedshiftDataApi
    tokens: TokenStore
    dynamodb: DynamoDBClient
    ledger_table: str

    def stop(self, execution_arn: str, redrives: int) -> None:
        """Cancel the statements of an execution that has ended as of that redrive, and stop its loaders.

        A second time changes nothing, nor does it what a later redrive has taken up. Raises RedshiftBusy,
        RedshiftUnavailable, AwsUnavailable and AwsRefused: then it is to be tried again.
        """
        under_way = ExecutionNotes(self.dynamodb, self.ledger_table, execution_arn).stop(redrives)
        if under_way.table:
            TableLock(self.dynamodb, self.ledger_table, under_way.table, execution_arn).stop(redrives)
        for name in sorted(under_way.statements):
            if row := self.tokens.mark_stopping(name, redrives):
                self._cancel(row)

    def _cancel(self, row: TokenRow) -> None:
        statement_id = row.statement_id or self.data_api.find(row.name)
        if statement_id is None:
            self.close_if_never_submitted(row)
            return
        try:
            if self.data_api.describe(statement_id).is_terminal:
                return
            self.data_api.cancel(statement_id)
        except StatementForgotten:
            return
        except AwsRefused:
            # It may have ended meanwhile; one that does not run yet can't be cancelled either.
            if self.data_api.describe(statement_id).is_terminal:
                return
            raise
        record_cancelled(row.name, statement_id)

    def close_if_never_submitted(self, row: TokenRow) -> None:
        """Close the row of a statement that has no id and never got one, unless a submitter may still be at it.

        Raises RedshiftUnavailable if one may.
        """
        if time.time() - row.updated_at < _SECONDS_TO_SUBMIT:
            raise RedshiftUnavailable(
                f"statement {row.name} is not known to the Data API, but may still be submitted, try again later."
            )
        self.tokens.close(row.name)
