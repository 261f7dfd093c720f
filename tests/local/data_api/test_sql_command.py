"""`python -m local.sql`, where it is called wrongly."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from local import sql

if TYPE_CHECKING:
    import pytest


def test_a_file_that_is_not_there_is_named_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(sys, "argv", ["local.sql", "no_such_tables.sql"])
    assert sql.main() == 1
    assert capsys.readouterr().err == "[Errno 2] No such file or directory: 'no_such_tables.sql'\n"
