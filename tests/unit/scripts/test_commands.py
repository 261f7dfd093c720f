"""Starting, watching, listing and stopping runs, as a person calls the commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.redshiftdata.models import redshiftdata_backends

from dynamo_load.accounting.ledger import Tally
from scripts.pipelines.command_line import commands
from scripts.pipelines.context import PROGRAM
from statements.names import StatementKind
from tests.unit.scripts.conftest import REGION, call, listed, passes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.scripts.conftest import Account

    AtLook = Callable[[int, Callable[[], None]], None]

WAITS: dict[str, Any] = {"Type": "Wait", "Seconds": 3600, "Next": "End"}
FIGURES = {
    "load_id": "nightly-0f1e2d3c",
    "table": "reviews",
    "mode": "changes",
    "rows_unloaded": 1000,
    "rows_written": 990,
    "rows_unchanged": 5,
    "rows_rejected": 3,
    "rows_superseded": 2,
    "rows_deleted": 4,
    "bytes_unloaded": 5,
    "write_units": 1200.5,
    "write_units_saved": 7,
    "seconds": 2.0,
    "rows_per_second": 495.0,
    "rows_throttled": 9,
    "throttled_seconds": 1.5,
    "rejects": "s3://data/rejects/nightly-0f1e2d3c/",
    "full_load_because": "there was no record",
}


def all_commands(command: Any = commands, words: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context: Any = None
    names: list[str] = command.list_commands(context) if hasattr(command, "list_commands") else []
    return [
        words,
        *(found for name in names for found in all_commands(command.get_command(context, name), (*words, name))),
    ]


@pytest.mark.parametrize("words", all_commands(), ids=" ".join)
def test_every_command_teaches_by_examples_that_it_understands(words: tuple[str, ...]) -> None:
    called = call(*words, "--help", region=None)
    assert called.code == 0
    assert max(map(len, called.text.splitlines())) <= 80
    lines = re.sub(r" \\\n +", " ", called.text.partition("Examples:")[2]).splitlines()
    examples = [line.strip() for line in lines if PROGRAM in line]
    assert examples
    assert all(" ".join(words) in example for example in examples)
    for example in examples:
        command: Any = commands
        given = shlex.split(example.removeprefix(PROGRAM))
        while hasattr(command, "resolve_command") and "COMMAND" not in given:
            context = command.make_context(PROGRAM, given)
            _, command, given = command.resolve_command(context, context.protected_args + context.args)
        if "COMMAND" not in given:
            command.make_context(PROGRAM, given)


def test_a_load_is_started_with_its_input_watched_and_summed_up(account: Account) -> None:
    account.script("load", listed(), {"Type": "Succeed"})
    account.script("load", passes(Prepare_Load=1, Verify_Load=FIGURES))
    called = call(
        *("run", "load", "--table", "public.orders", "--columns", "id,total", "--mode", "changes", "--name", "nightly"),
        *("--rejects-allowed", "5", "--set", "headroom=0.25", "--every", "0.1"),
    )
    assert called.code == 0, called
    assert "nightly is started on pipelines.\n" in called.text
    assert "✓ nightly succeeded in " in called.text
    assert (
        "  1,000 rows unloaded for reviews = 990 written + 5 unchanged + 3 rejected + 2 superseded; 4 items deleted\n"
        in (called.text)
    )
    assert "  495 rows/s, 1,200 write units, 7 saved, throttled for 1.5 s\n" in called.text
    assert "Every row was written: there was no record" in called.text
    assert called.text.endswith("rejects show nightly\n")
    arn = account.machine("load").replace(":stateMachine:", ":execution:") + ":nightly"
    assert json.loads(account.states.describe_execution(executionArn=arn)["input"]) == {
        "table": "public.orders",
        "columns": ["id", "total"],
        "mode": "changes",
        "rejects_allowed": 5,
        "headroom": 0.25,
    }


def test_of_a_load_that_had_nothing_to_write_no_rate_is_told(account: Account) -> None:
    nothing = {"rows_written": 0, "rows_per_second": 0.0, "write_units": 0.0}
    account.script("load", passes(Verify_Load=FIGURES | nothing))
    called = call("run", "load", "--every", "0.1")
    assert "  0 write units, 7 saved, throttled for 1.5 s\n" in called.text
    assert "rows/s" not in called.text


def test_a_dry_run_tells_what_is_little_and_not_nothing(account: Account) -> None:
    small = {"write_units": 3, "dollars": 0.0, "minutes": 0.0, "full_load_write_units": 0, "full_load_dollars": 0.0}
    account.script("load", passes(List_Unloaded_Files=small))
    called = call("run", "load", "--dry-run", "--every", "0.1")
    assert re.findall(r"^  (dollars|minutes|full_load_dollars) +(.+)$", called.text, re.MULTILINE) == [
        ("dollars", "< 0.01"),
        ("minutes", "< 0.1"),
        ("full_load_dollars", "0.0"),
    ]


def test_a_procedure_is_started_with_arguments_of_all_kinds(account: Account) -> None:
    account.script(
        "procedure", passes(Run_Stored_Procedure={"statement_id": "abc", "rows": None, "duration_seconds": 0.4})
    )
    arguments = ("--argument", "5:integer", "--argument", '"a:b"', "--argument", "null")
    called = call("run", "procedure", "etl.sp", *arguments, "--every", "0.1")
    assert called.code == 0, called
    assert "  statement_id      abc\n  duration_seconds  0.4\n" in called.text
    (run,) = call("--json", "list").document
    assert run["input"] == {"spname": "etl.sp", "arguments": [{"value": 5, "type": "integer"}, "a:b", None]}


def test_a_payload_comes_from_a_file_or_a_pipe_and_options_add_to_it(account: Account) -> None:
    called = call(
        "run", "procedure", "--input", "-", "--no-watch", "--name", "one", stdin='{"spname": "a.b", "wait": true}'
    )
    assert called.code == 2
    assert "The input is not as it should be: the input: wait belongs to singleton" in called.refusal
    called = call(
        "--json",
        "run",
        "procedure",
        "--singleton",
        "s",
        "--input",
        "-",
        "--no-watch",
        stdin='{"spname": "a.b", "wait": true}',
    )
    assert (called.code, called.document["input"]) == (0, {"spname": "a.b", "wait": True, "singleton": "s"})


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("load", "--columns", "a"), "columns and where belong to table"),
        (("load", "--set", "colour=1"), "colour: "),
        (("load", "--set", "wait=yes"), "--set wait is no JSON"),
        (("load", "--input", "-"), "The input file is no JSON"),
        (("procedure",), "spname: "),
        (("procedure", "p", "--argument", "text"), "give JSON, a text in double quotes: '\"text\"'"),
    ],
    ids=lambda words: str(words)[:40],
)
def test_a_wrong_input_starts_nothing(account: Account, words: tuple[str, ...], says: str) -> None:
    called = call("run", *words)
    assert (called.code, called.text) == (2, "")
    assert says in called.refusal
    assert call("--json", "list").document == []


def test_a_name_that_was_used_with_another_input_is_refused(account: Account) -> None:
    assert call("run", "load", "--name", "nightly", "--no-watch").code == 0
    called = call("run", "load", "--name", "nightly", "--dry-run")
    assert called.code == 3
    assert "There is a run nightly already" in called.refusal


def test_a_run_that_fails_is_told_with_its_error_and_where_to_read_on(account: Account) -> None:
    account.script("procedure", {}, {"Type": "Fail", "Error": "StatementFailed", "Cause": 'relation "x" is not'})
    called = call("run", "procedure", "p", "--name", "nightly", "--every", "0.1")
    assert called.code == 1
    assert "✗ nightly failed after " in called.text
    assert '\n  StatementFailed\n  relation "x" is not\n' in called.text
    assert f"{PROGRAM} --stack pipelines --region {REGION} why nightly\n" in called.text


def test_watching_tells_the_states_the_statement_and_the_rows(account: Account, at_look: AtLook) -> None:
    states = listed()
    states["List Unloaded Files"]["Next"] = "Load Pieces"
    account.script("load", states | {"Load Pieces": WAITS})
    arn = account.run("load", until="Load Pieces")
    account.submit(arn, StatementKind.UNLOAD)
    account.load_piece("00000", 600, Tally(600, 590, 5, 3, 2, rows_throttled=7, throttled_seconds=2.5, finished=True))
    at_look(2, lambda: account.stop(arn))
    called = call("watch", "run-1", "--every", "0.1")
    assert called.code == 1
    lines = called.text.splitlines()
    assert lines[0].startswith("run-1 (load), started at ")
    assert lines[1] == "  … 600 of 1,000 rows, starting, throttled 2.5 s (7 rows sent again), 3 rejected"
    assert lines[2].startswith("  Load Pieces (")
    assert lines[3].startswith("✗ run-1 was stopped after ")


def test_the_statement_is_told_while_redshift_works(account: Account, at_look: AtLook) -> None:
    account.script("procedure", {"Run Stored Procedure": WAITS})
    arn = account.run("procedure", {"spname": "p"}, until="Run Stored Procedure")
    account.submit(arn, StatementKind.STORED_PROCEDURE)
    at_look(2, lambda: account.stop(arn))
    assert "  … Run Stored Procedure, statement STARTED\n" in call("watch", "--every", "0.1").text


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard, even if the tests run in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_watching_and_not_the_run(account: Account, at_look: AtLook) -> None:
    account.script("load", {"Unload Redshift Table": WAITS})
    arn = account.run("load", until="Unload Redshift Table")
    at_look(1, lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    called = call("watch", "--every", "1")
    assert called.code == 130
    assert "Stopped watching; run-1 goes on.\n" in called.text
    for command in ("watch", "stop"):
        assert f"{PROGRAM} --stack pipelines --region {REGION} {command} run-1\n" in called.text
    assert account.states.describe_execution(executionArn=arn)["status"] == "RUNNING"
    account.stop(arn)


def test_runs_are_listed_with_what_came_of_them(account: Account) -> None:
    account.script("load", passes(Verify_Load=FIGURES))
    account.run("load")
    account.script("load", passes(List_Unloaded_Files={"rows": 12, "dollars": 0.01}))
    account.run("load", {"dry_run": True})
    account.script("procedure", {}, {"Type": "Fail", "Error": "StatementFailed", "Cause": "…"})
    account.run("procedure", {"spname": "etl.sp"})
    account.script("procedure", {})
    account.run("procedure", {"spname": "etl.sp"})
    called = call("list")
    header, *rows = called.text.splitlines()
    assert header.split() == ["Started", "Run", "Took", "Outcome", "What", "came", "of", "it"]
    assert [row[header.index("Run") :].split()[0] for row in rows] == ["run-4", "run-3", "run-2", "run-1"]
    assert [row[header.index("Outcome") :] for row in rows] == [
        "SUCCEEDED  etl.sp",
        "FAILED     StatementFailed",
        "SUCCEEDED  dry run, 12 rows",
        "SUCCEEDED  1,000 rows to reviews, 3 rejected",
    ]
    assert [run["name"] for run in call("list", "--outcome", "failed", "--json").document] == ["run-3"]
    assert [run["name"] for run in call("--json", "list", "--pipeline", "load", "--most", "1").document] == ["run-2"]


def test_where_nothing_has_run_no_empty_table_is_shown(account: Account) -> None:
    called = call("list")
    assert (called.code, called.text.splitlines()[1:]) == (0, [])
    assert called.text.startswith("No such runs yet.")


def test_a_load_that_is_running_is_listed_with_its_rows_so_far(account: Account) -> None:
    states = listed()
    states["List Unloaded Files"]["Next"] = "Load Pieces"
    account.script("load", states | {"Load Pieces": WAITS})
    account.run("load", until="Load Pieces")
    account.load_piece("00000", 600, Tally(100, 100))
    account.script("load", {"Prepare Load": WAITS})
    account.run("load", until="Prepare Load")
    assert [line.split("RUNNING")[1].strip() for line in call("list").text.splitlines()[1:]] == [
        "not loading yet",
        "100 of 1,000 rows so far",
    ]


def test_a_run_as_json_has_what_the_manual_says(account: Account) -> None:
    account.script("load", listed())
    arn = account.run("load", {"wait": True})
    account.submit(arn, StatementKind.UNLOAD)
    account.load_piece("00001", 400, Tally(100, 100))
    run = call("--json", "watch").document
    assert (run["name"], run["arn"], run["pipeline"], run["status"]) == ("run-1", arn, "load", "SUCCEEDED")
    assert run["started_at"].endswith("Z")
    assert run["input"] == {"wait": True}
    assert run["stages"][0]["name"] == "Prepare Load"
    (statement,) = run["statements"]
    assert (statement["kind"], statement["told_by_redshift"]) == ("UNLOAD", True)
    assert (run["load"]["load_id"], run["load"]["rows_written"], run["load"]["pieces"]) == ("nightly-0f1e2d3c", 100, 2)
    assert run["load"]["unfinished"] == [{"piece": "00001", "rows": 400, "next_row": 100, "failure": None}]
    assert "secret-token" not in json.dumps(run)


def test_stopping_waits_for_the_statement(account: Account) -> None:
    account.script("procedure", {"Run Stored Procedure": WAITS})
    arn = account.run("procedure", until="Run Stored Procedure")
    account.submit(arn, StatementKind.STORED_PROCEDURE)

    def cancel() -> None:
        while account.states.describe_execution(executionArn=arn)["status"] == "RUNNING":
            time.sleep(0.01)
        next(iter(redshiftdata_backends["123456789012"][REGION].statements.values())).status = "ABORTED"

    threading.Thread(target=cancel).start()
    called = call("stop", "run-1")
    assert called.code == 0, called
    assert called.text.startswith("✓ run-1 is stopped\n  Statement ")
    assert called.text.endswith(": ABORTED\n")
    called = call("stop", "run-1")
    assert (called.code, "run-1 has ended already: ABORTED." in called.refusal) == (3, True)


def test_what_does_not_stop_in_time_is_named(account: Account) -> None:
    account.script("load", listed() | {"End": WAITS | {"Next": "Done"}, "Done": {"Type": "Succeed"}})
    states = listed()
    states["List Unloaded Files"]["Next"] = "Load Pieces"
    account.script("load", states | {"Load Pieces": WAITS})
    account.run("load", until="Load Pieces")
    account.load_piece("00000", 600, Tally(100, 100))
    called = call("stop", "run-1", "--wait", "0")
    assert called.code == 3
    assert "After 0 s there is still at work: 1 loader." in called.refusal


def test_a_statement_that_is_to_be_kept_is_not_waited_for(account: Account) -> None:
    account.script("procedure", {"Run Stored Procedure": WAITS})
    arn = account.run("procedure", {"spname": "p", "keep_statement": True}, until="Run Stored Procedure")
    account.submit(arn, StatementKind.STORED_PROCEDURE)
    called = call("stop", "run-1", "--wait", "0")
    assert (called.code, called.text.endswith(": STARTED\n")) == (0, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--stack", "nowhere", "list"), "There is no stack nowhere in us-east-1."),
        (("watch", "nightly"), "The stack pipelines has no run nightly."),
        (("watch",), "The stack pipelines has no procedure or load yet. Start one: "),
    ],
    ids=lambda words: str(words)[:40],
)
def test_what_is_not_there_is_refused_in_words(account: Account, words: tuple[str, ...], says: str) -> None:
    called = call(*words)
    assert (called.code, called.text) == (3, "")
    assert says in called.refusal


def test_without_credentials_the_refusal_says_what_to_set(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    called = call("list")
    assert called.code == 3
    assert called.refusal.startswith("Unable to locate credentials\nSee that credentials (AWS_PROFILE")


def test_no_more_has_to_be_installed_than_the_requirements_say() -> None:
    blocked = ["numpy", "pyarrow", "aws_lambda_powertools", "awswrangler", "pandas", "pycurl", "ministack"]
    program = (
        f"import sys; sys.path[:0] = ['functions', '.']; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import importlib, pkgutil, scripts.pipelines.commands as commands\n"
        "for module in pkgutil.iter_modules(commands.__path__):\n"
        "    importlib.import_module(f'{commands.__name__}.{module.name}')\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[3], check=True, timeout=60)
