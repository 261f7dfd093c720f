"""What every function of the callback mechanism needs from its environment, and the parts it makes of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from aws_clients import client
from environment import required
from statements.data_api import RedshiftDataApi, RedshiftLogin
from statements.resuming import TaskResumer
from statements.submitting import TaskSubmitter
from statements.token_store import TokenStore


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

    def submitter(self, login: RedshiftLogin) -> TaskSubmitter:
        """Return the one way to submit statements."""
        return TaskSubmitter(self._data_api(), login, self._tokens(), self.resumer())

    def _data_api(self) -> RedshiftDataApi:
        return RedshiftDataApi(client("redshift-data", self.region))

    def _tokens(self) -> TokenStore:
        return TokenStore(client("dynamodb"), self.meta_table)
