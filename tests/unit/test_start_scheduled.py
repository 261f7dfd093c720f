"""StartScheduledFunction: one execution for one scheduled time, however often the schedule fires."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from hypothesis import example, given
from hypothesis import strategies as st
from moto import mock_aws

import aws_clients
import start_scheduled.app
from errors import AwsRefused, AwsUnavailable, InvalidInput, TransientError
from executions.starting import Firing
from tests.unit.outside_calls import FAULTS, Fault, KilledError, OutsideCalls, without_pauses
from tests.unit.waiting_task import ACCOUNT, REGION, FunctionContext

SCHEDULE = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/redshift-pipelines-LoadSchedule"
SLEEPING = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The variables of any function, and Step Functions."""
    for variable, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "POWERTOOLS_SERVICE_NAME": "test",
    }.items():
        monkeypatch.setenv(variable, value)
    aws_clients._client.cache_clear()
    with mock_aws():
        yield


@pytest.fixture
def machine() -> str:
    role = f"arn:aws:iam::{ACCOUNT}:role/machine"
    made = states().create_state_machine(name="loads", definition=json.dumps(SLEEPING), roleArn=role)
    return str(made["stateMachineArn"])


def states() -> Any:
    return boto3.client("stepfunctions", REGION)


def fire(machine: str, **changes: Any) -> None:
    firing = {
        "schedule": SCHEDULE,
        "scheduled_time": "2026-11-26T03:00:00Z",
        "state_machine": machine,
        "input": {"mode": "mirror"},
    }
    start_scheduled.app.handler(firing | changes, FunctionContext())


def started(machine: str) -> dict[str, Any]:
    found = states().list_executions(stateMachineArn=machine)["executions"]
    return {
        each["name"]: json.loads(states().describe_execution(executionArn=each["executionArn"])["input"])
        for each in found
    }


def test_what_is_due_is_started_with_its_input_under_the_name_of_its_time(machine: str) -> None:
    fire(machine)
    assert started(machine) == {"redshift-pipelines-LoadSchedule-2026-11-26T030000Z": {"mode": "mirror"}}


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("changes", [{}, {"input": {"changed": "by a deployment between"}}])
def test_a_second_firing_for_one_time_starts_nothing(machine: str, changes: Any, *, ended: bool) -> None:
    fire(machine)
    if ended:
        (execution,) = states().list_executions(stateMachineArn=machine)["executions"]
        states().stop_execution(executionArn=execution["executionArn"])
    fire(machine, **changes)
    assert list(started(machine).values()) == [{"mode": "mirror"}]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_firing_that_goes_wrong_and_is_delivered_again_starts_one_execution(
    machine: str, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    without_pauses(monkeypatch)
    with suppress(KilledError, TransientError), OutsideCalls(fault, 0) as calls:
        fire(machine)
    assert calls.names == ["StartExecution"]
    fire(machine)
    assert started(machine) == {"redshift-pipelines-LoadSchedule-2026-11-26T030000Z": {"mode": "mirror"}}


def test_other_times_and_other_schedules_start_executions_of_their_own(machine: str) -> None:
    fire(machine)
    fire(machine, scheduled_time="2026-11-27T03:00:00Z")
    fire(machine, schedule=f"{SCHEDULE}-2")
    assert len(started(machine)) == 3


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"scheduled_time": "<aws.scheduler.scheduled-time>"}, "scheduled_time"),
        ({"schedule": "nightly"}, "schedule"),
        ({"input": "{}"}, "input"),
        ({"more": 1}, "more"),
    ],
)
def test_what_no_schedule_passes_on_is_refused(machine: str, changes: Any, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        fire(machine, **changes)
    assert started(machine) == {}


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(400, "StateMachineDoesNotExist", AwsRefused), (500, "ServiceUnavailable", AwsUnavailable)],
)
def test_what_step_functions_refuses_fails_so_that_lambda_tries_again_and_keeps_it(
    machine: str, status: int, code: str, error: type[Exception]
) -> None:
    parsed = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    answer = AWSResponse("https://aws", status, HTTPHeaders(), None)

    def refuse(**_: Any) -> Any:
        return answer, parsed

    aws_clients.client("stepfunctions").meta.events.register("before-call.stepfunctions.StartExecution", refuse)
    with pytest.raises(error):
        fire(machine)


@example("a" * 64)
@given(st.text(st.sampled_from("abcXYZ019_.-"), min_size=1, max_size=64))
def test_every_name_of_a_schedule_makes_one_of_an_execution(name: str) -> None:
    firing = Firing(
        schedule=f"arn:aws-cn:scheduler:cn-north-1:{ACCOUNT}:schedule/group/{name}",
        scheduled_time="2026-11-26T03:00:00Z",
        state_machine="",
        input={},
    )
    assert len(firing.execution_name) <= 80
    assert firing.execution_name.startswith(name[:61])
    assert not set(firing.execution_name) & set(' <>{}[]?*"#%\\^|~`$&,;:/')
