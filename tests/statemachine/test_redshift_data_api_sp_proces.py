"""The stored-procedure state machine: what its function gets, what it retries, and how it ends well.

How it fails is in test_failures.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
import yaml

from locks.table import LONGEST_WAIT_SECONDS
from tests.statemachine.conftest import DEFINITIONS
from tests.statemachine.interpreter import (
    FAILED_WAITS,
    KILLED_WAITS,
    LAMBDA_ERRORS,
    LAMBDA_FAILED,
    LAMBDA_KILLED,
    LAMBDA_NOT_READY,
    LAMBDA_WAITS,
    NOT_READY_WAITS,
    Machine,
    returns,
    throws,
)

PAYLOAD = {"spname": "public.sp_etl_log_etl_event", "event_message": "ETL Load Process started"}
RUN = "Run Stored Procedure"
USUAL = ["Time Limit Given?", "Take Usual Time Limit"]
RESULT = {"statement_id": "1", "statement_name": "redshift-storedproc-event-|1|a", "rows": 0, "duration_seconds": 0.1}
NAMED = ["AwsUnavailable", "RedshiftBusy", "RedshiftUnavailable", "StatementStopping"]


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine(
        "redshift_data_api_sp_proces",
        RedshiftRunSpsFunctionArn="arn:aws:lambda:us-east-1:123456789012:function:run",
        ShortestTimeoutSeconds=10,
        LongestTimeoutSeconds=28_800,
        UsualTimeoutSeconds=7200,
        ExecutionTimeoutSeconds=3600,
    )


def test_the_outcome_of_the_procedure_is_the_output_of_the_execution(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [returns(RESULT)]})
    assert (run.status, run.output) == ("SUCCEEDED", RESULT)
    assert run.states == [*USUAL, RUN, "Success To Be Mailed?", "Stored Procedure Succeeded"]
    assert machine.mails() == []


@pytest.mark.parametrize(("given", "waited"), [(10, 10), (28_800, 28_800), (60.4, 60)])
def test_the_input_says_how_long_to_wait_for_the_statement(machine: Machine, given: float, waited: int) -> None:
    run = machine.run(PAYLOAD | {"timeout_seconds": given}, {RUN: [returns(RESULT)]})
    assert run.states[:3] == ["Time Limit Given?", "Take Its Time Limit", RUN]
    assert run.timeouts() == [waited]


@pytest.mark.parametrize("given", [9, 28_801, 0, -60, "60", None, True, [60], 1e300])
def test_what_is_no_time_limit_is_left_to_the_function_to_refuse(machine: Machine, given: Any) -> None:
    run = machine.run(PAYLOAD | {"timeout_seconds": given}, {RUN: [throws("InvalidInput")]})
    assert run.states[: len(USUAL) + 1] == [*USUAL, RUN]
    assert (run.status, run.error) == ("FAILED", "InvalidInput")


@pytest.mark.parametrize("payload", [PAYLOAD, "text", ["timeout_seconds"], 5, None])
def test_without_one_a_statement_is_waited_for_two_hours(machine: Machine, payload: Any) -> None:
    assert machine.run(payload, {RUN: [returns(RESULT)]}).timeouts() == [7200]


def test_success_is_mailed_if_the_input_asks_for_it_without_what_the_procedure_returned(machine: Machine) -> None:
    result = RESULT | {"result": {"p_name": "Jane Doe"}}
    run = machine.run(PAYLOAD | {"mail_on_success": True}, {RUN: [returns(result)]})
    assert (run.status, run.output) == ("SUCCEEDED", result)
    (mail,) = machine.mails()
    arn = run.execution["executionArn"]
    assert mail["Subject"] == "redshift_data_api_sp_proces succeeded"
    assert mail["Message"] == (
        "public.sp_etl_log_etl_event succeeded after 0.1 seconds.\n\nStatement: 1\n\n"
        f"Execution: {arn}\nhttps://console/{arn}\n"
    )
    machine.run(PAYLOAD | {"mail_on_success": False}, {RUN: [returns(RESULT)]})
    assert machine.mails() == []


@pytest.mark.parametrize(
    ("error", "waits"),
    [
        ("SNS.InvalidParameterException", []),
        ("States.DataLimitExceeded", []),
        ("SNS.ThrottledException", [2, 4, 8, 16]),
        ("SNS.InternalErrorException", [2, 4, 8, 16]),
        ("SNS.SdkClientException", [2, 4, 8, 16]),
    ],
)
def test_a_procedure_has_succeeded_whether_or_not_its_mail_is_sent(
    machine: Machine, error: str, waits: list[int]
) -> None:
    run = machine.run(PAYLOAD | {"mail_on_success": True}, {RUN: [returns(RESULT)], "Mail Success": [throws(error)]})
    assert (run.status, run.output, run.waits) == ("SUCCEEDED", RESULT, waits)


def test_the_function_gets_the_context_that_its_statement_name_is_computed_from(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [returns(RESULT)]})
    (parameters,) = run.parameters("lambda")
    payload = parameters["Payload"]
    assert payload["execution"]["Id"] == run.execution["executionArn"]
    assert payload["execution"]["Input"] == PAYLOAD
    assert payload["execution"]["StartTime"]
    assert payload["state"] == RUN
    assert payload["task_token"] not in ("", RUN)


def test_a_transient_error_is_retried(machine: Machine) -> None:
    for errors, waits in [(LAMBDA_ERRORS, LAMBDA_WAITS), (NAMED, FAILED_WAITS[: len(NAMED)])]:
        run = machine.run(PAYLOAD, {RUN: [*map(throws, errors), returns(RESULT)]})
        assert (run.status, run.output, run.waits) == ("SUCCEEDED", RESULT, waits)


def test_retries_wait_ever_longer_and_end(machine: Machine) -> None:
    for error, waits in [
        (LAMBDA_FAILED[0], FAILED_WAITS),
        (NAMED[0], FAILED_WAITS),
        (LAMBDA_NOT_READY[0], NOT_READY_WAITS),
        *[(error, KILLED_WAITS) for error in LAMBDA_KILLED],
    ]:
        run = machine.run(PAYLOAD, {RUN: [throws(error)]})
        assert (run.status, run.error, run.waits) == ("FAILED", error, waits)


def test_a_singleton_is_waited_for_longer_than_its_function_waits(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("SingletonAwaited"), throws("SingletonAwaited"), returns(RESULT)]})
    assert (run.status, run.waits) == ("SUCCEEDED", [60, 60])
    text = (DEFINITIONS / "redshift_data_api_sp_proces.asl.yaml").read_text()
    (retrier,) = (
        retrier
        for retrier in yaml.safe_load(text.replace("${", "<"))["States"][RUN]["Retry"]
        if retrier["ErrorEquals"] == ["SingletonAwaited"]
    )
    # Waits are random, half as long on average; an attempt has five events of the history's 25,000.
    assert retrier["MaxAttempts"] * 60 / 2 > 2 * LONGEST_WAIT_SECONDS
    assert retrier["MaxAttempts"] * 5 < 20_000


def test_any_other_failure_is_not_retried(machine: Machine) -> None:
    for error in [
        "StatementFailed",
        "StatementAborted",
        "SingletonIsHeld",
        "InvalidInput",
        "ProcedureNotAllowed",
        "KeyError",
    ]:
        run = machine.run(PAYLOAD, {RUN: [throws(error)]})
        assert (run.status, run.error, run.attempts[RUN]) == ("FAILED", error, 1)


def test_a_lost_event_makes_the_task_attach_once_more(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("States.Timeout"), returns(RESULT)]})
    assert (run.status, run.output, run.waits) == ("SUCCEEDED", RESULT, [1])
    first, second = run.parameters("lambda")
    # The same attempt of the same statement: its name is computed from these.
    assert first["Payload"]["execution"] == second["Payload"]["execution"]
    assert first["Payload"]["state"] == second["Payload"]["state"]


def test_a_statement_that_never_ends_is_mailed_and_ends_the_execution(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("States.Timeout")]})
    # moto's interpreter refuses `States.` names in a Fail state, so the error itself is read from the mail.
    assert (run.status, run.attempts[RUN]) == ("FAILED", 2)
    (mail,) = machine.mails()
    assert mail["Message"].startswith(
        "States.Timeout: Redshift did not end the statement within 7200 seconds, nor within as many more.\n\n"
    )
