"""`report` writes a page of whatever there is to tell of a run, and nothing of what its rows hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_load.accounting.ledger import Tally
from tests.unit.scripts.conftest import call, listed, reject

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.unit.scripts.conftest import Account


def _failed_load(account: Account) -> None:
    """A load of which one piece was loaded, with rejects, and one failed."""
    account.script("load", listed(), {"Type": "Fail", "Error": "RowsUnaccounted", "Cause": "1,000 rows <unloaded>"})
    account.load_piece("00000", 600, Tally(next_row=600, written=597, rejected=3, seconds=4.0, finished=True))
    account.load_piece("00001", 400, Tally(next_row=100, written=100, seconds=2.0), RuntimeError("of a secret row"))
    account.reject("00000-000000000.jsonl", reject(1, name="SECRET"), reject(2), reject(5, "key_empty", "SECRET"))
    account.run("load", {"table": "public.reviews"})


def test_a_load_is_written_with_its_rejects_by_reason_and_without_their_values(
    account: Account, tmp_path: Path
) -> None:
    _failed_load(account)
    file = tmp_path / "report.html"
    called = call("report", "--to", str(file))
    assert (called.code, called.refusal) == (0, "")
    assert called.text == f"✓ The report of run-1 is in {file}\n"
    page = file.read_text(encoding="utf-8")
    for told in (
        "Failed",
        "RowsUnaccounted",
        "1,000 rows &lt;unloaded&gt;",
        "key_missing",
        "key_empty",
        "RuntimeError",
    ):
        assert told in page, told
    assert "What to do" in page
    assert "secret" not in page.lower()


def test_it_goes_to_a_folder_of_reports_and_a_second_one_takes_the_place_of_the_first(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    account.run("procedure", {"spname": "public.sp"})
    for _ in range(2):
        assert call("--json", "report").document == {"run": "run-1", "report": "reports/run-1.html"}
    assert [path.name for path in (tmp_path / "reports").iterdir()] == ["run-1.html"]
    assert "Succeeded" in (tmp_path / "reports/run-1.html").read_text(encoding="utf-8")


def test_one_that_was_stopped_says_how_to_go_on(account: Account, tmp_path: Path) -> None:
    waits = {"Type": "Wait", "Seconds": 3600, "Next": "End"}
    account.script("load", {"Unload Redshift Table": waits})
    account.run("load", until="Unload Redshift Table")
    call("stop", "run-1")
    file = tmp_path / "report.html"
    assert call("report", "run-1", "--to", str(file)).code == 0
    page = file.read_text(encoding="utf-8")
    assert "Why it was stopped" in page
    assert "Redrive the execution to go on" in page


def test_one_that_can_not_be_written_is_refused_with_what_to_do(account: Account, tmp_path: Path) -> None:
    account.run("procedure")
    (tmp_path / "file").touch()
    called = call("report", "run-1", "--to", str(tmp_path / "file/report.html"))
    assert called.code == 3
    assert "name another file with --to" in called.refusal
