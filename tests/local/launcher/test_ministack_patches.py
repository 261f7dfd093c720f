"""Each patch of MiniStack: the gap as it comes, and the mend in the local AWS."""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore.exceptions import ClientError

from local import ministack_patches
from tests.local.launcher.emulator import DEADLINE_SECONDS, Emulator, archive

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RAISING = """
class SpnameNotAllowedError(Exception):
    pass

def handler(event, context):
    raise SpnameNotAllowedError("no such procedure")
"""


def callback_task(function_arn: str, **fields: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {"FunctionName": function_arn, "Payload": {"token.$": "$$.Task.Token"}},
        "TimeoutSeconds": 3,
        "End": True,
        **fields,
    }


def task(function_arn: str, **fields: Any) -> dict[str, Any]:
    parameters = {"FunctionName": function_arn, "Payload.$": "$"}
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": parameters,
        "End": True,
        **fields,
    }


def test_a_callback_task_fails_at_once_when_its_lambda_raises(plain: Emulator, mended: Emulator) -> None:
    def error_of(emulator: Emulator) -> str:
        function = emulator.create_function("raises-in-callback", RAISING)
        return str(emulator.execute("callback-raises", {"Wait": callback_task(function)})["error"])

    assert error_of(plain) == "States.Timeout"
    assert error_of(mended) == "SpnameNotAllowedError"


def test_a_catch_matches_the_class_of_the_exception(plain: Emulator, mended: Emulator) -> None:
    def status_of(emulator: Emulator) -> str:
        function = emulator.create_function("raises", RAISING)
        catch = [{"ErrorEquals": ["SpnameNotAllowedError"], "Next": "Caught"}]
        states = {"Call": task(function, Catch=catch), "Caught": {"Type": "Succeed"}}
        return str(emulator.execute("catch-by-class", states)["status"])

    assert status_of(plain) == "FAILED"
    assert status_of(mended) == "SUCCEEDED"


def test_the_cause_is_the_error_as_lambda_reports_it(mended: Emulator) -> None:
    function = mended.create_function("raises-for-cause", RAISING)

    cause = json.loads(mended.execute("cause", {"Call": task(function)})["cause"])

    assert cause["errorType"] == "SpnameNotAllowedError"
    assert cause["errorMessage"] == "no such procedure"
    assert 'raise SpnameNotAllowedError("no such procedure")' in "\n".join(cause["stackTrace"])


def test_a_worker_lives_on_after_its_handler_raised(plain: Emulator, mended: Emulator) -> None:
    source = """
import os
def handler(event, context):
    if event.get("fail"):
        raise ValueError(os.getpid())
    return os.getpid()
"""

    def processes_of(emulator: Emulator) -> tuple[int, int]:
        emulator.create_function("fails-then-works", source)
        invoke = emulator.clients["lambda"].invoke
        failed = invoke(FunctionName="fails-then-works", Payload='{"fail": true}')
        worked = invoke(FunctionName="fails-then-works", Payload="{}")
        return (
            int(json.loads(failed["Payload"].read())["errorMessage"]),
            int(worked["Payload"].read()),
        )

    failed, worked = processes_of(plain)
    assert failed != worked
    failed, worked = processes_of(mended)
    assert failed == worked


def test_a_function_that_was_killed_is_told_from_one_that_raised(plain: Emulator, mended: Emulator) -> None:
    source = "import os, signal\ndef handler(event, context):\n    os.kill(os.getpid(), signal.SIGKILL)\n"

    def error_of(emulator: Emulator) -> str:
        function = emulator.create_function("is-killed", source)
        return str(json.loads(emulator.execute("killed", {"Call": task(function)})["cause"])["errorType"])

    assert error_of(plain) == "Runtime.HandlerError"
    assert error_of(mended) == "Runtime.ExitError"


