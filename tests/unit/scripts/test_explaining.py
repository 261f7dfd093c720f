"""Why a run failed, and the rows that a load rejected."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto.redshiftdata.models import redshiftdata_backends

from dynamo_load.accounting.ledger import Tally
from dynamo_load.errors import WritesStalled
from scripts.pipelines.context import PROGRAM
from scripts.pipelines.runbook import advice
from statements.names import StatementKind
from tests.unit.scripts.conftest import BUCKET, REGION, call, listed, reject

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.scripts.conftest import Account

HERE = f"{PROGRAM} --stack pipelines --region {REGION}"


def fails(error: str, cause: str = "because") -> dict[str, Any]:
    return {"Type": "Fail", "Error": error, "Cause": cause}


def test_a_section_of_the_runbook_becomes_text(tmp_path: Path) -> None:
    runbook = tmp_path / "operating.md"
    runbook.write_text(
        "# All\n\n### Other\n\nNo.\n\n### StatementFailed\n\nRedshift ran it,\nand it [failed](#x).\n\n"
        "**Do:** mend `x`.\n\n- one\n- two\n\n## More\n\nNo.\n"
    )
    assert advice("StatementFailed", runbook) == "Redshift ran it, and it failed.\nDo: mend x.\n- one\n- two"
    assert advice("Statement", runbook) is None
    assert advice("Other", runbook) == "No."


def test_a_failed_procedure_is_explained_by_redshifts_words_and_the_runbook(account: Account) -> None:
    account.script("procedure", {}, fails("StatementFailed", 'ERROR: relation "etl.x" does not exist (statement 1)'))
    arn = account.run("procedure", {"spname": "etl.sp"})
    account.submit(arn, StatementKind.STORED_PROCEDURE)
    next(iter(redshiftdata_backends["123456789012"][REGION].statements.values())).status = "FAILED"
    called = call("why")
    assert called.code == 0, called
    assert called.text.startswith("✗ run-1, started at ")
    assert '\n  StatementFailed\n  ERROR: relation "etl.x" does not exist (statement 1)\n' in called.text
    assert "(STORED_PROCEDURE): FAILED after " in called.text
    section = advice("StatementFailed")
    assert section
    assert "StatementFailed: what the runbook says\n" in called.text
    for line in section.splitlines():
        assert f"  {line}\n" in called.text
    assert call("--json", "why", "run-1").document["advice"] == {"StatementFailed": section}


def test_a_failed_load_is_explained_by_its_pieces_and_rejects(account: Account) -> None:
    account.script("load", listed(), fails("RowsUnaccounted", "1,000 rows were unloaded"))
    account.run("load")
    account.load_piece("00000", 600, Tally(300, 298, rejected=2), WritesStalled("no room for an hour"))
    account.load_piece("00001", 400, Tally(100, 100))
    account.reject("00000-000000000.jsonl", reject(3, review_id=None), reject(9, "item_too_large", "420 KB"))
    called = call("why", "run-1")
    assert "  Load nightly-0f1e2d3c into reviews: 400 of 1,000 rows settled, 0 of 2 pieces finished\n" in called.text
    assert "    Piece 00000 at row 300 of 600: WritesStalled: no room for an hour\n" in called.text
    assert "    Piece 00001 at row 100 of 400: no failure noted\n" in called.text
    assert f"    {HERE} run load --resume nightly-0f1e2d3c\n" in called.text
    assert "  Rejected rows: 1 key_missing, 1 item_too_large\n" in called.text
    assert (
        "    The first: key_missing (review_id is NULL), piece 00000, row 3 of unload/nightly-0f1e2d3c/" in called.text
    )
    for error in ("RowsUnaccounted", "WritesStalled"):
        assert f"{error}: what the runbook says\n" in called.text
    document = call("--json", "why").document
    assert document["rejects_by_reason"] == {"key_missing": 1, "item_too_large": 1}
    assert list(document["advice"]) == ["RowsUnaccounted", "WritesStalled"]


def test_the_latest_run_that_went_wrong_is_meant_however_it_did(account: Account) -> None:
    account.script("load", {}, fails("InvalidInput"))
    account.run("load")
    account.script("procedure", {"Run Stored Procedure": {"Type": "Wait", "Seconds": 3600, "Next": "End"}})
    account.stop(account.run("procedure", until="Run Stored Procedure"))
    account.script("load", {})
    account.run("load")
    called = call("why")
    assert called.text.startswith("✗ run-2, started at ")
    assert "  Somebody stopped it. Redrive the execution to go on, or start anew.\n" in called.text


def test_what_nobody_foresaw_is_said_to_be_that(account: Account) -> None:
    account.script("load", {}, fails("KeyError", "'x'"))
    account.run("load")
    assert "  Nothing: a failure that nobody foresaw." in call("why").text


def test_there_is_nothing_to_explain_of_a_success(account: Account) -> None:
    account.run("load")
    assert call("why", "run-1").text.rstrip().endswith(": nothing to explain")
    called = call("why")
    assert (called.code, "no procedure or load with status FAILED yet" in called.refusal) == (3, True)


@pytest.fixture
def rejected(account: Account) -> Account:
    """A load that has rejected three rows, and a procedure after it."""
    account.script("load", listed())
    account.run("load")
    account.load_piece("00000", 600, Tally(600, 597, rejected=3, finished=True))
    account.reject(
        "00000-000000000.jsonl",
        reject(3, review_id=None, stars=5),
        reject(4, review_id=""),
        reject(9, "item_too_large", "420 KB", body="é\u2028\udcff"),
    )
    account.run("procedure")
    return account


def test_rejected_rows_are_shown_with_reason_and_place(rejected: Account) -> None:
    called = call("rejects", "show", "--most", "1")
    file = "unload/nightly-0f1e2d3c/0000_part_00.parquet"
    assert called.text == (
        f"key_missing: review_id is NULL\n  row 3 of {file}, piece 00000\n  review_id  null\n  stars      5\n"
    )
    assert '  body  "é\\u2028\\udcff"\n' in call("rejects", "show", "--reason", "item_too_large").text
    (row,) = call("--json", "rejects", "show", "run-1", "--reason", "item_too_large").document["rows"]
    assert (row["detail"], row["row"]) == ("420 KB", {"body": "é\u2028\udcff"})
    assert call("rejects", "show", "--reason", "x").text == "Load nightly-0f1e2d3c has rejected no such row.\n"


def test_rejected_rows_are_counted_by_reason(rejected: Account) -> None:
    assert call("rejects", "count").text == "Rows  Reason\n   2  key_missing\n   1  item_too_large\n"
    assert call("--json", "rejects", "count").document["reasons"] == {"key_missing": 2, "item_too_large": 1}


def test_rejected_rows_are_downloaded_into_a_new_file(rejected: Account, tmp_path: Path) -> None:
    file = tmp_path / "rejects.jsonl"
    called = call("rejects", "download", "run-1", str(file), "--reason", "key_missing")
    assert called.text.startswith(f"✓ 2 rejected rows of load nightly-0f1e2d3c are in {file}\n")
    assert [json.loads(line) for line in file.read_text().splitlines()] == [
        reject(3, review_id=None, stars=5),
        reject(4, review_id=""),
    ]
    called = call("rejects", "download", "run-1", str(file))
    assert (called.code, "is there already" in called.refusal) == (3, True)
    assert len(file.read_text().splitlines()) == 2


def test_what_is_no_load_has_no_rejects_to_show(rejected: Account) -> None:
    called = call("rejects", "count", "run-2")
    assert (called.code, "it is a procedure" in called.refusal) == (3, True)


def test_corrected_rows_are_put_beside_their_load_and_replayed(rejected: Account, tmp_path: Path) -> None:
    file = tmp_path / "to-correct.jsonl"
    called = call("rejects", "download", "run-1", str(file))
    assert (
        f'  Correct what is in "row" of each line, then send them back in:\n    {HERE} rejects send {file}\n'
        in called.text
    )
    file.write_text(file.read_text().replace('"review_id": null', '"review_id": "R1"'))
    rejected.script("load", {})
    called = call(
        "rejects", "send", str(file), "--name", "again", "--write-over", "--rejects-allowed", "1", "--every", "0.1"
    )
    assert called.code == 0, called
    key = "corrected/nightly-0f1e2d3c/corrected.jsonl"
    assert f"{file} is at s3://{BUCKET}/{key}.\nagain is started on pipelines.\n" in called.text
    body = rejected.stack.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()
    assert [json.loads(line)["row"].get("review_id") for line in body.split("\n")[:-1]] == ["R1", "", None]
    (run,) = call("--json", "list", "--most", "1").document
    assert (run["name"], run["input"]) == (
        "again",
        {"replay": "nightly-0f1e2d3c", "write_over": True, "rejects_allowed": 1},
    )


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["no JSON"], "line 1 of "),
        (['{"row": {}}'], "line 1 of "),
        (['{"file": "unload/a/1"}', '{"file": "records/a/1"}'], "line 2 of "),
        (['{"file": "unload/a/1"}', '{"file": "unload/b/1"}'], "has rows of 2 loads"),
        ([], "has rows of 0 loads"),
    ],
    ids=str,
)
def test_a_file_that_is_no_loads_rejects_is_not_sent(
    account: Account, tmp_path: Path, lines: list[str], says: str
) -> None:
    file = tmp_path / "corrected.jsonl"
    file.write_text("\n".join(lines))
    called = call("rejects", "send", str(file))
    assert (called.code, says in called.refusal) == (2, True), called.refusal
    assert "Contents" not in account.stack.client("s3").list_objects_v2(Bucket=BUCKET)


def test_a_file_that_is_not_there_is_not_sent(tmp_path: Path) -> None:
    called = call("rejects", "send", str(tmp_path / "nowhere"))
    assert (called.code, "can't be read" in called.refusal) == (3, True)
