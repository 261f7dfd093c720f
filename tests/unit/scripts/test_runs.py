"""What the command line reads of runs: their states, statements, pieces and rejects."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.redshiftdata.models import redshiftdata_backends

from dynamo_load.accounting.ledger import Tally
from dynamo_load.errors import WritesStalled
from scripts.pipelines.failures import NoSuchRun, NoSuchStack
from scripts.pipelines.runs.history import stages
from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.runs.reading import RunReader
from scripts.pipelines.runs.rejects import rejected_rows
from scripts.pipelines.stack import Stack, configured
from statements.names import StatementKind
from tests.unit.scripts.conftest import BUCKET, REGION, listed, passes, plan, reject

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.scripts.conftest import Account

BEGIN = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)


def event(second: int, kind: str, **details: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": BEGIN + timedelta(seconds=second), **details}


def entered(second: int, name: str) -> dict[str, Any]:
    return event(second, "TaskStateEntered", stateEnteredEventDetails={"name": name})


def test_a_state_has_its_times_its_output_and_the_failures_of_its_attempts() -> None:
    raised = json.dumps({"errorMessage": "wait", "errorType": "RedshiftBusy", "stackTrace": []})
    history = [
        event(0, "ExecutionStarted"),
        entered(0, "Run Stored Procedure"),
        event(1, "TaskFailed", taskFailedEventDetails={"error": "RedshiftBusy", "cause": raised}),
        event(5, "TaskTimedOut", taskTimedOutEventDetails={}),
        event(9, "TaskStateExited", stateExitedEventDetails={"name": "Run Stored Procedure", "output": '{"rows": 1}'}),
        entered(9, "Notify Support"),
        event(10, "ExecutionFailed", executionFailedEventDetails={"error": "States.Timeout"}),
    ]
    first, last = stages(history, BEGIN + timedelta(seconds=10))
    assert (first.name, first.kind, first.seconds()) == ("Run Stored Procedure", "Task", 9)
    assert first.output == {"rows": 1}
    assert [(failure.error, failure.cause) for failure in first.failures] == [
        ("RedshiftBusy", "wait"),
        ("States.Timeout", ""),
    ]
    assert (last.name, last.seconds(), last.failures) == ("Notify Support", 1, ())


def test_a_state_that_lasts_has_no_end_and_one_left_without_a_word_ends_with_the_next() -> None:
    first, last = stages([entered(0, "Load Pieces"), entered(7, "Verify Load")], None)
    assert (first.seconds(), last.left_at) == (7, None)
    assert last.seconds(BEGIN + timedelta(seconds=9)) == 2


def test_the_time_between_an_end_and_a_redrive_is_no_states() -> None:
    history = [
        entered(0, "Run Stored Procedure"),
        event(8, "TaskFailed", taskFailedEventDetails={"error": "RedshiftBusy", "cause": "wait"}),
        event(9, "ExecutionAborted", executionAbortedEventDetails={}),
        event(70, "ExecutionRedriven", executionRedrivenEventDetails={"redriveCount": 1}),
        event(70, "TaskScheduled", taskScheduledEventDetails={}),
        event(72, "TaskStateExited", stateExitedEventDetails={"name": "Run Stored Procedure", "output": '{"rows": 1}'}),
        entered(72, "End"),
        event(73, "ExecutionFailed", executionFailedEventDetails={}),
        event(99, "ExecutionRedriven", executionRedrivenEventDetails={"redriveCount": 2}),
        entered(99, "End"),
    ]
    visited = stages(history, BEGIN + timedelta(seconds=100))
    assert [(stage.name, stage.seconds(), len(stage.failures)) for stage in visited] == [
        ("Run Stored Procedure", 9, 1),
        ("Run Stored Procedure", 2, 0),
        ("End", 1, 0),
        ("End", 1, 0),
    ]
    assert [stage.output for stage in visited[:2]] == [None, {"rows": 1}]


def test_a_load_has_its_plan_and_its_pieces(account: Account) -> None:
    account.script("load", listed())
    arn = account.run("load", {"dry_run": False})
    account.load_piece("00000", 600, Tally(600, 590, 5, 3, 2, 1, 100, 12.5, seconds=3.5, finished=True))
    account.load_piece("00001", 400, Tally(100, 100, seconds=1.5, rows_throttled=7), WritesStalled("no room"))
    reader = RunReader(account.stack)
    run = reader.read(reader.find(arn.rpartition(":")[2]))
    assert (run.arn, run.pipeline, run.status, run.succeeded) == (arn, Pipeline.LOAD, "SUCCEEDED", True)
    assert [stage.name for stage in run.stages] == [
        "Prepare Load",
        "Unload Redshift Table",
        "List Unloaded Files",
        "End",
    ]
    assert run.load is not None
    assert (run.load.load_id, run.load.table, run.load.plan) == ("nightly-0f1e2d3c", "reviews", plan())
    total = run.load.total
    assert (total.written, total.unchanged, total.rejected, total.superseded, total.deleted) == (690, 5, 3, 2, 1)
    assert (total.rows, total.rows_throttled, total.seconds) == (700, 7, 5.0)
    assert [piece.failure for piece in run.load.pieces] == [None, "WritesStalled: no room"]
    assert run.load.rejects == f"s3://{BUCKET}/rejects/nightly-0f1e2d3c/"
    begun, updated = run.load.begun_at, run.load.updated_at
    assert begun is not None
    assert updated is not None
    assert run.started_at - timedelta(seconds=1) < begun < updated


def test_a_run_under_way_has_no_end_and_no_load_until_it_is_planned(account: Account) -> None:
    waits = {"Unload Redshift Table": {"Type": "Wait", "Seconds": 3600, "Next": "End"}}
    account.script("load", waits)
    arn = account.run("load", until="Unload Redshift Table")
    reader = RunReader(account.stack)
    run = reader.read(reader.find(arn))
    assert (run.is_running, run.ended_at, run.load) == (True, None, None)
    assert run.stage is not None
    assert (run.stage.name, run.stage.left_at) == ("Unload Redshift Table", None)
    account.stop(arn)
    assert not reader.find(arn).is_running


def test_a_failure_is_read_out_of_what_lambda_makes_of_it(account: Account) -> None:
    cause = json.dumps({"errorMessage": "spname: missing", "errorType": "InvalidInput", "stackTrace": ["…"]})
    account.script("procedure", passes(Run_Stored_Procedure=1), {"Type": "Fail", "Error": "Wrapped", "Cause": cause})
    reader = RunReader(account.stack)
    run = reader.find(account.run("procedure", {"spname": "p"}))
    assert (run.status, run.error, run.cause) == ("FAILED", "InvalidInput", "spname: missing")
    assert (run.input, run.output) == ({"spname": "p"}, None)


def test_redshift_is_asked_for_the_statements_until_they_have_ended(account: Account) -> None:
    arn = account.run("procedure")
    account.submit(arn, StatementKind.STORED_PROCEDURE)
    reader, redshift = RunReader(account.stack), redshiftdata_backends["123456789012"][REGION].statements
    (statement,) = reader.read(reader.find(arn)).statements
    assert (statement.kind, statement.status, statement.is_told) == (StatementKind.STORED_PROCEDURE, "STARTED", True)
    next(iter(redshift.values())).status = "FINISHED"
    (statement,) = reader.read(reader.find(arn)).statements
    assert statement.status == "FINISHED"
    redshift.clear()
    assert reader.read(reader.find(arn)).statements == (statement,)


def test_what_redshift_does_not_tell_the_token_table_does(account: Account) -> None:
    arn = account.run("procedure")
    account.submit(arn, StatementKind.STORED_PROCEDURE)
    redshiftdata_backends["123456789012"][REGION].statements.clear()
    reader = RunReader(account.stack)
    (statement,) = reader.read(reader.find(arn)).statements
    assert (statement.status, statement.is_told, statement.rows) == ("SUBMITTED", False, None)
    assert "secret-token" not in repr(statement)


def test_runs_of_both_pipelines_are_listed_the_latest_first(account: Account) -> None:
    arns = [account.run(pipeline) for pipeline in ("procedure", "load", "procedure")]
    reader = RunReader(account.stack)
    assert [run.arn for run in reader.recent(10)] == arns[::-1]
    assert [run.arn for run in reader.recent(2)] == arns[:0:-1]
    assert [run.arn for run in reader.recent(9, [Pipeline.LOAD])] == [arns[1]]
    assert reader.recent(9, status="FAILED") == []


def test_a_run_that_is_not_there_is_refused_with_what_to_do(account: Account) -> None:
    reader = RunReader(account.stack)
    with pytest.raises(NoSuchRun, match="has no run nightly"):
        reader.find("nightly")
    with pytest.raises(NoSuchRun, match="other"):
        reader.find(account.machine("load").replace(":stateMachine:", ":execution:") + "-other:nightly")


def test_a_stack_that_is_not_there_or_another_application_is_refused(account: Account) -> None:
    with pytest.raises(NoSuchStack, match=rf"no stack nowhere in {REGION}"):
        _ = Stack(boto3.Session(region_name=REGION), "nowhere").outputs
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    account.stack.client("cloudformation").create_stack(StackName="other", TemplateBody=template)
    with pytest.raises(NoSuchStack, match="lacks the outputs"):
        _ = Stack(boto3.Session(region_name=REGION), "other").outputs


def test_rejected_rows_are_read_with_their_pieces_each_once(account: Account) -> None:
    account.reject("00000-000000000.jsonl", reject(3, review_id=None), reject(5, reason="item_too_large"))
    account.reject("00001-000004096-000004120-refused.jsonl", reject(7, reason="refused_by_dynamodb"), reject(3))
    rows = list(rejected_rows(account.stack.client("s3"), BUCKET, "nightly-0f1e2d3c"))
    assert [(row.piece, row.file_row, row.reason, row.is_refused) for row in rows] == [
        ("00000", 3, "key_missing", False),
        ("00000", 5, "item_too_large", False),
        ("00001", 7, "refused_by_dynamodb", True),
    ]
    assert rows[0].row == {"review_id": None}
    assert list(rejected_rows(account.stack.client("s3"), BUCKET, "nightly-0")) == []


def test_the_stack_is_the_one_that_is_deployed_from_here(tmp_path: Path) -> None:
    samconfig = tmp_path / "samconfig.toml"
    assert configured("stack_name", samconfig) is None
    samconfig.write_text('[default.global.parameters]\nstack_name = "all"\nregion = "eu-west-1"\n')
    assert configured("stack_name", samconfig) == "all"
    samconfig.write_text(f'{samconfig.read_text()}[default.deploy.parameters]\nstack_name = "mine"\n')
    assert (configured("stack_name", samconfig), configured("region", samconfig)) == ("mine", "eu-west-1")


def test_a_piece_that_is_done_in_the_ledger_is_counted(account: Account) -> None:
    account.script("load", listed())
    arn = account.run("load")
    account.load_piece("00000", 600, replace(Tally(), next_row=600, written=600, finished=True))
    reader = RunReader(account.stack)
    load = reader.read(reader.find(arn)).load
    assert load is not None
    assert (load.finished_pieces, load.plan.pieces, load.rejects) == (1, 2, None)


def test_the_ledger_of_a_load_of_many_pieces_is_not_read_at_each_look(account: Account) -> None:
    states = listed()
    states["List Unloaded Files"]["Next"] = "Load Pieces"
    account.script("load", states | {"Load Pieces": {"Type": "Wait", "Seconds": 3600, "Next": "End"}})
    arn = account.run("load", until="Load Pieces")
    account.load_piece("00000", 600, Tally(100, 100))
    reader = RunReader(account.stack, pieces_per_second=1 / 3600)
    found = reader.find(arn)
    load = reader.read(found).load
    assert load is not None
    account.load_piece("00000", 600, Tally(600, 600, finished=True))
    again = reader.read(found).load
    assert again is not None
    assert again.pieces is load.pieces
    account.stop(arn)
    ended = reader.read(found).load
    assert ended is not None
    assert ended.total.rows == 600
