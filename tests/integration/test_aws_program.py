"""`make test-aws`, tried on the local AWS: each item comes to a verdict, none better than what was seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.stack import PROJECT, STACK_NAME
from tests.aws.items import ITEMS, ONLY_BY_NAME

if TYPE_CHECKING:
    from local.data_api import DataApi
    from local.stack import LocalAws

# What the local AWS has no like of, or the stack of the tests is not deployed for.
NOT_SEEN = {"login", "inside-a-vpc", "throttled-target"}


def ask(aws: LocalAws, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.aws", *arguments],
        cwd=PROJECT,
        env=os.environ | aws.environment | {"PYTHONPATH": str(PROJECT / "functions")},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def verdicts(printed: str) -> dict[str, str]:
    """The verdict of each item."""
    return dict(re.findall(r"^([a-z-]+): .*\n  (confirmed|otherwise|could not be seen): ", printed, re.MULTILINE))


@pytest.mark.usefixtures("outputs")
def test_procedures_that_are_not_there_are_not_taken_for_an_answer(aws: LocalAws) -> None:
    asked = ask(aws, "--stack", STACK_NAME, "--items", "typed-arguments", "out-parameters")

    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert set(verdicts(asked.stdout).values()) == {"could not be seen"}, asked.stdout
    assert "tests/aws/procedures.sql" in asked.stdout


@pytest.mark.usefixtures("outputs")
def test_every_item_comes_to_a_verdict(aws: LocalAws, redshift: DataApi) -> None:
    redshift.run_script(PROJECT / "tests" / "aws" / "procedures.sql")
    try:
        asked = ask(aws, "--stack", STACK_NAME, "--items", *ITEMS)
    finally:
        redshift.query("DROP PROCEDURE public.sp_test_aws_types(INTEGER, BOOLEAN, DATE, VARCHAR(100))")
        redshift.query("DROP PROCEDURE public.sp_test_aws_out(VARCHAR(100))")

    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert asked.stdout.startswith(f"{aws.endpoint_url} is an imitation")
    seen = verdicts(asked.stdout)
    # The local Redshift may be too quick for an execution to be stopped.
    for item in ("redrive", "stop"):
        assert seen.pop(item) in {"confirmed", "could not be seen"}, asked.stdout
    assert seen == {
        item: "could not be seen" if item in NOT_SEEN else "confirmed" for item in ITEMS.keys() - {"redrive", "stop"}
    }, asked.stdout


@pytest.mark.usefixtures("outputs")
def test_what_is_otherwise_fails_the_program(aws: LocalAws, redshift: DataApi) -> None:
    redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_test_aws_out(p_text IN VARCHAR(100), p_count OUT INTEGER) "
        "AS $$ BEGIN p_count := 8; END; $$ LANGUAGE plpgsql"
    )
    try:
        asked = ask(aws, "--stack", STACK_NAME, "--items", "out-parameters")
    finally:
        redshift.query("DROP PROCEDURE public.sp_test_aws_out(VARCHAR(100))")

    assert asked.returncode == 1
    assert verdicts(asked.stdout) == {"out-parameters": "otherwise"}
    assert "means: " in asked.stdout


def test_a_stack_that_is_not_there_is_named(aws: LocalAws) -> None:
    asked = ask(aws, "--stack", "no-such-stack")

    assert asked.returncode == 2
    assert asked.stderr.startswith("no-such-stack can't be used: ")


def test_its_page_lists_every_item() -> None:
    page = (PROJECT / "docs/on-aws.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z-]+)`", page, re.MULTILINE) == list(ITEMS)
    assert ITEMS.keys() >= ONLY_BY_NAME