def wait_for(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_update_of_a_function_ends_no_invocation(plain: Emulator, mended: Emulator, tmp_path: Path) -> None:
    source = """
import os, pathlib, time
def handler(event, context):
    folder = pathlib.Path(event["folder"])
    (folder / "begun").touch()
    while not (folder / "updated").exists():
        time.sleep(0.02)
    return pathlib.Path(__file__).exists() and os.environ.get("VERSION", "first")
"""

    def answers_of(emulator: Emulator, folder: Path) -> list[Any]:
        folder.mkdir()
        functions, payload = emulator.clients["lambda"], json.dumps({"folder": str(folder)})
        emulator.create_function("is-updated", source, Timeout=60)

        def invoke() -> Any:
            return json.loads(functions.invoke(FunctionName="is-updated", Payload=payload)["Payload"].read())

        with ThreadPoolExecutor(1) as thread:
            under_way = thread.submit(invoke)
            wait_for((folder / "begun").exists)
            functions.update_function_configuration(
                FunctionName="is-updated", Environment={"Variables": {"VERSION": "second"}}
            )
            (folder / "updated").touch()
            return [under_way.result(), invoke()]

    before, after = answers_of(plain, tmp_path / "plain")
    assert before["errorType"]
    assert after == "second"
    assert answers_of(mended, tmp_path / "mended") == ["first", "second"]


def test_a_retry_waits_no_longer_than_its_state_asks_for(mended: Emulator) -> None:
    function = mended.create_function("raises-and-is-retried", RAISING)
    retry = {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2, "BackoffRate": 1_000_000, "MaxDelaySeconds": 1}

    assert mended.execute("retried", {"Call": task(function, Retry=[retry])})["error"] == "SpnameNotAllowedError"


def test_an_execution_that_is_stopped_while_it_waits_for_a_retry_does_not_try_again(
    plain: Emulator, mended: Emulator, tmp_path: Path
) -> None:
    source = """
import pathlib, uuid
def handler(event, context):
    (pathlib.Path(event["folder"]) / uuid.uuid4().hex).touch()
    raise ValueError
"""

    def stopped_after_a_call(emulator: Emulator, folder: Path) -> Path:
        folder.mkdir()
        steps, function = emulator.clients["stepfunctions"], emulator.create_function("is-stopped", source)
        retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}
        states = {"Call": task(function, Retry=[retry])}
        arn = steps.create_state_machine(
            name="is-stopped", definition=json.dumps({"StartAt": "Call", "States": states}), roleArn=emulator.role_arn
        )["stateMachineArn"]
        execution = steps.start_execution(stateMachineArn=arn, input=json.dumps({"folder": str(folder)}))
        wait_for(lambda: any(folder.iterdir()))
        steps.stop_execution(executionArn=execution["executionArn"])
        return folder

    of_plain = stopped_after_a_call(plain, tmp_path / "plain")
    of_mended = stopped_after_a_call(mended, tmp_path / "mended")
    wait_for(lambda: len(list(of_plain.iterdir())) == 2)
    # As long as the other had to wait for its second call, and once more.
    time.sleep(2)
    assert len(list(of_mended.iterdir())) == 1


def test_each_attempt_of_a_callback_task_has_its_own_token(plain: Emulator, mended: Emulator) -> None:
    source = """
import boto3
states = boto3.client("stepfunctions")
tokens = []
def handler(event, context):
    tokens.append(event["token"])
    if len(tokens) == 1:
        states.send_task_failure(taskToken=event["token"], error="Busy")
    else:
        states.send_task_success(taskToken=event["token"], output=str(len(set(tokens))))
"""

    def tokens_of(emulator: Emulator) -> str:
        policy = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "states:*", "Resource": "*"}],
        }
        emulator.clients["iam"].put_role_policy(RoleName="any", PolicyName="states", PolicyDocument=json.dumps(policy))
        function = emulator.create_function("fails-first", source, Timeout=30)
        retry = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 1, "MaxAttempts": 1}]
        states = {"Wait": callback_task(function, Retry=retry, TimeoutSeconds=30)}
        return str(emulator.execute("attempts", states)["output"])

    assert tokens_of(plain) == "1"
    assert tokens_of(mended) == "2"


def test_a_distributed_map_follows_its_path_fields(plain: Emulator, mended: Emulator) -> None:
    states = {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "MaxConcurrencyPath": "$.at_once",
            "ToleratedFailurePercentagePath": "$.percent",
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Odd?",
                "States": {
                    "Odd?": {
                        "Type": "Choice",
                        "Choices": [{"Variable": "$", "NumericEquals": 1, "Next": "Refuse"}],
                        "Default": "Accept",
                    },
                    "Refuse": {"Type": "Fail", "Error": "Odd"},
                    "Accept": {"Type": "Succeed"},
                },
            },
            "End": True,
        }
    }

    def outcome_of(emulator: Emulator) -> tuple[str, int]:
        ended = emulator.execute("paths-of-map", states, {"items": [0, 1], "at_once": 7, "percent": 50})
        states_client = emulator.clients["stepfunctions"]
        run = states_client.list_map_runs(executionArn=ended["executionArn"])["mapRuns"][0]
        described = states_client.describe_map_run(mapRunArn=run["mapRunArn"])
        return ended["status"], described["maxConcurrency"]

    assert outcome_of(plain) == ("FAILED", 0)
    assert outcome_of(mended) == ("SUCCEEDED", 7)


