"""Deploying, changing and deleting the stack with the real `sam`, and what its parameters do."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING

import pytest

from local import executions
from local.redshift.api.target import REGION, WORKGROUP_ID
from local.stack import ACCOUNT, SamCommandFailedError, delete, deploy_built, local_parameters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.data_api import DataApi
    from local.stack import LocalAws

STACK = "second"
WORKGROUP_ARN = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/{WORKGROUP_ID}"
LOG = "public.sp_etl_log_etl_event"
PARAMETERS = {
    "StackPrefix": "second",
    "DynamodbMetaTable": "second-tokens",
    "DynamodbTargetTable": "second-target",
}


@pytest.fixture(scope="module")
def second(aws: LocalAws, redshift: DataApi, built: None) -> Iterator[dict[str, str]]:
    """The outputs of a second stack beside the first: another prefix and other tables."""
    yield deploy_built(aws, STACK, PARAMETERS)
    delete(aws, STACK)
    with pytest.raises(aws.client("cloudformation").exceptions.ClientError, match="does not exist"):
        aws.client("cloudformation").describe_stacks(StackName=STACK)
    for function in aws.client("lambda").list_functions()["Functions"]:
        assert not function["FunctionName"].startswith("second-")


def test_two_stacks_in_one_account_keep_to_their_own_statements(
    aws: LocalAws, outputs: dict[str, str], second: dict[str, str]
) -> None:
    # Both rules match every statement of this application; each callback knows its own.
    for stack in (outputs, second):
        machine = stack["StoredProcedureStateMachineArn"]
        execution = executions.run(aws.client("stepfunctions"), machine, {"spname": LOG, "event_message": "mine"})
        assert execution.status == "SUCCEEDED", execution.cause


def test_a_lost_event_costs_the_timeout_and_nothing_else(
    aws: LocalAws, outputs: dict[str, str], second: dict[str, str], redshift: DataApi
) -> None:
    events = aws.client("events")
    rule = "second-EventBridgeRedshiftEvent"
    events.disable_rule(Name=rule)
    payload = {"spname": LOG, "event_message": "its event is lost", "timeout_seconds": 10}
    execution = executions.run(aws.client("stepfunctions"), second["StoredProcedureStateMachineArn"], payload)
    events.enable_rule(Name=rule)
    assert execution.status == "SUCCEEDED", execution.cause
    rows = redshift.query("SELECT 1 FROM public.etl_events WHERE event_message = 'its event is lost'")
    assert len(rows) == 1


def test_a_changed_parameter_takes_effect_with_the_next_deploy(aws: LocalAws, second: dict[str, str]) -> None:
    payload = {"spname": LOG, "event_message": "allowed?"}
    changed = {
        "AllowedProcedures": "etl.sp_*,public.sp_other",
        "StoredProcedureSchedule": "cron(0 3 * * ? 2199) Europe/Berlin",
        "StoredProcedureScheduleInput": json.dumps(payload).replace('"', '\\"'),
    }
    assert deploy_built(aws, STACK, PARAMETERS | changed) == second
    execution = executions.run(aws.client("stepfunctions"), second["StoredProcedureStateMachineArn"], payload)
    assert (execution.status, execution.error) == ("FAILED", "ProcedureNotAllowed")
    assert "etl.sp_*, public.sp_other" in execution.cause
    schedule = aws.client("scheduler").get_schedule(Name="second-StoredProcedureSchedule")
    assert schedule["ScheduleExpression"] == "cron(0 3 * * ? 2199)"
    assert schedule["ScheduleExpressionTimezone"] == "Europe/Berlin"

    # The same schedule, due now. It is delivered at least once, so it is delivered a second time here.
    once = {"ScheduleExpression": "at(2026-11-26T03:00:00)", "FlexibleTimeWindow": {"Mode": "OFF"}}
    aws.client("scheduler").create_schedule(Name="second-due", **once, Target=schedule["Target"])
    states, machine = aws.client("stepfunctions"), second["StoredProcedureStateMachineArn"]

    def scheduled() -> list[str]:
        found = states.list_executions(stateMachineArn=machine)["executions"]
        return [each["executionArn"] for each in found if each["name"].startswith("second-due-")]

    deadline = time.monotonic() + 60
    while not scheduled():
        assert time.monotonic() < deadline
        time.sleep(0.2)
    (first,) = scheduled()
    started = executions.wait(states, first)
    assert started.error == "ProcedureNotAllowed"
    assert json.loads(states.describe_execution(executionArn=first)["input"]) == payload
    day_and_time = re.fullmatch(r"second-due-(.+T)(\d\d)(\d\d)(\d\dZ)", started.name)
    assert day_and_time
    again = {
        "schedule": schedule["Arn"].replace("second-StoredProcedureSchedule", "second-due"),
        "scheduled_time": "{}{}:{}:{}".format(*day_and_time.groups()),
        "state_machine": machine,
        "input": payload,
    }
    answer = aws.client("lambda").invoke(FunctionName="second-StartScheduled", Payload=json.dumps(again))
    assert "FunctionError" not in answer
    assert scheduled() == [first]


def test_parameters_that_cannot_go_together_are_refused_before_anything_is_made(aws: LocalAws, built: None) -> None:
    with pytest.raises(SamCommandFailedError, match="both SubnetIds and SecGroup"):
        deploy_built(aws, "impossible", PARAMETERS | {"StackPrefix": "impossible", "SubnetIds": "subnet-1"})
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    assert "impossible" not in {stack["StackName"] for stack in stacks}


@pytest.mark.parametrize(
    ("parameters", "user"),
    [
        ({"ClusterIdentifier": "", "WorkgroupName": WORKGROUP_ARN}, "IAMR:{StatementRoleName}"),
        ({}, "IAMR:{StatementRoleName}"),
        ({"DbUser": "awsuser"}, "awsuser"),
    ],
    ids=["Serverless", "the role's identity", "a database user"],
)
def test_temporary_credentials_in_place_of_the_secret_are_those_of_the_user_that_the_readme_names(
    aws: LocalAws, redshift: DataApi, second: dict[str, str], parameters: dict[str, str], user: str
) -> None:
    cloudformation = aws.client("cloudformation")
    given = local_parameters(aws) | PARAMETERS | {"DbSecretArn": ""} | parameters
    cloudformation.update_stack(
        StackName=STACK,
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloudformation.get_waiter("stack_update_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600}
    )
    redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_who(p_user OUT varchar(200))"
        " AS $$ BEGIN p_user := current_user; END; $$ LANGUAGE plpgsql"
    )
    payload = {"spname": "public.sp_who"}
    execution = executions.run(aws.client("stepfunctions"), second["StoredProcedureStateMachineArn"], payload)
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["result"] == {"p_user": user.format_map(second)}
