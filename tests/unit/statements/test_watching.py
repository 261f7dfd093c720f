"""What no event has told is found by the watchdog, by the index of what is unfinished alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from errors import AwsUnavailable
from tests.unit.statements.faults import counted, fail_calls, on, retry_of

if TYPE_CHECKING:
    from tests.unit.statements.conftest import Pipeline

PAYLOAD = {"spname": "public.sp_etl_log_etl_event", "event_message": "it's done"}


def _submitted(pipeline: Pipeline, payload: Any = PAYLOAD) -> str:
    """The execution of a statement that was submitted five minutes ago."""
    event = pipeline.start_task(payload)
    pipeline.submit(event)
    pipeline.let_pass(300)
    return str(event["execution"]["Id"])


def _saved_twice(pipeline: Pipeline) -> dict[str, Any]:
    """The event of an invocation that saved its row once more five minutes ago, when its statement had been told."""
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    pipeline.submit(event)
    pipeline.let_pass(300)
    return event


@pytest.mark.parametrize(
    ("status", "outcome", "ended"),
    [
        ("FINISHED", "SUCCEEDED", "StatementsFinished"),
        ("FAILED", "FAILED", "StatementsFailed"),
        ("ABORTED", "FAILED", "StatementsFailed"),
    ],
)
def test_a_task_whose_event_is_lost_is_resumed_and_counted(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], status: str, outcome: str, ended: str
) -> None:
    arn = _submitted(pipeline)
    pipeline.end_statement(status)
    capsys.readouterr()
    pipeline.watch()
    assert pipeline.outcome(arn)[0] == outcome
    assert counted(capsys) == {"StatementsRescued": 1, ended: 1}
    assert pipeline.row()["status"] == status
    # The event comes after all.
    pipeline.call_back()
    assert counted(capsys) == {"DuplicateEvents": 1}
    assert pipeline.watch() == {}


def test_a_statement_that_runs_is_left_alone(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    arn = _submitted(pipeline)
    capsys.readouterr()
    assert pipeline.watch() == {"running": 1}
    assert pipeline.is_waiting(arn)
    assert counted(capsys) == {}
    assert pipeline.cancelled == []


def test_what_was_submitted_a_moment_ago_and_what_has_ended_is_not_asked_about(pipeline: Pipeline) -> None:
    _submitted(pipeline)
    pipeline.end_statement()
    pipeline.call_back()
    pipeline.submit(pipeline.start_task(PAYLOAD, "other"))
    asked: list[Any] = []
    on("before-call.redshift-data.DescribeStatement", lambda **_: asked.append(1))
    scans: list[Any] = []
    on("before-call.dynamodb.Scan", lambda **_: scans.append(1))
    assert pipeline.watch() == {}
    assert (asked, scans) == ([], [])


def test_a_statement_that_redshift_no_longer_knows_fails_its_task_by_name(pipeline: Pipeline) -> None:
    arn = _submitted(pipeline)
    fail_calls("redshift-data.DescribeStatement", 400, "ResourceNotFoundException")
    pipeline.watch()
    assert pipeline.outcome(arn) == ("FAILED", "StatementForgotten")
    assert pipeline.row()["status"] == "FORGOTTEN"
    assert pipeline.watch() == {}


def test_a_statement_whose_id_got_lost_is_found_by_its_name(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    mends = [fail_calls("stepfunctions.SendTaskFailure", 500, "InternalFailure")]
    mends.append(
        on(
            "after-call.redshift-data.ExecuteStatement",
            lambda **_: mends.append(fail_calls("dynamodb.UpdateItem", 400, "ThrottlingException")),
        )
    )
    # As if its function were killed: it notes no id, and nobody fails the task.
    with pytest.raises(AwsUnavailable):
        pipeline.submit(event)
    for mend in mends:
        mend()
    pipeline.let_pass(300)
    pipeline.end_statement()
    pipeline.watch()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"
    assert pipeline.row()["statementId"] == pipeline.statements[0].id


def test_what_was_not_submitted_yet_is_left_to_the_state_machine_until_the_execution_has_ended(
    pipeline: Pipeline,
) -> None:
    event = pipeline.start_task(PAYLOAD)
    fail_calls("redshift-data.ExecuteStatement", 500, "InternalServerException")
    mend = fail_calls("stepfunctions.SendTaskFailure", 500, "InternalFailure")
    with pytest.raises(AwsUnavailable):
        pipeline.submit(event)
    mend()
    pipeline.calls.clear()
    pipeline.let_pass(300)
    assert pipeline.watch() == {"not submitted yet": 1}
    pipeline.abort(event)
    assert pipeline.watch() == {"never submitted": 1}
    assert pipeline.row()["status"] == "UNSUBMITTED"


def test_the_statement_of_an_execution_whose_end_nobody_has_told_is_cancelled(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.let_pass(300)
    pipeline.abort(event)
    assert pipeline.watch() == {"stopped": 1}
    assert pipeline.cancelled == [pipeline.statements[0].id]
    # Its end is not told either.
    assert pipeline.watch() == {"late": 1}
    assert pipeline.watch() == {}


def test_a_statement_that_is_to_be_kept_is_watched_to_its_end(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD | {"keep_statement": True})
    pipeline.submit(event)
    pipeline.let_pass(300)
    pipeline.abort(event)
    assert pipeline.watch() == {"running": 1}
    assert pipeline.cancelled == []
    pipeline.end_statement()
    assert pipeline.watch() == {"late": 1}
    assert pipeline.watch() == {}


def test_one_that_cannot_be_looked_at_keeps_nobody_else_waiting(pipeline: Pipeline) -> None:
    _submitted(pipeline)
    lost = pipeline.start_task(PAYLOAD, "lost")
    pipeline.submit(lost)
    pipeline.let_pass(300)
    pipeline.end_statement()
    # Of the two, the first that is asked about is refused.
    refusals = [fail_calls("redshift-data.DescribeStatement", 400, "AccessDeniedException")]
    on("after-call.redshift-data.DescribeStatement", lambda **_: [refusals.pop()() for _ in refusals[:1]])
    assert pipeline.watch() == {"failed": 1, "succeeded": 1}


def test_it_ends_in_time_and_leaves_the_rest_to_the_next_look(pipeline: Pipeline) -> None:
    arn = _submitted(pipeline)
    pipeline.end_statement()
    assert pipeline.watch(milliseconds_left=60_000) == {}
    assert pipeline.is_waiting(arn)


def test_a_row_that_one_invocation_has_saved_twice_leaves_the_index(pipeline: Pipeline) -> None:
    _saved_twice(pipeline)
    assert pipeline.watch() == {"told": 1}
    assert pipeline.watch() == {}


def test_a_token_that_is_saved_while_a_told_row_leaves_the_index_stays_in_it(pipeline: Pipeline) -> None:
    event = _saved_twice(pipeline)
    retries: list[tuple[dict[str, Any], str]] = []

    def retry(params: dict[str, Any], **_: Any) -> None:
        if params["UpdateExpression"].startswith("REMOVE") and not retries:
            retries.append(retry_of(pipeline, event))
            # It is killed before it has looked how the statement ended.
            mends = [
                fail_calls(f"stepfunctions.SendTask{end}", 500, "InternalFailure") for end in ("Success", "Failure")
            ]
            with pytest.raises(AwsUnavailable):
                pipeline.submit(retries[0][0])
            for mend in mends:
                mend()

    on("provide-client-params.dynamodb.UpdateItem", retry)
    pipeline.watch()
    pipeline.let_pass(300)
    assert pipeline.watch() == {"succeeded": 1}
    assert pipeline.outcome(retries[0][1])[0] == "SUCCEEDED"
