"""`make demo` as its user sees it, and that its proof of equality can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from local.demo import comparison
from local.demo.__main__ import main
from local.stack import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_dynamodb import DynamoDBClient

    from local.data_api import DataApi
    from local.stack import LocalAws

DEMO_SECONDS = 300
# What each statement goes through, whatever is seen of it.
STAGES = ["redshift-storedproc-event-|", "SUBMITTING  the Lambda keeps", "SUBMITTED   Redshift runs the statement"]


def run_demo(temporary: Path, rows: str, directory: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.demo"],
        cwd=directory,
        env=os.environ | {"TMPDIR": str(temporary), "ROWS": rows, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=DEMO_SECONDS,
        check=False,
    )


def test_the_demo_shows_both_pipelines_and_leaves_nothing_but_a_report(
    temporary_directory: Path, tmp_path: Path
) -> None:
    demo = run_demo(temporary_directory, "1,000", tmp_path)
    page = tmp_path / "reports/demo.html"

    assert demo.returncode == 0, demo.stdout + demo.stderr
    in_order = [
        "✓ build and deploy the stack",
        "→ Run Stored Procedure",
        *STAGES,
        "FINISHED    Redshift's event came",
        "✓ the execution has succeeded",
        "✓ public.etl_events holds",
        "→ Run Stored Procedure",
        *STAGES,
        "FAILED      Redshift's event came",
        "→ Raised By A Function?",
        "→ Notify Support",
        "→ Stored Procedure Failed",
        "✓ the execution has failed, as it should: StatementFailed",
        "procedure public.sp_missing",
        "Mail to support: StatementFailed in local-RedshiftDataApiSPProces",
        "✓ copy 1,000 reviews into Redshift",
        "→ Load Pieces",
        "1,000 of 1,000 rows",
        "✓ the execution has succeeded",
        "✓ all 1,000 items have the keys and values of the 1,000 rows",
        "row in Redshift",
        f"✓ the report of this load, for a browser: {page}",
        "✓ the execution has failed, as it should: TooManyRejects",
        "key_missing",
        "Mail to support: TooManyRejects in local-RedshiftToDynamoProces",
        "All as it should be",
    ]
    shown = iter(demo.stdout.splitlines())
    missing = [expected for expected in in_order if not any(expected in line for line in shown)]
    assert missing == [], demo.stdout
    assert demo.stderr == ""
    assert list(temporary_directory.iterdir()) == []
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")] == [page.relative_to(tmp_path)]
    assert "rows that had not changed" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("rows", ["many", "0", "-5", "20,00"])
def test_a_number_of_rows_that_is_none_ends_the_demo_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, rows: str
) -> None:
    monkeypatch.setenv("ROWS", rows)
    monkeypatch.chdir(tmp_path)  # where it would leave its report, if it went on

    assert main() == 1
    assert f"\n  ✗ ROWS is '{rows}', not a number of rows" in f"\n{capsys.readouterr().out}"


def test_a_demo_that_fails_tells_its_shell(temporary_directory: Path) -> None:
    assert run_demo(temporary_directory, "many").returncode == 1


def test_the_comparison_finds_what_is_missing_and_what_differs(aws: LocalAws, redshift: DataApi) -> None:
    redshift.query("CREATE TABLE public.compared (name VARCHAR(10), score INTEGER, note VARCHAR(10))")
    redshift.query("INSERT INTO public.compared VALUES ('a', 1, NULL), ('b', 2, ''), ('c', 3, 'x'), ('d', 4, 'y')")
    dynamodb: DynamoDBClient = aws.client("dynamodb")
    dynamodb.create_table(
        TableName="compared",
        AttributeDefinitions=[{"AttributeName": "name", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "name", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    for name, score, note in [("a", "1", None), ("b", "2", ""), ("d", "5", "y")]:
        item = {"name": {"S": name}, "score": {"N": score}}
        dynamodb.put_item(TableName="compared", Item=item if note is None else {**item, "note": {"S": note}})

    compared = comparison.compare(redshift.rows("SELECT * FROM public.compared"), dynamodb, "compared", "name")

    assert compared.rows == 4
    assert compared.difference == "1 missing from the target: c; 1 with other values: d"
    assert comparison.item_count(dynamodb, "compared") == 3
