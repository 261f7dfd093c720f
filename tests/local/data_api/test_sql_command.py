"""`python -m local.sql`, as it is called."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import boto3

from local import sql

if TYPE_CHECKING:
    import pytest

    from local.stack import LocalAws


def test_a_file_that_is_not_there_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(sys, "argv", ["local.sql", "no_such_tables.sql"])
    assert sql.main() == 1
    assert capsys.readouterr().err == "[Errno 2] No such file or directory: 'no_such_tables.sql'\n"


def test_it_says_that_it_is_done_and_keeps_that_apart_from_the_rows(
    aws: LocalAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)  # else its credentials may be those of another test
    monkeypatch.setattr(sys, "argv", ["local.sql", "CREATE TEMP TABLE done (a int); SELECT 1 AS a"])
    assert sql.main() == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ('{"a": 1}\n', "done: 2 statements\n")
