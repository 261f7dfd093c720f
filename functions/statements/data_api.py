"""The Redshift Data API as the callback mechanism needs it; its errors are translated here, once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from errors import MissingConfiguration
from statements.errors import RedshiftBusy, RedshiftUnavailable, StatementRefused
from statements.names import StatementKind, client_token

if TYPE_CHECKING:
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient
    from mypy_boto3_redshift_data.type_defs import FieldTypeDef

# "Considerations when calling the Data API" in the Redshift management guide names these as worth a later attempt.
_BUSY = {"ActiveStatementsExceededException", "ActiveSessionsExceededException", "ThrottlingException"}
_UNAVAILABLE = {
    "ExecuteStatementException",
    "InternalServerException",
    "InternalFailure",
    "ServiceUnavailable",
}

TERMINAL = frozenset({"FINISHED", "FAILED", "ABORTED"})


@dataclass(frozen=True)
class Statement:
    """One SQL statement; `parameters` are bound by the server to the `:name` placeholders in `sql`."""

    kind: StatementKind
    sql: str
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StatementState:
    """What the Data API says of a statement. `rows` is None where Redshift does not tell."""

    statement_id: str
    status: str
    error: str
    rows: int | None
    duration_seconds: float
    has_result_set: bool

    @property
    def is_terminal(self) -> bool:
        """Whether the statement has ended, in whichever way."""
        return self.status in TERMINAL


@dataclass(frozen=True)
class RedshiftTarget:
    """Where statements run and as whom: the keyword arguments of ExecuteStatement."""

    arguments: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "RedshiftTarget":
        """Read what the template sets; empty means not used. The template's Rules refuse impossible combinations."""
        names = {
            "Database": "REDSHIFT_DB_NAME",
            "ClusterIdentifier": "CLUSTER_IDENTIFIER",
            "WorkgroupName": "WORKGROUP_NAME",
            "SecretArn": "DB_SECRET_ARN",
            "DbUser": "DB_USER",
        }
        missing = sorted(variable for variable in names.values() if variable not in environment)
        if missing:
            raise MissingConfiguration(f"environment variables {', '.join(missing)} are not set: deploy the template.")
        return cls({key: environment[variable] for key, variable in names.items() if environment[variable]})


class RedshiftDataApi:
    """Submits and describes statements.

    Only the IAM role that submitted a statement may describe it, so submitter and callback share a role.
    """

    def __init__(self, client: "RedshiftDataAPIServiceClient") -> None:
        self._client = client

    def execute(self, statement: Statement, name: str, target: RedshiftTarget) -> str:
        """Submit a statement under a name and return its id; the same name runs once in 8 hours.

        Raises RedshiftBusy, RedshiftUnavailable, StatementRefused.
        """
        arguments: dict[str, Any] = {
            **target.arguments,
            "Sql": statement.sql,
            "StatementName": name,
            "ClientToken": client_token(name),
            "WithEvent": True,
        }
        if statement.parameters:
            arguments["Parameters"] = [{"name": key, "value": value} for key, value in statement.parameters.items()]
        with _translated():
            return self._client.execute_statement(**arguments)["Id"]

    def describe(self, statement_id: str) -> StatementState:
        """The state of a statement that this role submitted."""
        with _translated():
            answer = self._client.describe_statement(Id=statement_id)
        rows = answer.get("ResultRows", -1)
        return StatementState(
            statement_id=answer["Id"],
            status=answer["Status"],
            error=answer.get("Error", ""),
            rows=rows if rows >= 0 else None,
            duration_seconds=round(answer.get("Duration", 0) / 1e9, 3),
            has_result_set=answer.get("HasResultSet", False),
        )

    def first_row(self, statement_id: str) -> dict[str, Any]:
        """The first row of a statement's result set by column name; empty if there is none."""
        with _translated():
            answer = self._client.get_statement_result(Id=statement_id)
        columns = [column["name"] for column in answer["ColumnMetadata"]]
        records = answer["Records"]
        return dict(zip(columns, map(_value, records[0]), strict=True)) if records else {}


def _value(cell: "FieldTypeDef") -> Any:
    if cell.get("isNull"):
        return None
    (value,) = cell.values()
    return value.hex() if isinstance(value, bytes) else value


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        message = error.response["Error"].get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _BUSY:
            raise RedshiftBusy(f"Redshift takes no more statements now ({code}): {message}") from error
        if code in _UNAVAILABLE or status >= 500:  # noqa: PLR2004
            raise RedshiftUnavailable(f"the Redshift Data API failed ({code}): {message}") from error
        raise StatementRefused(f"the Redshift Data API refused the call ({code}): {message}") from error
    except (UnreachableError, HTTPClientError) as error:
        raise RedshiftUnavailable(f"the Redshift Data API could not be reached ({type(error).__name__}).") from error
