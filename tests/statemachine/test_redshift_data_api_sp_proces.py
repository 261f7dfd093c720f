"""Every Retry, Catch and Choice branch of the stored-procedure state machine."""

from collections.abc import Callable

import pytest

from tests.statemachine.interpreter import Machine, returns, throws

PAYLOAD = {"spname": "public.sp_etl_log_etl_event", "event_message": "ETL Load Process started"}
RUN = "Run Stored Procedure"
NOTIFY = "Notify Support"
NOTIFY_BRIEFLY = "Notify Support Without Input"
RESULT = {"statement_id": "1", "statement_name": "redshift-storedproc-event-|1|a", "rows": 0, "duration_seconds": 0.1}


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    return make_machine(
        "redshift_data_api_sp_proces",
        RedshiftRunSpsFunctionArn="arn:aws:lambda:us-east-1:123456789012:function:run",
        StatementTimeoutSeconds=60,
    )


def test_the_outcome_of_the_procedure_is_the_output_of_the_execution(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [returns(RESULT)]})
    assert (run.status, run.output, run.states) == ("SUCCEEDED", RESULT, [RUN])
    assert machine.mails() == []


def test_the_function_gets_the_context_that_its_statement_name_is_computed_from(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [returns(RESULT)]})
    (parameters,) = run.parameters("lambda")
    payload = parameters["Payload"]
    assert payload["execution"]["Id"] == run.execution["executionArn"]
    assert payload["execution"]["Input"] == PAYLOAD
    assert payload["state"]["Name"] == RUN
    assert payload["state"]["EnteredTime"]
    assert payload["task_token"]


@pytest.mark.parametrize(
    ("error", "retries"),
    [
        ("Lambda.ClientExecutionTimeoutException", 6),
        ("Lambda.ServiceException", 6),
        ("Lambda.AWSLambdaException", 6),
        ("Lambda.SdkClientException", 6),
        ("Sandbox.Timedout", 6),
        ("Lambda.TooManyRequestsException", 60),
        ("AwsUnavailable", 8),
        ("RedshiftBusy", 8),
        ("RedshiftUnavailable", 8),
    ],
)
def test_a_transient_error_is_retried_a_bounded_number_of_times(machine: Machine, error: str, retries: int) -> None:
    recovered = machine.run(PAYLOAD, {RUN: [throws(error), returns(RESULT)]})
    assert (recovered.status, recovered.attempts[RUN]) == ("SUCCEEDED", 2)
    exhausted = machine.run(PAYLOAD, {RUN: [throws(error)]})
    assert (exhausted.status, exhausted.error, exhausted.attempts[RUN]) == ("FAILED", error, 1 + retries)
    assert len(machine.mails()) == 1


@pytest.mark.parametrize(
    "error",
    ["StatementFailed", "StatementAborted", "InvalidInput", "InvalidIdentifier", "ProcedureNotAllowed", "KeyError"],
)
def test_any_other_failure_is_mailed_at_once_and_ends_the_execution(machine: Machine, error: str) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws(error, 'ERROR: relation "x" does not exist')]})
    assert (run.status, run.error, run.cause) == ("FAILED", error, 'ERROR: relation "x" does not exist')
    assert run.attempts[RUN] == 1
    (mail,) = machine.mails()
    assert mail["Subject"] == "redshift_data_api_sp_proces failed"
    assert f"Error: {error}\n" in mail["Message"]
    assert 'Cause: ERROR: relation "x" does not exist\n' in mail["Message"]
    assert '"event_message":"ETL Load Process started"' in mail["Message"].replace('": "', '":"')
    assert f"https://console/{run.execution['executionArn']}" in mail["Message"]


@pytest.mark.parametrize("payload", ["text", 5, [1, 2], None, {}])
def test_an_input_that_is_no_object_is_mailed_too(machine: Machine, payload: object) -> None:
    run = machine.run(payload, {RUN: [throws("InvalidInput", "the input is no object")]})
    assert (run.status, run.error) == ("FAILED", "InvalidInput")
    assert len(machine.mails()) == 1


def test_a_payload_that_cannot_be_mailed_costs_the_payload_and_not_the_mail(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("StatementFailed")], NOTIFY: [throws("SNS.InvalidParameterException")]})
    assert (run.status, run.error, run.cause) == ("FAILED", "StatementFailed", "because")
    (mail,) = machine.mails()
    assert "Error: StatementFailed" in mail["Message"]
    assert run.execution["executionArn"] in mail["Message"]
    assert "event_message" not in mail["Message"]


def test_the_execution_fails_with_its_own_error_when_no_mail_can_be_sent(machine: Machine) -> None:
    failures = {state: [throws("SNS.NotFoundException")] for state in (NOTIFY, NOTIFY_BRIEFLY)}
    run = machine.run(PAYLOAD, {RUN: [throws("StatementFailed")], **failures})
    assert (run.status, run.error, run.cause) == ("FAILED", "StatementFailed", "because")
    assert run.states == [RUN, NOTIFY, NOTIFY_BRIEFLY, "Stored Procedure Failed"]


def test_an_input_too_large_for_the_task_is_mailed_too(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("States.DataLimitExceeded")]})
    assert run.states[:2] == [RUN, NOTIFY]
    assert len(machine.mails()) == 1


@pytest.mark.parametrize("error", ["SNS.InternalErrorException", "SNS.ThrottledException", "SNS.SdkClientException"])
def test_sending_a_mail_is_tried_again(machine: Machine, error: str) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("StatementFailed")], NOTIFY: [throws(error), returns({})]})
    assert (run.status, run.error, run.attempts[NOTIFY]) == ("FAILED", "StatementFailed", 2)
    failures = {NOTIFY: [throws("SNS.NotFoundException")], NOTIFY_BRIEFLY: [throws(error), returns({})]}
    run = machine.run(PAYLOAD, {RUN: [throws("StatementFailed")], **failures})
    assert (run.status, run.error, run.attempts[NOTIFY_BRIEFLY]) == ("FAILED", "StatementFailed", 2)


def test_retries_wait_a_random_time_within_their_bounds(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("RedshiftBusy")]})
    bounds = [5, 10, 20, 40, 80, 160, 300, 300]
    assert len(run.waits) == len(bounds)
    assert all(0 <= wait <= bound for wait, bound in zip(run.waits, bounds, strict=True))


def test_a_lost_event_makes_the_task_attach_once_more(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("States.Timeout"), returns(RESULT)]})
    assert (run.status, run.output, run.attempts[RUN]) == ("SUCCEEDED", RESULT, 2)
    first, second = run.parameters("lambda")
    # The same attempt of the same statement: its name is computed from these.
    assert first["Payload"]["execution"] == second["Payload"]["execution"]
    assert first["Payload"]["state"]["EnteredTime"] == second["Payload"]["state"]["EnteredTime"]


def test_a_statement_that_never_ends_is_mailed_and_ends_the_execution(machine: Machine) -> None:
    run = machine.run(PAYLOAD, {RUN: [throws("States.Timeout")]})
    # moto's interpreter refuses `States.` names in a Fail state, so the error itself is read from the mail.
    assert (run.status, run.attempts[RUN]) == ("FAILED", 2)
    (mail,) = machine.mails()
    assert "Error: States.Timeout" in mail["Message"]
