"""What every function of the callback mechanism needs from its environment, and the parts it makes of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self

from aws_clients import client
from environment import required
from executions.notes import ExecutionNotes
from statements.data_api import RedshiftDataApi, RedshiftLogin
from statements.resuming import TaskResumer
from statements.stopping import ExecutionStopper
from statements.submitting import TaskSubmitter
from statements.token_store import TokenStore
from statements.watching import StatementWatch


@dataclass(frozen=True)
class StatementSettings:
    """Where tokens are kept, and the region of the Data API (None: the stack's own)."""

    meta_table: str
    region: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read META_TABLE and REDSHIFT_REGION; raises MissingConfiguration."""
        return cls(required(environment, "META_TABLE"), environment.get("REDSHIFT_REGION") or None)

    def resumer(self) -> TaskResumer:
        """Return the one way to resume tasks."""
        return TaskResumer(client("stepfunctions"), self._data_api(), self._tokens())

    def _data_api(self) -> RedshiftDataApi:
        return RedshiftDataApi(client("redshift-data", self.region))

    def _tokens(self) -> TokenStore:
        return TokenStore(client("dynamodb"), self.meta_table)


@dataclass(frozen=True)
class ExecutionSettings(StatementSettings):
    """Also the ledger, where executions note what they have under way: of all functions but the callback."""

    ledger_table: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read LEDGER_TABLE, too."""
        statements = StatementSettings.from_environment(environment)
        return cls(statements.meta_table, statements.region, required(environment, "LEDGER_TABLE"))

    def submitter(self, login: RedshiftLogin) -> TaskSubmitter:
        """Return the one way to submit statements."""
        notes = partial(ExecutionNotes, client("dynamodb"), self.ledger_table)
        return TaskSubmitter(self._data_api(), login, self._tokens(), self.resumer(), notes)

    def stopper(self) -> ExecutionStopper:
        """Return the one way to stop executions."""
        return ExecutionStopper(self._data_api(), self._tokens(), client("dynamodb"), self.ledger_table)

    def watch(self, seconds_left: Callable[[], float]) -> StatementWatch:
        """Return the one way to look after statements."""
        return StatementWatch(
            client("stepfunctions"), self._data_api(), self._tokens(), self.resumer(), self.stopper(), seconds_left
        )