def test_a_task_waits_as_long_as_its_input_says(plain: Emulator, mended: Emulator) -> None:
    def status_of(emulator: Emulator) -> str:
        source = "import time\n\ndef handler(event, context):\n    time.sleep(2)\n"
        function = emulator.create_function("takes-its-time", source, Timeout=30)
        states = {"Work": task(function, TimeoutSecondsPath="$.seconds")}
        return str(emulator.execute("timeout-of-input", states, {"seconds": 1})["status"])

    assert status_of(plain) == "SUCCEEDED"
    assert status_of(mended) == "FAILED"


def test_workers_share_one_unpacked_copy_of_a_layer(plain: Emulator, mended: Emulator) -> None:
    source = """
import layered
def handler(event, context):
    return layered.__file__
"""

    def folders_of(emulator: Emulator) -> set[str]:
        layer = emulator.clients["lambda"].publish_layer_version(
            LayerName="layered", Content={"ZipFile": archive({"python/layered.py": ""})}
        )
        folders = set()
        for name in ("reads-layer-1", "reads-layer-2"):
            emulator.create_function(name, source, Layers=[layer["LayerVersionArn"]])
            answer = emulator.clients["lambda"].invoke(FunctionName=name, Payload="{}")
            folders.add(json.loads(answer["Payload"].read()))
        return folders

    assert len(folders_of(plain)) == 2
    assert len(folders_of(mended)) == 1


YAML_MACHINE = """
Resources:
  Machine:
    Type: AWS::StepFunctions::StateMachine
    Properties:
      StateMachineName: written-in-yaml
      RoleArn: arn:aws:iam::000000000000:role/any
      DefinitionSubstitutions: {Answer: "42"}
      DefinitionString: |
        StartAt: Answer
        States:
          Answer:
            Type: Pass
            Result: ${Answer}
            End: true
Outputs:
  Arn:
    Value: !Ref Machine
"""


def test_a_state_machine_written_in_yaml_runs(plain: Emulator, mended: Emulator) -> None:
    def outcome_of(emulator: Emulator) -> tuple[str, str | None]:
        cloudformation = emulator.clients["cloudformation"]
        cloudformation.create_stack(StackName="yaml", TemplateBody=YAML_MACHINE)
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="yaml", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        (stack,) = cloudformation.describe_stacks(StackName="yaml")["Stacks"]
        ended = emulator.run(stack["Outputs"][0]["OutputValue"])
        return ended["status"], ended.get("output")

    assert outcome_of(plain) == (
        "FAILED",
        '{"Error": "InvalidDefinition", "Cause": "Could not parse state machine definition"}',
    )
    assert outcome_of(mended) == ("SUCCEEDED", "42")


def test_a_condition_compares_what_joined_and_split_texts_come_to(plain: Emulator, mended: Emulator) -> None:
    template = """
Parameters:
  Zones: {Type: CommaDelimitedList, Default: ""}
  Key: {Type: String, Default: id}
Conditions:
  HasZones: !Not [!Equals [!Join ["", !Ref Zones], ""]]
  HasTwoKeys: !Not [!Equals [!Select [1, !Split [",", !Join ["", [!Ref Key, ","]]]], ""]]
Resources:
  Always: {Type: AWS::SNS::Topic}
  IfZones: {Type: AWS::SNS::Topic, Condition: HasZones}
  IfTwoKeys: {Type: AWS::SNS::Topic, Condition: HasTwoKeys}
"""

    def made_by(emulator: Emulator, name: str, **given: str) -> list[str]:
        cloudformation = emulator.clients["cloudformation"]
        parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
        cloudformation.create_stack(StackName=name, TemplateBody=template, Parameters=parameters)
        cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
        found = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
        return sorted(resource["LogicalResourceId"] for resource in found)

    assert made_by(mended, "none") == ["Always"]
    assert made_by(mended, "both", Zones="a,b", Key="id,at") == ["Always", "IfTwoKeys", "IfZones"]
    with pytest.raises(ClientError, match="nonexistent value"):
        made_by(plain, "none")


