"""Requests that the Data API refuses, and those that only the local one does."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local.stack import PROJECT
from tests.local.data_api.conftest import AS_SUPERUSER

if TYPE_CHECKING:
    from pathlib import Path

    from local.stack import LocalAws
    from tests.local.data_api.conftest import Redshift

SOME_ID = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("operation", "members", "message"),
    [
        ("execute_statement", {"Sql": " \n"}, "SQL statement cannot be empty"),
        ("execute_statement", {"Sql": "x" * 200_001}, "Cannot process query string larger than 200kB"),
        ("execute_statement", {"Sql": "x", "StatementName": "n" * 2049}, "statementName must have length .* 2048"),
        ("execute_statement", {"Sql": "x", "ClientToken": "t" * 65}, "clientToken must have length .* 64"),
        ("execute_statement", {"Sql": "x", "ClusterIdentifier": "A!"}, "clusterIdentifier must satisfy regex pattern"),
        ("execute_statement", {"Sql": "x", "WaitTimeSeconds": 31}, "waitTimeSeconds must be less than or equal to 30"),
        ("execute_statement", {"Sql": "x", "Parameters": [{"name": "a b", "value": "1"}]}, "name must satisfy regex"),
        (
            "execute_statement",
            {"Sql": ":a", "Parameters": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
            r"duplicate parameters: \[a\]",
        ),
        ("batch_execute_statement", {"Sqls": ["x"] * 41}, "sqls must have length less than or equal to 40"),
        ("batch_execute_statement", {"Sqls": ["x"], "ExecutionMode": "BOTH"}, "executionMode must be one of"),
        ("describe_statement", {"Id": "nonsense"}, "id must satisfy regex pattern"),
        ("list_statements", {"MaxResults": 101}, "maxResults must be less than or equal to 100"),
        ("list_statements", {"NextToken": "invented"}, "NextToken is not a token"),
        ("list_statements", {"ClusterIdentifier": "another"}, "endpoint doesn't exist"),
        ("list_tables", {"NextToken": "9999"}, "NextToken is not a token"),
    ],
)
def test_a_request_beyond_the_rules_is_refused(
    redshift: Redshift, operation: str, members: dict[str, Any], message: str
) -> None:
    target = {} if operation in {"describe_statement", "list_statements"} else AS_SUPERUSER
    with pytest.raises(redshift.client.exceptions.ValidationException, match=message):
        getattr(redshift.client, operation)(**{**target, **members})


@pytest.mark.parametrize("number", ["1", "0", "3", "99"])
def test_only_sub_statements_of_a_batch_have_numbers(redshift: Redshift, number: str) -> None:
    single = redshift.run("select 1")["Id"]
    batch = redshift.run_batch("select 1", "select 2")["Id"]
    wrong = [f"{single}:{number}"] + ([f"{batch}:{number}"] if number != "1" else [])

    for statement_id in [*wrong, SOME_ID]:
        with pytest.raises(redshift.client.exceptions.ResourceNotFoundException, match="Query does not exist"):
            redshift.client.describe_statement(Id=statement_id)


@pytest.mark.parametrize(
    ("operation", "members", "name"),
    [
        ("execute_statement", {**AS_SUPERUSER, "Sql": "x", "SessionKeepAliveSeconds": 10}, "SessionKeepAliveSeconds"),
        ("execute_statement", {"Sql": "x", "SessionId": SOME_ID}, "SessionId"),
        ("execute_statement", {**AS_SUPERUSER, "Sql": "x", "ResultFormat": "CSV"}, "ResultFormat CSV"),
        ("get_statement_result_v2", {"Id": SOME_ID}, "GetStatementResultV2"),
        ("list_sessions", {}, "ListSessions"),
        ("describe_table", AS_SUPERUSER, "DescribeTable without Table"),
        ("list_tables", {**AS_SUPERUSER, "ConnectedDatabase": "other"}, "a ConnectedDatabase other than Database"),
    ],
)
def test_what_is_not_imitated_is_refused_by_name(
    redshift: Redshift, operation: str, members: dict[str, Any], name: str
) -> None:
    with pytest.raises(ClientError) as refusal:
        getattr(redshift.client, operation)(**members)

    error = refusal.value.response["Error"]
    assert error["Code"] == "ValidationException"
    assert error["Message"] == f"{name} is not imitated by the local Redshift Data API"


def test_neither_sql_nor_parameters_are_logged(redshift: Redshift, aws: LocalAws) -> None:
    secret = "token-that-nobody-may-read"
    redshift.run(f"select 1/0 as \"{secret}\", ':{secret}'")
    redshift.run("select 1/length(:value)", Parameters=[{"name": "value", "value": secret}])
    with pytest.raises(ClientError):
        redshift.client.describe_statement(Id=secret)

    assert secret not in aws.log()


def register_in_a_process_of_its_own(**environment: str) -> str:
    """What `register` raises there."""
    program = (
        "from pathlib import Path\n"
        "from local.redshift.api import service\n"
        "from local.redshift.sql import engine\n"
        "service.register(engine.Engine(Path('unused')), 'http://127.0.0.1:1')\n"
    )
    finished = subprocess.run(
        [sys.executable, "-B", "-c", program], env={**os.environ, **environment}, cwd=PROJECT,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return finished.stderr.splitlines()[-1]


def test_the_service_does_not_start_where_nothing_is_enforced() -> None:
    assert "EnforcementOffError" in register_in_a_process_of_its_own(AUTH="false")


def test_the_service_does_not_start_in_another_ministack(tmp_path: Path) -> None:
    other = tmp_path / "ministack-9.9.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: ministack\nVersion: 9.9.9\n")

    raised = register_in_a_process_of_its_own(AUTH="true", PYTHONPATH=str(tmp_path))

    assert "UnsupportedMiniStackError" in raised
    assert "9.9.9" in raised
