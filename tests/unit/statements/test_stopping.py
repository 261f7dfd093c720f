"""An execution that has ended without success leaves no statement running, whoever was where when it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

import aws_clients
from errors import AwsRefused, PipelineError
from executions.notes import ExecutionNotes
from locks.execution_lock import ExecutionLock
from statements.errors import ExecutionStopped, RedshiftBusy, RedshiftUnavailable
from tests.unit.statements.faults import counted, fail_calls, on, redrive_of, retry_of
from tests.unit.waiting_task import LEDGER_TABLE, REGION, TOKEN_TABLE

if TYPE_CHECKING:
    from tests.unit.statements.conftest import Pipeline

PAYLOAD = {"spname": "public.sp_etl_log_etl_event", "event_message": "it's done"}


def _stopped(pipeline: Pipeline, payload: Any = PAYLOAD) -> dict[str, Any]:
    """The event of an execution that was aborted while its statement ran, and whose end has been handled."""
    event = pipeline.start_task(payload)
    pipeline.submit(event)
    pipeline.stop(pipeline.abort(event))
    return event


def _submit_without_noting_the_id(pipeline: Pipeline, event: dict[str, Any]) -> None:
    """Submit as if the function were killed when Redshift has taken the statement."""
    throttled: list[Any] = []
    mend = on(
        "after-call.redshift-data.ExecuteStatement",
        lambda **_: throttled.append(fail_calls("dynamodb.UpdateItem", 400, "ThrottlingException")),
    )
    pipeline.submit(event)
    for remove in (mend, *throttled):
        remove()
    assert "statementId" not in pipeline.row()


def _redriven_succeeds_by_one_call(pipeline: Pipeline, event: dict[str, Any]) -> None:
    """Assert that an execution which is redriven succeeds, and that its statement was called once altogether."""
    redriven, waiting = redrive_of(pipeline, event)
    pipeline.submit(redriven)
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.outcome(waiting)[0] == "SUCCEEDED"
    assert len(pipeline.calls) == 1


def _rows() -> list[dict[str, Any]]:
    return boto3.resource("dynamodb", REGION).Table(TOKEN_TABLE).scan()["Items"]


def test_the_statement_of_a_stopped_execution_is_cancelled_once(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    event = _stopped(pipeline)
    assert pipeline.cancelled == [pipeline.statements[0].id]
    assert pipeline.statements[0].status == "ABORTED"
    assert counted(capsys)["StatementsCancelled"] == 1
    # EventBridge may tell it twice, and the queue as well.
    pipeline.stop(event["execution"]["Id"])
    pipeline.call_back()
    pipeline.stop(event["execution"]["Id"])
    assert len(pipeline.cancelled) == 1
    assert pipeline.row()["status"] == "ABORTED"
    assert "unfinished" not in pipeline.row()


def test_a_statement_that_is_to_be_kept_runs_on(pipeline: Pipeline) -> None:
    event = _stopped(pipeline, PAYLOAD | {"keep_statement": True})
    assert pipeline.cancelled == []
    _redriven_succeeds_by_one_call(pipeline, event)


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
@pytest.mark.parametrize("told", [True, False])
def test_a_statement_that_has_ended_is_not_cancelled(pipeline: Pipeline, status: str, told: bool) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement(status)
    if told:
        pipeline.call_back()
    pipeline.stop(event["execution"]["Id"])
    assert pipeline.cancelled == []
    assert pipeline.statements[0].status == status


def test_a_statement_that_ends_while_it_is_cancelled_is_no_failure(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    on("before-call.redshift-data.CancelStatement", lambda **_: pipeline.end_statement())
    pipeline.stop(pipeline.abort(event))
    assert pipeline.statements[0].status == "FINISHED"


def test_two_deliveries_at_the_same_moment_cancel_once(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    arn = pipeline.abort(event)
    capsys.readouterr()
    overtaking: list[bool] = []

    def overtake(**_: Any) -> None:
        if not overtaking:
            overtaking.append(True)
            pipeline.stop(arn)

    on("before-call.redshift-data.CancelStatement", overtake)
    pipeline.stop(arn)
    assert pipeline.statements[0].status == "ABORTED"
    assert counted(capsys) == {"StatementsCancelled": 1}


def test_a_statement_that_does_not_run_yet_is_cancelled_later(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    pipeline.end_statement("PICKED")
    arn = pipeline.abort(event)
    with pytest.raises(AwsRefused):
        pipeline.stop(arn)
    pipeline.end_statement("STARTED")
    pipeline.stop(arn)
    assert pipeline.statements[0].status == "ABORTED"


@pytest.mark.parametrize(
    ("operation", "status", "code", "raised"),
    [
        ("redshift-data.CancelStatement", 400, "ThrottlingException", RedshiftBusy),
        ("redshift-data.CancelStatement", 500, "InternalServerException", RedshiftUnavailable),
        ("redshift-data.DescribeStatement", 400, "ThrottlingException", RedshiftBusy),
        ("dynamodb.UpdateItem", 400, "ProvisionedThroughputExceededException", PipelineError),
    ],
)
def test_a_stop_that_fails_is_taken_up_when_its_message_comes_again(
    pipeline: Pipeline, operation: str, status: int, code: str, raised: type[Exception]
) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    arn = pipeline.abort(event)
    mend = fail_calls(operation, status, code)
    with pytest.raises(raised):
        pipeline.stop(arn)
    mend()
    pipeline.stop(arn)
    assert pipeline.statements[0].status == "ABORTED"


def test_what_redshift_no_longer_knows_need_not_be_cancelled(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    pipeline.submit(event)
    fail_calls("redshift-data.DescribeStatement", 400, "ResourceNotFoundException")
    pipeline.stop(pipeline.abort(event))
    assert pipeline.cancelled == []


def test_an_execution_without_a_statement_is_stopped_as_well(pipeline: Pipeline) -> None:
    event = pipeline.start_task({"spname": "secret.sp_x"})
    pipeline.submit(event)
    pipeline.stop(event["execution"]["Id"])
    assert pipeline.cancelled == []


class TestWhoeverSubmits:
    """The execution is stopped at each point of submitting its statement."""

    def test_before_it_has_begun_submits_nothing(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        pipeline.stop(event["execution"]["Id"])
        pipeline.submit(event)
        assert pipeline.calls == []
        assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "ExecutionStopped")

    def test_after_its_row_was_made_submits_nothing(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        stops: list[bool] = []

        def stop(params: dict[str, Any], **_: Any) -> None:
            # The execution's row is about to be joined.
            if "ADD statements" in params["UpdateExpression"] and not stops:
                stops.append(True)
                pipeline.stop(event["execution"]["Id"])

        on("provide-client-params.dynamodb.UpdateItem", stop)
        pipeline.submit(event)
        assert pipeline.calls == []
        assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "ExecutionStopped")

    def test_before_it_has_noted_the_id_cancels_its_own_statement(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)

        def stop(**_: Any) -> None:
            with pytest.raises(RedshiftUnavailable):
                pipeline.stop(event["execution"]["Id"])

        # Redshift does not list it yet.
        mend = on("before-call.redshift-data.ExecuteStatement", stop)
        pipeline.submit(event)
        mend()
        assert pipeline.statements[0].status == "ABORTED"
        assert len(pipeline.cancelled) == 1
        assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "ExecutionStopped")
        pipeline.stop(event["execution"]["Id"])
        assert len(pipeline.cancelled) == 1

    def test_before_it_has_noted_the_id_of_a_statement_whose_end_is_told_by_then_cancels_nothing(
        self, pipeline: Pipeline
    ) -> None:
        event = pipeline.start_task(PAYLOAD)

        def stop(**_: Any) -> None:
            with pytest.raises(RedshiftUnavailable):
                pipeline.stop(event["execution"]["Id"])

        def end(**_: Any) -> None:
            pipeline.end_statement()
            pipeline.call_back()

        on("before-call.redshift-data.ExecuteStatement", stop)
        on("after-call.redshift-data.ExecuteStatement", end)
        pipeline.submit(event)
        assert (pipeline.cancelled, pipeline.causes) == ([], [])
        assert pipeline.row()["status"] == "FINISHED"
        assert "stoppingSince" in pipeline.row()

    def test_and_was_killed_before_it_noted_the_id_leaves_a_statement_that_is_found_by_its_name(
        self, pipeline: Pipeline
    ) -> None:
        event = pipeline.start_task(PAYLOAD)
        _submit_without_noting_the_id(pipeline, event)
        pipeline.stop(event["execution"]["Id"])
        assert pipeline.statements[0].status == "ABORTED"

    def test_and_was_killed_before_it_submitted_leaves_nothing_to_cancel_once_it_can_be_no_more(
        self, pipeline: Pipeline
    ) -> None:
        event = pipeline.start_task(PAYLOAD)
        fail_calls("redshift-data.ExecuteStatement", 500, "InternalServerException")
        pipeline.submit(event)
        pipeline.calls.clear()
        with pytest.raises(RedshiftUnavailable):
            pipeline.stop(event["execution"]["Id"])
        pipeline.let_pass(121)
        pipeline.stop(event["execution"]["Id"])
        assert pipeline.row()["status"] == "UNSUBMITTED"
        assert "unfinished" not in pipeline.row()

    def test_and_was_killed_before_it_noted_the_id_learns_from_an_event_that_overtakes_the_stop(
        self, pipeline: Pipeline
    ) -> None:
        event = pipeline.start_task(PAYLOAD)
        _submit_without_noting_the_id(pipeline, event)
        pipeline.let_pass(121)

        def end(parsed: dict[str, Any], **_: Any) -> None:
            # The Data API lists it late: to the stopper it looks as if nothing had been submitted.
            parsed["Statements"] = []
            pipeline.end_statement()
            pipeline.call_back()

        on("after-call.redshift-data.ListStatements", end)
        pipeline.stop(event["execution"]["Id"])
        assert pipeline.row()["status"] == "FINISHED"
        _redriven_succeeds_by_one_call(pipeline, event)


class TestARedriveAfterAStop:
    def test_runs_anew_what_was_cancelled(self, pipeline: Pipeline) -> None:
        event = _stopped(pipeline)
        pipeline.call_back()
        redriven, waiting = redrive_of(pipeline, event)
        pipeline.submit(redriven)
        first, second = pipeline.calls
        assert first["StatementName"] != second["StatementName"]
        # The first end is told once more, late; it is none of the redrive's.
        pipeline.stop(event["execution"]["Id"])
        pipeline.end_statement()
        pipeline.call_back()
        assert pipeline.outcome(waiting)[0] == "SUCCEEDED"
        assert len(pipeline.cancelled) == 1

    def test_is_told_of_what_finished_before_it_could_be_cancelled(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        pipeline.submit(event)
        on("before-call.redshift-data.CancelStatement", lambda **_: pipeline.end_statement())
        pipeline.stop(pipeline.abort(event))
        pipeline.call_back()
        redriven, waiting = redrive_of(pipeline, event)
        pipeline.submit(redriven)
        assert pipeline.outcome(waiting)[0] == "SUCCEEDED"
        assert len(pipeline.calls) == 1

    def test_waits_for_what_is_being_cancelled(self, pipeline: Pipeline) -> None:
        event = _stopped(pipeline)
        pipeline.statements[0].status = "STARTED"  # it rolls back
        redriven, waiting = redrive_of(pipeline, event)
        pipeline.submit(redriven)
        # A name that the state machine retries.
        assert pipeline.outcome(waiting) == ("FAILED", "StatementStopping")
        pipeline.statements[0].status = "ABORTED"
        again, waiting = retry_of(pipeline, redriven, "third-token")
        pipeline.submit(again)
        assert len(pipeline.calls) == 2
        pipeline.end_statement()
        pipeline.call_back()
        assert pipeline.outcome(waiting)[0] == "SUCCEEDED"

    def test_that_came_before_the_stop_keeps_its_statement(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        pipeline.submit(event)
        redriven, waiting = redrive_of(pipeline, event)
        pipeline.submit(redriven)
        pipeline.stop(event["execution"]["Id"], redrives=0)
        assert pipeline.cancelled == []
        pipeline.end_statement()
        pipeline.call_back()
        assert pipeline.outcome(waiting)[0] == "SUCCEEDED"

    def test_keeps_its_statement_though_an_attempt_of_the_run_before_comes_late(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        pipeline.submit(event)
        late, _ = retry_of(pipeline, event)
        pipeline.abort(late)
        redriven, waiting = redrive_of(pipeline, late)
        pipeline.submit(redriven)
        with pytest.raises(ExecutionStopped):
            pipeline.submit(late)
        pipeline.stop(event["execution"]["Id"], redrives=0)
        assert pipeline.cancelled == []
        pipeline.end_statement()
        pipeline.call_back()
        assert pipeline.outcome(waiting)[0] == "SUCCEEDED"

    def test_is_stopped_as_well(self, pipeline: Pipeline) -> None:
        event = _stopped(pipeline)
        redriven, _ = redrive_of(pipeline, event)
        pipeline.submit(redriven)
        pipeline.stop(event["execution"]["Id"], redrives=1)
        assert [statement.status for statement in pipeline.statements] == ["ABORTED", "ABORTED"]
        assert len(pipeline.cancelled) == 2

    def test_runs_anew_what_was_never_submitted(self, pipeline: Pipeline) -> None:
        event = pipeline.start_task(PAYLOAD)
        mend = fail_calls("redshift-data.ExecuteStatement", 500, "InternalServerException")
        pipeline.submit(event)
        mend()
        pipeline.calls.clear()
        pipeline.let_pass(121)
        pipeline.stop(event["execution"]["Id"])
        _redriven_succeeds_by_one_call(pipeline, event)


def test_what_is_noted_of_an_execution_expires(pipeline: Pipeline) -> None:
    _stopped(pipeline)
    row: dict[str, Any]
    (row,) = boto3.resource("dynamodb", REGION).Table(LEDGER_TABLE).scan()["Items"]
    days = (int(str(row["expiresAt"])) - int(_rows()[0]["createdAt"])) / 86_400
    # It may run for two weeks, and be redriven for two more.
    assert 28 < days <= 31


def test_the_lock_of_a_stopped_load_tells_its_loaders(pipeline: Pipeline) -> None:
    event = pipeline.start_task(PAYLOAD)
    arn = event["execution"]["Id"]
    ExecutionNotes(aws_clients.client("dynamodb"), LEDGER_TABLE, arn).set_table("reviews")
    lock = ExecutionLock(aws_clients.client("dynamodb"), LEDGER_TABLE, "table#reviews", arn)
    assert lock.take(aws_clients.client("stepfunctions")) is None
    pipeline.submit(event)
    pipeline.stop(pipeline.abort(event))
    assert lock.standing().stopped == 0
    assert pipeline.statements[0].status == "ABORTED"


def test_the_table_of_an_execution_without_a_lock_is_left_alone(pipeline: Pipeline) -> None:
    lock = ExecutionLock(aws_clients.client("dynamodb"), LEDGER_TABLE, "table#reviews", "arn:other")
    assert lock.take(aws_clients.client("stepfunctions")) is None
    _stopped(pipeline)
    assert lock.standing().stopped is None