def test_a_number_in_a_key_is_the_same_however_it_is_written(plain: Emulator, mended: Emulator) -> None:
    def items_after_deleting(emulator: Emulator) -> int:
        dynamodb, name = emulator.clients["dynamodb"], "numbers"
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "n", "AttributeType": "N"}],
            KeySchema=[{"AttributeName": "n", "KeyType": "HASH"}],
        )
        key = {"n": {"N": "1.50"}}
        dynamodb.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": key}}]})
        assert dynamodb.scan(TableName=name)["Items"] == [{"n": {"N": "1.5"}}]
        dynamodb.batch_write_item(RequestItems={name: [{"DeleteRequest": {"Key": key}}]})
        return int(dynamodb.scan(TableName=name)["Count"])

    assert items_after_deleting(plain) == 1
    assert items_after_deleting(mended) == 0


def test_a_bucket_that_demands_tls_is_open_to_who_may_read_it(plain: Emulator, mended: Emulator) -> None:
    demand = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "arn:aws:s3:::demands-tls",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    may_list = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}

    def status_of(emulator: Emulator) -> int:
        s3, iam = emulator.clients["s3"], emulator.clients["iam"]
        s3.create_bucket(Bucket="demands-tls")
        s3.put_bucket_policy(Bucket="demands-tls", Policy=json.dumps({"Statement": [demand]}))
        role = iam.create_role(RoleName="lists", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))["Role"]
        iam.put_role_policy(RoleName="lists", PolicyName="s3", PolicyDocument=json.dumps({"Statement": [may_list]}))
        assumed = emulator.clients["sts"].assume_role(RoleArn=role["Arn"], RoleSessionName="one")["Credentials"]
        session = botocore.session.Session()
        session.set_credentials(assumed["AccessKeyId"], assumed["SecretAccessKey"], assumed["SessionToken"])
        client: Any = session.create_client("s3", region_name="us-east-1", endpoint_url=s3.meta.endpoint_url)
        try:
            answer = client.list_objects_v2(Bucket="demands-tls")
        except ClientError as error:
            answer = error.response
        return int(answer["ResponseMetadata"]["HTTPStatusCode"])

    assert status_of(plain) == 403
    assert status_of(mended) == 200


def test_another_version_of_ministack_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ministack_patches, "version", lambda _package: "1.5.34")

    with pytest.raises(ministack_patches.UnsupportedMiniStackError, match=r"needs MiniStack 1\.5\.33, but 1\.5\.34"):
        ministack_patches.apply()


def test_a_stack_may_save_queries(plain: Emulator, mended: Emulator) -> None:
    query = {"Type": "AWS::Logs::QueryDefinition", "Properties": {"Name": "errors", "QueryString": "fields @message"}}

    def deploy(emulator: Emulator) -> str:
        cloudformation = emulator.clients["cloudformation"]
        cloudformation.create_stack(StackName="queries", TemplateBody=json.dumps({"Resources": {"Query": query}}))
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName="queries", WaiterConfig={"Delay": 1, "MaxAttempts": DEADLINE_SECONDS}
        )
        return str(cloudformation.describe_stacks(StackName="queries")["Stacks"][0]["StackStatus"])

    with pytest.raises(ClientError, match="Unrecognized resource types"):
        deploy(plain)
    assert deploy(mended) == "CREATE_COMPLETE"


