"""How both state machines tell of a failure: one mail with the payload, the error and where to look; then FAILED."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.repository.test_operating import FUNCTIONS
from tests.statemachine.interpreter import Machine, Result, Run, returns, throws
from tests.template.state_machine_checks import error_classes

PAYLOAD = {"table": "public.reviews", "event_message": "ETL Load Process started"}
NOTIFY = "Notify Support"
NOTIFY_BRIEFLY = "Notify Support Without Input"
FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
RAISED = {
    "errorMessage": "a.parquet is missing: {}",
    "errorType": "ManifestMismatch",
    "requestId": "1",
    "stackTrace": ["File app.py"],
}


@dataclass(frozen=True)
class FailingMachine:
    """A state machine, the first state that can fail, and the state in which it ends when one did."""

    machine: Machine
    first: str
    end: str

    def run(self, failure: Result, payload: Any = PAYLOAD, **mails: list[Result]) -> Run:
        """Let the first state fail; `full` and `brief` are the results of the mails, which else are sent."""
        states = {"full": NOTIFY, "brief": NOTIFY_BRIEFLY}
        scripts = {states[name]: results for name, results in mails.items()}
        return self.machine.run(payload, {self.first: [failure], **scripts})

    @property
    def name(self) -> str:
        return self.machine.arn.split(":")[-1]

    def mail(self) -> dict[str, str]:
        (mail,) = self.machine.mails()
        return mail


MACHINES = ["redshift_data_api_sp_proces", "redshift_to_dynamo_proces"]


@pytest.fixture(params=MACHINES)
def failing(request: pytest.FixtureRequest, make_machine: Callable[..., Machine]) -> FailingMachine:
    return make_failing(request.param, make_machine)


def make_failing(name: str, make_machine: Callable[..., Machine], **given: str | int) -> FailingMachine:
    given |= {"ExecutionTimeoutSeconds": 3600}
    given |= {"ShortestTimeoutSeconds": 10, "LongestTimeoutSeconds": 28_800, "UsualTimeoutSeconds": 7200}
    if name == "redshift_data_api_sp_proces":
        machine = make_machine(name, RedshiftRunSpsFunctionArn=FUNCTION_ARN, **given)
        return FailingMachine(machine, "Run Stored Procedure", "Stored Procedure Failed")
    functions = [
        "PrepareLoad",
        "RedshiftUnload",
        "RedshiftUnloadS3List",
        "CompareKeys",
        "BeginLoad",
        "LoadDynamo",
        "VerifyLoad",
    ]
    timed = ("Prepare", "List", "Compare", "Begin", "Load", "Verify")
    timeouts = [f"{name}TimeoutSeconds" for name in timed]
    given |= {f"{name}FunctionArn": FUNCTION_ARN for name in functions}
    given |= dict.fromkeys((*timeouts, "WaitSeconds", "HandOversAllowed"), 60)
    machine = make_machine(name, **given, DataBucketName="data")
    return FailingMachine(machine, "Prepare Load", "Load Failed")


def test_a_failure_is_mailed_with_payload_error_and_where_to_look(failing: FailingMachine) -> None:
    run = failing.run(throws("StatementFailed", 'ERROR: relation "x" does not exist'))
    assert (run.status, run.error, run.cause) == ("FAILED", "StatementFailed", 'ERROR: relation "x" does not exist')
    assert run.states[-4:] == [failing.first, "Raised By A Function?", NOTIFY, failing.end]
    mail, arn = failing.mail(), run.execution["executionArn"]
    assert mail["Subject"] == f"StatementFailed in {failing.name}"
    # A phone shows about the first hundred characters.
    first, given, *where = mail["Message"].split("\n\n")
    assert first == 'StatementFailed: ERROR: relation "x" does not exist'
    assert json.loads(given.removeprefix("Input: ")) == PAYLOAD
    assert where == [
        f"Execution: {arn}\nhttps://console/{arn}",
        "Logs: https://logs/$3Ffilter",
        "What to do: docs/operating.md, section StatementFailed\n",
    ]


def test_the_subject_of_every_error_that_is_known_is_one_that_sns_takes() -> None:
    longest_name = f"{'a' * 30}-RedshiftDataApiSPProces"
    known = [*error_classes(FUNCTIONS), "States.ExceedToleratedFailureThreshold", "States.ItemReaderFailed"]
    (longest,) = sorted(known, key=len)[-1:]
    assert len(f"{longest} in {longest_name}") <= 100


@pytest.mark.parametrize("name", MACHINES)
def test_an_input_that_is_not_to_be_mailed_is_left_out(name: str, make_machine: Callable[..., Machine]) -> None:
    failing = make_failing(name, make_machine, MailedInput=0)
    failing.run(throws("StatementFailed", "ERROR"))
    message = failing.mail()["Message"]
    assert "\n\nInput: not mailed as ShouldMailInput is false\n\n" in message
    assert PAYLOAD["event_message"] not in message


def test_an_exception_in_a_function_is_mailed_without_its_stack_trace(failing: FailingMachine) -> None:
    run = failing.run(throws("ManifestMismatch", json.dumps(RAISED)))
    assert (run.status, run.error, run.cause) == ("FAILED", "ManifestMismatch", "a.parquet is missing: {}")
    message = failing.mail()["Message"]
    assert message.startswith("ManifestMismatch: a.parquet is missing: {}\n\n")
    assert "stackTrace" not in message


def test_a_cause_in_any_other_form_is_mailed_as_it_is(failing: FailingMachine) -> None:
    for cause in [" ", "{", '{"errorMessage": "cut off', '{"errorMessage": "of no type"}', 'ERROR: error near "{"']:
        run = failing.run(throws("Odd", cause))
        assert (run.status, run.error, run.cause) == ("FAILED", "Odd", cause)
        assert failing.mail()["Message"].startswith(f"Odd: {cause}\n\n")


def test_an_empty_cause_is_mailed_as_words(failing: FailingMachine) -> None:
    run = failing.run(throws("SomeError", ""))
    assert (run.status, run.error) == ("FAILED", "SomeError")
    assert run.cause.startswith("No cause was given.")
    assert failing.mail()["Message"].startswith("SomeError: No cause was given. Of States.Timeout that means")


def test_an_input_that_is_no_object_is_mailed_too(failing: FailingMachine) -> None:
    for payload in ["text", 5, [1], None, {}]:
        run = failing.run(throws("InvalidInput", "the input is no object"), payload)
        assert (run.status, run.error) == ("FAILED", "InvalidInput")
        assert f"Input: {json.dumps(payload)}\n" in failing.mail()["Message"]


def test_a_payload_that_cannot_be_mailed_costs_the_payload_and_not_the_mail(failing: FailingMachine) -> None:
    run = failing.run(throws("StatementFailed"), full=[throws("SNS.InvalidParameterException")])
    assert (run.status, run.error, run.cause) == ("FAILED", "StatementFailed", "because")
    mail = failing.mail()
    message = mail["Message"]
    # SNS may have refused the name of the error, if that is not one of this application's.
    assert mail["Subject"] == f"{failing.name} failed"
    assert message.startswith("StatementFailed: because\n\nInput: could not be mailed\n\n")
    assert f"Execution: {run.execution['executionArn']}\nhttps://console/{run.execution['executionArn']}\n" in message
    assert message.endswith("What to do: docs/operating.md, section StatementFailed\n")
    assert "event_message" not in message


def test_the_execution_fails_with_its_own_error_when_no_mail_can_be_sent(failing: FailingMachine) -> None:
    for error in ["SNS.NotFoundException", "States.DataLimitExceeded", "States.Timeout"]:
        run = failing.run(throws("StatementFailed"), full=[throws(error)], brief=[throws(error)])
        assert (run.status, run.error, run.cause) == ("FAILED", "StatementFailed", "because")
        assert run.states[-3:] == [NOTIFY, NOTIFY_BRIEFLY, failing.end]


def test_an_input_too_large_for_the_task_is_mailed_too(failing: FailingMachine) -> None:
    run = failing.run(throws("States.DataLimitExceeded"))
    assert NOTIFY in run.states
    assert failing.mail()["Message"].startswith("States.DataLimitExceeded: ")


def test_sending_a_mail_is_tried_again(failing: FailingMachine) -> None:
    for error in ["SNS.InternalErrorException", "SNS.ThrottledException", "SNS.SdkClientException"]:
        run = failing.run(throws("StatementFailed"), full=[throws(error), returns({})])
        assert (run.error, run.attempts[NOTIFY], run.waits) == ("StatementFailed", 2, [2])
        run = failing.run(throws("StatementFailed"), full=[throws(error)], brief=[throws(error)])
        assert (run.error, run.waits) == ("StatementFailed", [2, 4, 8, 16] * 2)


def test_a_payload_and_an_error_keep_to_their_lines(failing: FailingMachine) -> None:
    """Whatever States.Format and JSON make of braces, quotes and line breaks."""
    hostile = "x\n\nConsole: https://example.org/\r\n{} \\{\\} '{}' \\' $.Cause ${ConsoleUrl} States.Format('{}', $)"
    failing.run(throws("Odd", "{} \\{\\} '{}' $$.Task.Token"), {"table": hostile, hostile: [hostile]})
    message = failing.mail()["Message"]
    assert [line.split(":")[0] for line in message.splitlines() if "example.org" in line] == ["Input"]
    assert json.loads(message.split("Input: ")[1].split("\n")[0]) == {"table": hostile, hostile: [hostile]}
    assert "{} \\{\\} '{}' $$.Task.Token\n" in message
