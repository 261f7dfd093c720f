"""The Redshift Data API as the callback mechanism needs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError

from aws_errors import named_failures
from errors import MissingConfiguration
from statements.errors import RedshiftBusy, RedshiftUnavailable, StatementForgotten, StatementRefused
from statements.names import client_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient
    from mypy_boto3_redshift_data.type_defs import FieldTypeDef

MAX_SQL_BYTES = 100_000
"""The Data API's limit for a query string ("Using the Amazon Redshift Data API"); newer pages say 200 KB."""

_named_failures = partial(named_failures, unavailable=RedshiftUnavailable, busy=RedshiftBusy)
_TERMINAL = frozenset({"FINISHED", "FAILED", "ABORTED"})


@dataclass(frozen=True)
class Statement:
    """One SQL statement; `parameters` are bound by the server to the `:name` placeholders in `sql`."""

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
        return self.status in _TERMINAL


@dataclass(frozen=True)
class RedshiftLogin:
    """Where statements run and as whom: the keyword arguments of ExecuteStatement."""

    arguments: Mapping[str, str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read what the template sets; empty means not used. The template's Rules refuse impossible combinations.

        Raises MissingConfiguration.
        """
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
    """Submits, describes and cancels statements. Each method raises RedshiftBusy and RedshiftUnavailable.

    Only the IAM role that submitted a statement may describe or cancel it, so all who do share a role.
    """

    def __init__(self, client: RedshiftDataAPIServiceClient) -> None:
        self._client = client

    def execute(self, statement: Statement, name: str, login: RedshiftLogin) -> str:
        """Submit a statement under a name and return its id; the same name runs once in 8 hours.

        Raises StatementRefused, too.
        """
        arguments: dict[str, Any] = {
            **login.arguments,
            "Sql": statement.sql,
            "StatementName": name,
            "ClientToken": client_token(name),
            "WithEvent": True,
        }
        if statement.parameters:
            arguments["Parameters"] = [{"name": key, "value": value} for key, value in statement.parameters.items()]
        with _named_failures(refused=StatementRefused):
            return self._client.execute_statement(**arguments)["Id"]

    def describe(self, statement_id: str) -> StatementState:
        """Return the state of a statement that this role submitted.

        Raises AwsRefused, too, and StatementForgotten if the Data API does not know the statement: a day after its end,
        and perhaps in the moment of its beginning.
        """
        with _named_failures():
            try:
                answer = self._client.describe_statement(Id=statement_id)
            except ClientError as error:
                if not _is_forgotten(error):
                    raise
                raise StatementForgotten(
                    f"look in Redshift (SYS_QUERY_HISTORY) how statement {statement_id} ended, and start the execution "
                    "anew if it has not done its work: the Data API keeps what it knows of a statement for 24 hours."
                ) from error
        rows = answer.get("ResultRows", -1)
        return StatementState(
            statement_id=answer["Id"],
            status=answer["Status"],
            error=answer.get("Error", ""),
            rows=rows if rows >= 0 else None,
            # Redshift reports -1 nanoseconds for some statements that failed.
            duration_seconds=round(max(answer.get("Duration", 0), 0) / 1e9, 3),
            has_result_set=answer.get("HasResultSet", False),
        )

    def find(self, name: str) -> str | None:
        """Return the id of the statement that this role has submitted under a name, or None if there is none.

        Raises AwsRefused, too. For what got lost alone: ListStatements answers three times a second for an account.
        """
        with _named_failures():
            # A name is looked for as the beginning of one, and by default only among the finished.
            for page in self._client.get_paginator("list_statements").paginate(StatementName=name, Status="ALL"):
                for statement in page["Statements"]:
                    if statement.get("StatementName") == name:
                        return statement["Id"]
        return None

    def cancel(self, statement_id: str) -> None:
        """Cancel a statement that runs. Raises AwsRefused, too, if it does not run, not yet or no longer."""
        with _named_failures():
            self._client.cancel_statement(Id=statement_id)

    def first_row(self, statement_id: str) -> dict[str, Any]:
        """Return the first row of a statement's result set by column name, fit for JSON; empty if there is none.

        Raises AwsRefused, too.
        """
        with _named_failures():
            answer = self._client.get_statement_result(Id=statement_id)
        columns = [column["name"] for column in answer["ColumnMetadata"]]
        records = answer["Records"]
        return dict(zip(columns, map(_value, records[0]), strict=True)) if records else {}


def _is_forgotten(error: ClientError) -> bool:
    """Tell a statement that is unknown by now from a call that is refused for another reason.

    Seen in pulumi/pulumi-aws#2055: "Could not retrieve the query result as it has expired after 1658071606."
    """
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    return code == "ResourceNotFoundException" or (code == "ValidationException" and "expired" in message)


def _value(cell: FieldTypeDef) -> Any:
    """Return a cell's value as JSON has it, which knows neither bytes nor NaN."""
    if cell.get("isNull"):
        return None
    (value,) = cell.values()
    match value:
        case bytes():
            return value.hex()
        case float() if math.isnan(value):
            return "NaN"
        case float() if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        case str():
            return value.encode(errors="replace").decode()
    return value
