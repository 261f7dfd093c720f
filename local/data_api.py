"""SQL on the local Redshift through its Data API, waiting for each statement's end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from local.redshift.sql import lexer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient

POLL_SECONDS = 0.02


class SqlFailedError(Exception):
    """Redshift refused or could not finish a statement; the message is Redshift's own."""


class DataApi:
    """Runs statements one after another. `connection` is the cluster or workgroup, database and credentials."""

    def __init__(self, client: RedshiftDataAPIServiceClient, connection: Mapping[str, str]) -> None:
        self._client = client
        self._connection = connection

    def query(self, sql: str, *, timeout_seconds: float = 60, **values: str) -> list[dict[str, Any]]:
        """Run one statement with `values` bound to its `:name` placeholders; return its rows by column name.

        Raises `SqlFailedError`, also when the statement doesn't end in time.
        """
        return list(self.rows(sql, timeout_seconds=timeout_seconds, **values))

    def rows(self, sql: str, *, timeout_seconds: float = 60, **values: str) -> Iterator[dict[str, Any]]:
        """Do as `query`, but when the first row is asked for, and fetch the rows page by page."""
        request: dict[str, Any] = {**self._connection, "Sql": sql}
        if values:
            request["Parameters"] = [{"name": name, "value": value} for name, value in values.items()]
        statement = self._client.execute_statement(**request)
        deadline = time.monotonic() + timeout_seconds
        while (state := self._client.describe_statement(Id=statement["Id"]))["Status"] != "FINISHED":
            if state["Status"] in {"FAILED", "ABORTED"}:
                raise SqlFailedError(state.get("Error", state["Status"]))
            if time.monotonic() > deadline:
                raise SqlFailedError(f"still {state['Status']} after {timeout_seconds:g} s: {sql[:200]}")
            time.sleep(POLL_SECONDS)
        if state["HasResultSet"]:
            for page in self._client.get_paginator("get_statement_result").paginate(Id=statement["Id"]):
                names = [column["name"] for column in page["ColumnMetadata"]]
                for record in page["Records"]:
                    yield dict(zip(names, map(_value, record), strict=True))

    def run_script(self, path: Path) -> None:
        """Run every statement of a SQL file. Raises `SqlFailedError` at the first that fails."""
        for statement in lexer.statements(path.read_text(encoding="utf-8")):
            self.query(statement)


def _value(field: Mapping[str, Any]) -> Any:
    """Return the Python value of a result field, which has one member, named after its type."""
    (member, value), *_ = field.items()
    return None if member == "isNull" else value
