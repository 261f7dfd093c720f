"""The command line against the deployed stack: what it starts, reads, explains and stops is really so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from local.stack import PROJECT, STACK_NAME
from tests.integration.test_stored_procedures import LOG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local.data_api import DataApi
    from local.stack import LocalAws

PROGRAM = str(PROJECT / "scripts/pipelines")


class CommandLine:
    """Calls the program as a person does from another folder, told the stack by its name alone."""

    def __init__(self, aws: LocalAws, folder: Path, **credentials: str) -> None:
        self._environment = os.environ | aws.environment | {"PIPELINES_STACK": STACK_NAME} | credentials
        self._folder = folder

    def __call__(self, *words: str, code: int = 0) -> str:
        """Call it, see that it ends with this code, and return what it has printed."""
        done = subprocess.run(
            [sys.executable, PROGRAM, *words],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def document(self, *words: str, code: int = 0) -> Any:
        return json.loads(self("--json", *words, code=code))


@pytest.fixture
def cli(aws: LocalAws, outputs: dict[str, str], redshift: DataApi, tmp_path: Path) -> CommandLine:
    return CommandLine(aws, tmp_path)


@pytest.fixture
def reader(aws: LocalAws, outputs: dict[str, str], tmp_path: Path) -> Iterator[CommandLine]:
    """The command line of somebody who has the rights of the manual's policy, and no others."""
    text = (PROJECT / "docs/command-line.md").read_text()
    policy = text.partition("```json\n")[2].partition("```")[0]
    for placeholder, value in {"stack": STACK_NAME, "StackPrefix": "local", **outputs}.items():
        policy = policy.replace(f"<{placeholder}>", value)
    iam, user = aws.client("iam"), f"reader-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=user)
    iam.put_user_policy(UserName=user, PolicyName="reads", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    yield CommandLine(aws, tmp_path, AWS_ACCESS_KEY_ID=key["AccessKeyId"], AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName=user, PolicyName="reads")
    iam.delete_user(UserName=user)


@pytest.fixture
def name() -> str:
    """A name for runs, and the start of keys, that nothing else has."""
    return uuid.uuid4().hex[:8]


def test_a_procedure_is_run_and_one_that_fails_is_explained(cli: CommandLine, name: str) -> None:
    text = cli("run", "procedure", LOG, "--message", f"told by {name}", "--name", f"{name}-well", "--every", "0.2")
    assert f"✓ {name}-well succeeded in " in text
    assert "  Run Stored Procedure (" in text
    cli("run", "procedure", "public.sp_nowhere", "--name", f"{name}-bad", "--every", "0.2", code=1)
    told = cli.document("why", f"{name}-bad")
    assert (told["status"], told["error"]) == ("FAILED", "StatementFailed")
    assert "sp_nowhere" in told["cause"]
    assert "Redshift ran the statement" in told["advice"]["StatementFailed"]
    listed = {run["name"]: run["status"] for run in cli.document("list", "--pipeline", "procedure", "--most", "5")}
    assert listed[f"{name}-well"] == "SUCCEEDED"


def test_a_load_is_run_and_its_rejects_are_corrected_and_sent_back_in(
    cli: CommandLine, reader: CommandLine, aws: LocalAws, outputs: dict[str, str], name: str, tmp_path: Path
) -> None:
    query = (
        f"SELECT '{name}-1' AS review_id, 5 AS stars UNION ALL SELECT '{name}-2', 4 "
        "UNION ALL SELECT CAST(NULL AS VARCHAR(20)), 3"
    )
    words = ("run", "load", "--query", query, "--rejects-allowed", "1", "--name", name, "--every", "0.2")
    assert "3 rows unloaded for amazon_reviews = 2 written + 1 rejected\n" in cli(*words)
    (run,) = [run for run in reader.document("list", "--most", "5") if run["name"] == name]
    assert (run["pipeline"], run["output"]["rows_rejected"]) == ("load", 1)
    told = reader.document("why", name)
    assert (told["load"]["rows_written"], told["rejects_by_reason"]) == (2, {"key_missing": 1})
    (statement,) = told["statements"]
    # Redshift tells only the functions' role.
    assert (statement["status"], statement["told_by_redshift"]) == ("FINISHED", False)

    reader("rejects", "download", name, "corrected.jsonl")
    reader("run", "load", "--no-watch", code=3)
    file = tmp_path / "corrected.jsonl"
    line = json.loads(file.read_text())
    line["row"]["review_id"] = f"{name}-3"
    file.write_text(json.dumps(line))
    text = cli("rejects", "send", "corrected.jsonl", "--every", "0.2")
    assert "1 row unloaded for amazon_reviews = 1 written\n" in text
    item = aws.client("dynamodb").get_item(TableName=outputs["TargetTableName"], Key={"review_id": {"S": f"{name}-3"}})[
        "Item"
    ]
    assert item["stars"] == {"N": "3"}


def test_a_run_is_stopped_with_its_statement(cli: CommandLine, redshift: DataApi, name: str) -> None:
    redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_slow() AS $$ BEGIN PERFORM pg_sleep(60); END; $$ LANGUAGE plpgsql"
    )
    cli("run", "procedure", "public.sp_slow", "--name", name, "--no-watch")
    assert f"✓ {name} is stopped\n" in cli("stop", name)
    told = cli.document("why", name)
    assert told["status"] == "ABORTED"
    assert [statement["status"] for statement in told["statements"]] in ([], ["ABORTED"])


def test_what_the_stack_needs_is_there_and_what_the_query_lacks_is_named(cli: CommandLine) -> None:
    found = {
        finding["what"]: finding
        for finding in cli.document("preflight", "--every", "0.2", "--query", "SELECT 1", code=1)
    }
    assert found["unload"]["verdict"] == "well"
    assert found["query"]["verdict"] == "fault"
    assert found["query"]["found"].startswith("one row of the query was not unloaded. MissingKeyColumn: ")
