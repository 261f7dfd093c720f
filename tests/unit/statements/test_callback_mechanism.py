"""A task's statement runs once and its task is resumed once, whatever happens twice, late or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.redshiftdata.models import redshiftdata_backends

import aws_clients
import redshift_run_sps.app
import step_function_callback.app
from errors import AwsRefused, AwsUnavailable, MissingConfiguration, PipelineError
from statements.errors import OutcomeNotVisible, ProcedureNotAllowed, RedshiftBusy
from tests.unit.statements.faults import break_off, counted, fail_calls, on, redrive_of, retry_of
from tests.unit.waiting_task import ACCOUNT, REGION, TOKEN_TABLE, FunctionContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.statements.conftest import Pipeline

PAYLOAD = {"spname": "public.sp_etl_log_etl_event", "event_message": "it's done"}
PASSED_ON = "Service returned error code ThrottlingException (Service: RedshiftServerless, Status Code: 400, x)"
ERROR = 'ERROR: relation "nowhere" does not exist'


def test_a_finished_statement_resumes_its_task_with_its_figures(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    (call,) = pipeline.calls
    assert call["Sql"] == 'CALL "public"."sp_etl_log_etl_event"(:a1)'
    assert call["Parameters"] == [{"name": "a1", "value": "it's done"}]
    assert (call["ClusterIdentifier"], call["Database"], call["DbUser"]) == ("analytics", "dev", "etl")
    assert not {"WorkgroupName", "SecretArn"} & call.keys()
    assert call["WithEvent"] is True
    pipeline.call_back()
    status, output = pipeline.outcome(event["execution"]["Id"])
    assert status == "SUCCEEDED"
    assert output["statement_id"] == pipeline.statements[0].id
    assert output["statement_name"] == call["StatementName"]
    assert pipeline.row()["status"] == "FINISHED"


@pytest.mark.parametrize(("status", "error"), [("FAILED", "StatementFailed"), ("ABORTED", "StatementAborted")])
def test_a_statement_that_did_not_finish_fails_its_task_with_redshifts_message(
    pipeline: Pipeline, status: str, error: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status, ERROR)
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", error)
    assert pipeline.causes[0].startswith(ERROR)


def test_redshifts_message_forges_no_line_of_a_mail(pipeline: Pipeline) -> None:
    pipeline.submit(pipeline.start_task(PAYLOAD))
    pipeline.end_statement("FAILED", "ERROR: no\nDetail: none\r\n\r\nConsole: https://example.org/" + "\nx" * 20_000)
    pipeline.call_back()
    lines = pipeline.causes[0].splitlines()
    assert lines[:4] == ["ERROR: no", "    Detail: none", "    ", "    Console: https://example.org/"]
    assert lines[-1].endswith(f" (statement {pipeline.statements[-1].id})")


@pytest.mark.parametrize("status", ["FAILED", "ABORTED"])
@pytest.mark.parametrize("letter", ["x", "é", "😀"])
def test_a_message_longer_than_a_cause_may_be_is_cut_and_the_statements_id_is_not(
    pipeline: Pipeline, status: str, letter: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status, letter * 100_000)
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "FAILED"
    (cause,) = pipeline.causes
    assert 32_768 - 4 <= len(cause.encode()) <= 32_768
    assert cause.startswith(letter * 1_000)
    assert cause.endswith(f"… (statement {pipeline.statements[0].id})")


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        ({"spname": "p(); drop table x"}, "InvalidIdentifier"),
        ({"spname": "secret.sp_x"}, "ProcedureNotAllowed"),
        ({"event_message": "x"}, "InvalidInput"),
        ("text", "InvalidInput"),
    ],
)
def test_bad_input_fails_the_task_at_once_and_reaches_neither_redshift_nor_the_table(
    pipeline: Pipeline, payload: Any, error: str
) -> None:
    event = pipeline.start_task(payload)
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", error)
    assert pipeline.calls == []
    assert boto3.resource("dynamodb", REGION).Table(TOKEN_TABLE).scan()["Items"] == []


def test_a_second_event_changes_nothing_and_is_counted(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    before = pipeline.row()
    capsys.readouterr()
    pipeline.call_back()
    assert pipeline.row() == before
    assert '"DuplicateEvents":[1.0]' in capsys.readouterr().out


def test_two_events_at_the_same_moment_tell_the_task_once(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    capsys.readouterr()
    overtaking: list[bool] = []

    def overtake(**_: Any) -> None:
        if not overtaking:
            overtaking.append(True)
            pipeline.call_back()
            assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"

    on("before-call.stepfunctions.SendTaskSuccess", overtake)
    pipeline.call_back()
    ends = counted(capsys)
    assert (ends["StatementsFinished"], ends["LateEvents"]) == (1, 1)
    assert "unfinished" not in pipeline.row()


@pytest.mark.parametrize("field", ["statementName", "statementId"])
def test_an_event_without_what_it_is_about_is_kept_as_unhandled_and_the_watchdog_tells_the_task(
    pipeline: Pipeline, field: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    detail = {name: text for name, text in _detail(pipeline).items() if name != field}
    # Lambda tries it twice more, and then puts it into the queue of unhandled events.
    with pytest.raises(KeyError, match=field):
        step_function_callback.app.handler({"detail": detail, "time": "2026-11-26T03:00:00Z"}, FunctionContext())
    assert pipeline.is_waiting(event["execution"]["Id"])
    pipeline.let_pass(300)
    assert pipeline.watch() == {"succeeded": 1}


def test_an_event_of_a_workgroup_tells_no_more_than_a_clusters(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    arn = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/0f1e2d3c"
    detail = _detail(pipeline) | {"workgroupName": "analytics", "expireAt": 1795725200, "queryIds": [1, 2]}
    serverless = {"detail": detail, "resources": [arn], "time": "2026-11-26T03:00:00Z"}
    step_function_callback.app.handler(serverless, FunctionContext())
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def _detail(pipeline: Pipeline) -> dict[str, Any]:
    return {"statementName": pipeline.calls[-1]["StatementName"], "statementId": pipeline.statements[-1].id}


@pytest.mark.parametrize(
    "words",
    [
        'FATAL: password authentication failed for user "etl"',
        'FATAL: database "dev" does not exist',
        "Connection to the cluster was lost",
        "The cluster is being resized",
        "Redshift cluster analytics is paused",
        "Secrets Manager can't find the specified secret.",
    ],
)
def test_what_is_wrong_with_the_cluster_fails_the_task_with_redshifts_words(pipeline: Pipeline, words: str) -> None:
    """Whether Redshift says so at once, or once it has tried to connect, is not documented for each."""
    event = pipeline.start_task(PAYLOAD)
    mend = fail_calls("redshift-data.ExecuteStatement", 400, "ValidationException", words)
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "StatementRefused")
    mend()
    event = pipeline.start_task(PAYLOAD, "later")
    pipeline.submit(event)
    pipeline.end_statement("FAILED", words)
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "StatementFailed")
    assert all(words in cause for cause in pipeline.causes)


def test_an_event_whose_task_is_gone_changes_nothing_and_is_counted(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    aws_clients.client("stepfunctions").send_task_failure(taskToken=event["task_token"], error="States.Timeout")
    pipeline.outcome(event["execution"]["Id"])
    pipeline.call_back()
    assert '"LateEvents":[1.0]' in capsys.readouterr().out


@pytest.mark.parametrize(
    "detail",
    [
        {"statementName": "redshift-storedproc-event-|1|of-another-stack"},
        {"statementId": "00000000-0000-0000-0000-000000000000"},
    ],
)
def test_an_event_of_a_statement_that_is_not_ours_changes_nothing_and_is_counted(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], detail: dict[str, str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.call_back(**detail)
    assert '"UnknownEvents":[1.0]' in capsys.readouterr().out
    assert pipeline.is_waiting(event["execution"]["Id"])


def test_an_event_whose_end_is_not_visible_yet_is_left_to_its_next_delivery(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    with pytest.raises(OutcomeNotVisible):
        pipeline.call_back(state="FINISHED")
    assert pipeline.is_waiting(event["execution"]["Id"])
    assert pipeline.row()["status"] == "SUBMITTED"
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def test_an_event_that_comes_before_the_submit_call_returns_resumes_the_task(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    overtaking: list[bool] = []

    def overtake(**_: Any) -> None:
        if not overtaking:
            overtaking.append(True)
            pipeline.end_statement()
            pipeline.call_back()

    # The statement id is noted right after ExecuteStatement: the event is handled just before that.
    on("after-call.redshift-data.ExecuteStatement", overtake)
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"
    row = pipeline.row()
    assert (row["status"], row["statementId"]) == ("FINISHED", pipeline.statements[0].id)


def test_the_same_invocation_twice_runs_the_procedure_once(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.submit(event)
    assert len(pipeline.statements) == 1
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def test_a_statement_whose_id_could_not_be_noted_is_submitted_under_the_same_client_token(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    throttled: list[Callable[[], None]] = []

    def throttle_from_here(**_: Any) -> None:
        throttled.append(fail_calls("dynamodb.UpdateItem", 400, "ProvisionedThroughputExceededException"))

    mend = on("after-call.redshift-data.ExecuteStatement", throttle_from_here)
    pipeline.submit(event)
    for remove in [mend, *throttled]:
        remove()
    # A name that the state machine retries.
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "AwsUnavailable")
    retried, _ = retry_of(pipeline, event)
    pipeline.submit(retried)
    first, second = pipeline.calls
    # Redshift runs a client token once in eight hours.
    assert first == second
    assert len(first["ClientToken"]) == 64
    assert counted(capsys) == {"StatementsSubmitted": 1}


def test_a_result_row_that_cannot_be_read_does_not_fail_a_procedure_that_finished(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    on("after-call.redshift-data.DescribeStatement", lambda parsed, **_: parsed.update(HasResultSet=True))
    fail_calls("redshift-data.GetStatementResult", 400, "ValidationException")
    pipeline.call_back()
    status, output = pipeline.outcome(event["execution"]["Id"])
    assert status == "SUCCEEDED"
    assert output["result"] is None
    assert "ValidationException" in output["result_omitted"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "ActiveStatementsExceededException"),
        (400, "ThrottlingException"),
        (500, "InternalServerException"),
        (503, "ServiceUnavailable"),
    ],
)
def test_a_retried_task_submits_the_same_statement_and_its_new_token_is_resumed(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], status: int, code: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    mend = fail_calls("redshift-data.ExecuteStatement", status, code)
    pipeline.submit(event)
    mend()
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    first, last = pipeline.calls
    assert first == last
    assert counted(capsys) == {"StatementsNotSubmitted": 1, "StatementsSubmitted": 1}
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_retried_task_reattaches_to_its_running_statement(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert len(pipeline.statements) == 1
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_retried_task_resumes_at_once_when_its_statement_has_ended(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()  # and its event is lost
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert len(pipeline.statements) == 1
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_retried_task_finds_a_statement_that_the_stack_would_no_longer_submit(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    monkeypatch.setenv("ALLOWED_PROCEDURES", "etl.*")
    redshift_run_sps.app._settings.cache_clear()
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_retried_task_is_told_the_outcome_that_its_first_token_was_told(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert len(pipeline.statements) == 1
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


@pytest.mark.parametrize(("status", "ended"), [("FINISHED", "StatementsFinished"), ("FAILED", "StatementsFailed")])
def test_a_statement_whose_event_is_lost_counts_once_as_submitted_and_once_as_ended(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], status: str, ended: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status, ERROR)
    retried, _ = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert counted(capsys) == {"StatementsSubmitted": 1, "StatementsReattached": 1, ended: 1}


def test_a_statement_that_runs_is_not_counted_again_when_its_task_looks_at_it(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.submit(retry_of(pipeline, event)[0])
    assert counted(capsys) == {"StatementsSubmitted": 1, "StatementsReattached": 1}
    fail_calls("redshift-data.DescribeStatement", 400, "ThrottlingException")
    failing = pipeline.start_task({}, "third-token")
    pipeline.submit(event | {"task_token": failing["task_token"]})
    assert pipeline.outcome(failing["execution"]["Id"]) == ("FAILED", "RedshiftBusy")
    assert counted(capsys) == {}


def test_a_call_that_the_data_api_refuses_fails_the_task_with_its_message(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    fail_calls("redshift-data.ExecuteStatement", 400, "ValidationException")
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "StatementRefused")
    (cause,) = pipeline.causes
    assert "ValidationException" in cause
    assert "not now" in cause


def test_what_aws_says_of_a_refusal_is_cut_to_what_a_cause_may_be(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    fail_calls("redshift-data.ExecuteStatement", 400, "ValidationException", "é" * 100_000)
    pipeline.submit(event)
    (cause,) = pipeline.causes
    assert cause.startswith("ExecuteStatement was refused (ValidationException): éééé")
    assert 32_768 - 2 <= len(cause.encode()) <= 32_768


def test_an_outcome_that_cannot_be_read_now_is_left_to_the_events_next_delivery(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    mend = fail_calls("redshift-data.DescribeStatement", 400, "ThrottlingException")
    with pytest.raises(RedshiftBusy):
        pipeline.call_back()
    assert pipeline.is_waiting(event["execution"]["Id"])
    mend()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def test_two_executions_never_share_a_statement(pipeline: Pipeline) -> None:
    pipeline.submit(pipeline.start_task(PAYLOAD, "monday"))
    pipeline.submit(pipeline.start_task(PAYLOAD, "tuesday"))
    monday, tuesday = pipeline.calls
    assert monday["StatementName"] != tuesday["StatementName"]
    assert monday["ClientToken"] != tuesday["ClientToken"]


def test_an_aborted_execution_that_is_redriven_finds_its_statement_again(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    redriven, waiting = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    assert len(pipeline.statements) == 1
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_redrive_is_told_the_outcome_of_a_statement_that_has_finished_and_runs_it_no_second_time(
    pipeline: Pipeline,
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    redriven, waiting = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    assert len(pipeline.statements) == 1
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


@pytest.mark.parametrize("status", ["FAILED", "ABORTED"])
@pytest.mark.parametrize("told", [True, False])
def test_a_redrive_runs_anew_and_once_what_failed_or_was_cancelled(pipeline: Pipeline, status: str, told: bool) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status)
    if told:
        pipeline.call_back()
    redriven, _ = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    retried, waiting = retry_of(pipeline, redriven, "retry-of-redrive")
    pipeline.submit(retried)
    first, second = pipeline.calls
    assert first["StatementName"] != second["StatementName"]
    assert first["ClientToken"] != second["ClientToken"]
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_redrive_that_attached_does_not_run_anew_what_fails_after_it(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    redriven, _ = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    pipeline.end_statement("FAILED", ERROR)  # and its event is lost
    retried, waiting = retry_of(pipeline, redriven, "retry-of-redrive")
    pipeline.submit(retried)
    assert len(pipeline.calls) == 1
    assert pipeline.outcome(waiting) == ("FAILED", "StatementFailed")


@pytest.mark.parametrize(
    ("code", "message", "error"),
    [
        ("ResourceNotFoundException", "Query does not exist.", "StatementForgotten"),
        (
            "ValidationException",
            "Could not retrieve the query result as it has expired after 1658071606.",
            "StatementForgotten",
        ),
        ("ValidationException", "id is malformed", "AwsRefused"),
    ],
)
def test_a_statement_that_redshift_no_longer_knows_fails_its_task_by_name_and_is_not_run_again(
    pipeline: Pipeline, code: str, message: str, error: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    fail_calls("redshift-data.DescribeStatement", 400, code, message)
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert pipeline.outcome(waiting) == ("FAILED", error)
    assert pipeline.statements[0].id in pipeline.causes[-1] or message in pipeline.causes[-1]
    redriven, waiting = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    assert pipeline.outcome(waiting) == ("FAILED", error)
    assert len(pipeline.calls) == 1


def test_a_statement_that_is_not_known_right_after_it_was_submitted_is_looked_at_again(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    mend = fail_calls("redshift-data.ExecuteStatement", 500, "InternalServerException")
    pipeline.submit(event)
    mend()
    mend = fail_calls("redshift-data.DescribeStatement", 400, "ResourceNotFoundException")
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    # A name that the state machine retries.
    assert pipeline.outcome(waiting) == ("FAILED", "RedshiftUnavailable")
    mend()
    pipeline.end_statement()
    retried, waiting = retry_of(pipeline, retried, "third-token")
    pipeline.submit(retried)
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"
    assert len(pipeline.statements) == 1


def _call_back_before_the_id_is_noted(pipeline: Pipeline, raised: list[str]) -> None:
    """Let the event of the next statement come before ExecuteStatement has returned; note what its handling raises."""

    def overtake(**_: Any) -> None:
        try:
            pipeline.call_back()
        except PipelineError as error:
            raised.append(type(error).__name__)

    on("after-call.redshift-data.ExecuteStatement", overtake)


def test_an_event_of_a_statement_that_is_not_known_yet_is_left_to_its_next_delivery(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    mend = fail_calls("redshift-data.DescribeStatement", 400, "ResourceNotFoundException")
    raised: list[str] = []
    _call_back_before_the_id_is_noted(pipeline, raised)
    pipeline.submit(event)
    assert raised == ["RedshiftUnavailable"]
    mend()
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def test_an_event_of_a_statement_that_another_role_ran_under_a_name_of_ours_changes_nothing(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    fail_calls("redshift-data.DescribeStatement", 400, "AccessDeniedException")
    raised: list[str] = []
    _call_back_before_the_id_is_noted(pipeline, raised)
    pipeline.submit(event)
    assert raised == []
    assert counted(capsys) == {"UnknownEvents": 1, "StatementsSubmitted": 1}
    assert pipeline.is_waiting(event["execution"]["Id"])


def test_a_statement_without_an_id_is_not_submitted_again_when_its_client_token_may_be_forgotten(
    pipeline: Pipeline,
) -> None:
    event = pipeline.start_task(PAYLOAD)
    mend = fail_calls("redshift-data.ExecuteStatement", 500, "InternalServerException")
    pipeline.submit(event)
    mend()
    boto3.resource("dynamodb", REGION).Table(TOKEN_TABLE).update_item(
        Key={"statementName": pipeline.calls[0]["StatementName"]},
        UpdateExpression="SET createdAt = createdAt - :hours",
        ExpressionAttributeValues={":hours": 8 * 3600 + 1},
    )
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    assert pipeline.outcome(waiting) == ("FAILED", "StatementForgotten")
    assert len(pipeline.calls) == 1


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_failure_that_the_token_does_not_take_is_raised_so_that_the_task_ends(pipeline: Pipeline, code: str) -> None:
    event = pipeline.start_task({"spname": "secret.sp_x"})
    fail_calls("stepfunctions.SendTaskFailure", 400, code)
    with pytest.raises(ProcedureNotAllowed):
        pipeline.submit(event)


def test_an_outcome_that_the_token_does_not_take_from_its_own_function_ends_the_task_by_name(
    pipeline: Pipeline,
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    retried, waiting = retry_of(pipeline, event)
    fail_calls("stepfunctions.SendTaskSuccess", 400, "TaskTimedOut")
    pipeline.submit(retried)
    assert pipeline.outcome(waiting) == ("FAILED", "OutcomeNotTold")


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_spent_token_is_counted_as_late_and_not_told_again(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str], code: str
) -> None:
    pipeline.submit(pipeline.start_task(PAYLOAD))
    pipeline.end_statement()
    capsys.readouterr()
    mend = fail_calls("stepfunctions.SendTaskSuccess", 400, code)
    pipeline.call_back()
    assert counted(capsys) == {"LateEvents": 1}
    mend()
    pipeline.call_back()
    assert counted(capsys) == {"DuplicateEvents": 1}


def test_a_token_that_is_saved_while_the_one_before_is_told_is_told_too(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    retried, waiting = retry_of(pipeline, event)
    overtaking: list[bool] = []

    def overtake(**_: Any) -> None:
        if not overtaking:
            overtaking.append(True)
            pipeline.end_statement("STARTED")
            pipeline.submit(retried)
            pipeline.end_statement()

    # The first token is told; before that is noted, the retry saves its own and sees the statement still running.
    on("before-call.stepfunctions.SendTaskSuccess", overtake)
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_first_attempt_that_starts_after_its_retry_does_not_take_the_outcome_from_it(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    assert len(pipeline.statements) == 1
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"


def test_a_statement_that_was_seen_to_end_but_is_described_as_running_is_looked_at_again(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    pipeline.end_statement("STARTED")
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(retried)
    # A name that the state machine retries.
    assert pipeline.outcome(waiting) == ("FAILED", "RedshiftUnavailable")


def test_a_task_that_could_not_be_told_now_is_told_by_the_events_next_delivery(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    mend = fail_calls("stepfunctions.SendTaskSuccess", 500, "InternalFailure")
    with pytest.raises(AwsUnavailable):
        pipeline.call_back()
    mend()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("fail", "error"),
    [
        (lambda: fail_calls("redshift-data.ExecuteStatement", 400, "ActiveSessionsExceededException"), "RedshiftBusy"),
        (lambda: fail_calls("redshift-data.ExecuteStatement", 400, "ValidationException", PASSED_ON), "RedshiftBusy"),
        (lambda: break_off("redshift-data.ExecuteStatement"), "RedshiftUnavailable"),
    ],
)
def test_what_may_pass_at_redshift_has_names_that_the_state_machine_retries(
    pipeline: Pipeline, fail: Callable[[], None], error: str
) -> None:
    event = pipeline.start_task(PAYLOAD)
    fail()
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", error)


def _with_result(pipeline: Pipeline, cells: dict[str, dict[str, Any]], described: dict[str, Any] | None = None) -> Any:
    """The output of a procedure that ends with a row of OUT parameters."""
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    on(
        "after-call.redshift-data.DescribeStatement",
        lambda parsed, **_: parsed.update(HasResultSet=True, **(described or {})),
    )
    on(
        "after-call.redshift-data.GetStatementResult",
        lambda parsed, **_: parsed.update(
            ColumnMetadata=[{"name": name} for name in cells], Records=[list(cells.values())]
        ),
    )
    pipeline.call_back()
    status, output = pipeline.outcome(event["execution"]["Id"])
    assert status == "SUCCEEDED"
    return output


def test_the_row_of_out_parameters_is_valid_json_whatever_it_holds(pipeline: Pipeline) -> None:
    output = _with_result(
        pipeline,
        {
            "nothing": {"isNull": True},
            "yes": {"booleanValue": True},
            "nan": {"doubleValue": float("nan")},
            "most": {"doubleValue": float("inf")},
            "least": {"doubleValue": float("-inf")},
            "half": {"doubleValue": 0.5},
            "bytes": {"blobValue": b"\x00\xff"},
            "text": {"stringValue": "it\ud800s"},
        },
    )
    assert output["result"] == {
        "nothing": None,
        "yes": True,
        "nan": "NaN",
        "most": "Infinity",
        "least": "-Infinity",
        "half": 0.5,
        "bytes": "00ff",
        "text": "it?s",
    }


@pytest.mark.parametrize(
    ("described", "rows", "seconds"),
    [
        ({"ResultRows": 3, "Duration": 1_234_567_890}, 3, 1.235),
        ({"ResultRows": 0, "Duration": 0}, 0, 0),
        ({"ResultRows": -1, "Duration": -1}, None, 0),
    ],
)
def test_figures_are_told_in_seconds_and_rows_or_not_at_all(
    pipeline: Pipeline, described: dict[str, int], rows: int | None, seconds: float
) -> None:
    output = _with_result(pipeline, {"x": {"longValue": 1}}, described)
    assert (output["rows"], output["duration_seconds"], output["result"]) == (rows, seconds, {"x": 1})


def test_a_result_is_passed_on_up_to_the_last_byte_of_what_a_state_may(pipeline: Pipeline) -> None:
    outputs: list[str] = []
    on("provide-client-params.stepfunctions.SendTaskSuccess", lambda params, **_: outputs.append(params["output"]))
    around = len(json.dumps(_with_result(pipeline, {"x": {"stringValue": ""}})).encode())
    for room, passed_on in ((262_144 - around, True), (262_145 - around, False)):
        event = pipeline.start_task(PAYLOAD, f"room-{room}")
        pipeline.submit(event)
        pipeline.end_statement()
        on(
            "after-call.redshift-data.GetStatementResult",
            lambda parsed, text="é" + "x" * (room - 2), **_: parsed.update(Records=[[{"stringValue": text}]]),
        )
        pipeline.call_back()
        output = json.loads(outputs[-1])
        assert (output["result"] is not None) == passed_on
        assert ("result_omitted" in output) != passed_on
        assert len(outputs[-1].encode()) <= 262_144


def test_a_row_is_kept_for_as_long_as_a_late_callback_or_a_redrive_needs_it(pipeline: Pipeline) -> None:
    pipeline.submit(pipeline.start_task(PAYLOAD))
    row = pipeline.row()
    assert row["expiresAt"] - row["createdAt"] == 14 * 24 * 3600


def test_a_row_of_the_version_before_is_read_when_the_stack_is_updated_while_its_statement_runs(
    pipeline: Pipeline,
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    boto3.resource("dynamodb", REGION).Table(TOKEN_TABLE).update_item(
        Key={"statementName": pipeline.calls[0]["StatementName"]},
        UpdateExpression="REMOVE redrives, keepStatement, unfinished, unfinishedSince",
    )
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(event["execution"]["Id"])[0] == "SUCCEEDED"


def test_statements_run_in_the_region_that_is_configured(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDSHIFT_REGION", "eu-west-1")
    pipeline.submit(pipeline.start_task(PAYLOAD))
    assert len(redshiftdata_backends[ACCOUNT]["eu-west-1"].statements) == 1
    assert pipeline.statements == []


@pytest.mark.parametrize(
    "payload",
    [
        {"spname": "public.p", "\ud800" * 10_000: 1},
        {"spname": "public.p", **{f"field{number}" * 50: 1 for number in range(1_000)}},
        {"spname": "public.p", "arguments": [[]] * 32},
        {"spname": "😀" * 10_000 + "("},
    ],
)
def test_every_cause_fits_and_keeps_its_advice(pipeline: Pipeline, payload: Any) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event | {"execution": event["execution"] | {"Input": payload}})
    assert pipeline.outcome(event["execution"]["Id"])[0] == "FAILED"
    (cause,) = pipeline.causes
    assert len(cause.encode()) <= 32_768
    assert cause.endswith(("timeout_seconds, mail_on_success.", 'or public."My name".'))


def test_each_line_names_the_execution_and_the_statement(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    submitted, resumed = pipeline.log_lines()
    (call,) = pipeline.calls
    names = {
        "execution_arn": event["execution"]["Id"],
        "statement_name": call["StatementName"],
        "statement_id": pipeline.statements[0].id,
    }
    assert submitted.items() >= names.items()
    assert resumed.items() >= names.items()


def test_neither_logs_nor_metrics_tell_the_token_or_the_message(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pipeline.start_task(PAYLOAD | {"event_message": "personal matter"})
    pipeline.submit(event)
    pipeline.end_statement()
    pipeline.call_back()
    printed = capsys.readouterr().out + pipeline.logs.getvalue()
    assert "StatementsSubmitted" in printed
    assert "StatementsFinished" in printed
    assert "SecondsFromEventToResume" in printed
    assert event["execution"]["Id"] in printed
    assert event["task_token"] not in printed
    assert "personal matter" not in printed


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_a_token_that_aws_quotes_is_in_no_error(pipeline: Pipeline, status: str) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status)
    quoting = f"Value '{event['task_token']}' at 'taskToken' failed to satisfy constraint"
    for operation in ("SendTaskSuccess", "SendTaskFailure"):
        fail_calls(f"stepfunctions.{operation}", 400, "ValidationException", quoting)
    with pytest.raises(AwsRefused, match="Value '…' at 'taskToken'") as refusal:
        pipeline.call_back()
    assert event["task_token"] not in str(refusal.value)


def test_a_function_without_its_configuration_says_what_is_missing(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CLUSTER_IDENTIFIER")
    with pytest.raises(MissingConfiguration, match="CLUSTER_IDENTIFIER"):
        pipeline.submit(pipeline.start_task(PAYLOAD))