class TestSchedules:
    """A schedule has the time zone that it is given, and its target is told the time that it is for."""

    INPUT = '{"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}'

    def deploy(self, emulator: Emulator, zone: str) -> str:
        """Make a stack of a schedule that never comes; return how that ended."""
        timer = {
            "Type": "AWS::Scheduler::Schedule",
            "Properties": {
                "Name": "nightly",
                "ScheduleExpression": "cron(0 3 * * ? 2199)",
                "ScheduleExpressionTimezone": zone,
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": emulator.role_arn},
            },
        }
        cloudformation, stack = emulator.clients["cloudformation"], f"timer-{zone.replace('/', '-')}"
        cloudformation.create_stack(StackName=stack, TemplateBody=json.dumps({"Resources": {"Timer": timer}}))
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (found := cloudformation.describe_stacks(StackName=stack)["Stacks"][0])["StackStatus"].endswith(
            "IN_PROGRESS"
        ):
            assert time.monotonic() < deadline, found
            time.sleep(0.05)
        return str(found["StackStatus"])

    def zone(self, emulator: Emulator) -> str:
        return str(emulator.clients["scheduler"].get_schedule(Name="nightly")["ScheduleExpressionTimezone"])

    def test_it_has_its_zone(self, plain: Emulator, mended: Emulator) -> None:
        for emulator, zone in ((plain, "UTC"), (mended, "Europe/Berlin")):
            assert self.deploy(emulator, "Europe/Berlin") == "CREATE_COMPLETE"
            assert self.zone(emulator) == zone

    def test_a_zone_that_there_is_not_is_refused_and_so_is_the_stack(self, plain: Emulator, mended: Emulator) -> None:
        assert self.deploy(plain, "Europe/Barlin") == "CREATE_COMPLETE"
        assert self.deploy(mended, "Europe/Barlin").startswith("ROLLBACK")

    def test_its_target_gets_the_time_that_it_is_for(self, plain: Emulator, mended: Emulator) -> None:
        def told(emulator: Emulator) -> Any:
            sqs = emulator.clients["sqs"]
            queue = sqs.create_queue(QueueName="fired")["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            emulator.clients["scheduler"].create_schedule(
                Name="once",
                ScheduleExpression="at(2020-01-01T00:00:00)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": arn, "RoleArn": emulator.role_arn, "Input": self.INPUT},
            )
            (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
            return json.loads(message["Body"])

        assert told(plain)["at"] == "<aws.scheduler.scheduled-time>"
        fired = told(mended)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fired["at"])
        assert fired["by"].endswith(":schedule/default/once")


class TestRedrive:
    """An execution goes on where it was stopped."""

    CALLS = """
calls = []
def handler(event, context):
    calls.append(event["state"])
    return {"calls": list(calls), "redrives": event["execution"].get("RedriveCount")}
"""

    def wait(self, emulator: Emulator, arn: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not reached(described := emulator.clients["stepfunctions"].describe_execution(executionArn=arn)):
            assert time.monotonic() < deadline, described
            time.sleep(0.05)
        return dict(described)

    def stopped(self, emulator: Emulator) -> str:
        """An execution whose first state has ended, and which was stopped while it waited."""
        function = emulator.create_function("calls", self.CALLS)
        payload = {"state.$": "$$.State.Name", "execution.$": "$$.Execution"}
        call = {"Parameters": {"FunctionName": function, "Payload": payload}, "ResultPath": "$.first"}
        states = {
            "First": task(function, **call, Next="Pause"),
            "Pause": {"Type": "Wait", "Seconds": 1, "Next": "Last"},
            "Last": task(function, **call | {"ResultPath": "$.last"}),
        }
        del states["First"]["End"]
        steps = emulator.clients["stepfunctions"]
        machine = steps.create_state_machine(
            name="redriven", definition=json.dumps({"StartAt": "First", "States": states}), roleArn=emulator.role_arn
        )["stateMachineArn"]
        arn: str = steps.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
        wait_for(lambda: "WaitStateEntered" in str(steps.get_execution_history(executionArn=arn)["events"]))
        steps.stop_execution(executionArn=arn)
        return arn

    def test_there_is_none_in_ministack(self, plain: Emulator) -> None:
        with pytest.raises(ClientError, match="InvalidAction"):
            plain.clients["stepfunctions"].redrive_execution(executionArn=self.stopped(plain))

    def test_what_had_ended_is_not_done_again_and_the_rest_is_told_of_the_redrive(self, mended: Emulator) -> None:
        arn = self.stopped(mended)
        steps = mended.clients["stepfunctions"]
        steps.redrive_execution(executionArn=arn)
        described = self.wait(mended, arn, lambda described: described["status"] != "RUNNING")
        assert (described["status"], described["redriveCount"]) == ("SUCCEEDED", 1)
        output = json.loads(described["output"])
        assert output["first"]["Payload"] == {"calls": ["First"], "redrives": None}
        assert output["last"]["Payload"] == {"calls": ["First", "Last"], "redrives": 1}
        with pytest.raises(ClientError, match="ExecutionNotRedrivable"):
            steps.redrive_execution(executionArn=arn)
