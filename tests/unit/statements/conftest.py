"""The callback mechanism's functions with moto's DynamoDB, Step Functions and Redshift Data API, sockets closed."""

import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_socket
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.redshiftdata.models import redshiftdata_backends

import aws_clients
import redshift_run_sps.app
import step_function_callback.app
from telemetry import logger, metrics

REGION = "us-east-1"
EVENTS = Path(__file__).parents[3] / "events"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "test",
    "META_TABLE": "tokens",
    "REDSHIFT_DB_NAME": "dev",
    "CLUSTER_IDENTIFIER": "analytics",
    "WORKGROUP_NAME": "",
    "DB_SECRET_ARN": "",
    "DB_USER": "etl",
    "REDSHIFT_REGION": "",
    "ALLOWED_PROCEDURES": "public.*,etl.sp_nightly",
}


@dataclass(frozen=True)
class FunctionContext:
    """What Powertools reads of a Lambda context."""

    function_name: str = "function"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request"


@dataclass
class Pipeline:
    """A task that waits for its token, and the two functions around it.

    `calls` are the parameters of each ExecuteStatement, `causes` those that tasks were failed with (moto drops them).
    """

    logs: io.StringIO
    calls: list[dict[str, Any]] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)

    def start_task(self, payload: Any, name: str = "nightly") -> dict[str, Any]:
        """Start an execution whose task waits, and return the event that RedshiftRunSpsFunction gets."""
        steps = boto3.client("stepfunctions", REGION)
        machine = f"arn:aws:states:{REGION}:{DEFAULT_ACCOUNT_ID}:stateMachine:waiting"
        arn = steps.start_execution(stateMachineArn=machine, name=name, input=json.dumps(payload))["executionArn"]
        return {
            "execution": {"Id": arn, "Input": payload, "RedriveCount": 0},
            "state": {"Name": "Run Stored Procedure", "EnteredTime": "2026-11-22T03:00:04.123Z", "RetryCount": 0},
            "task_token": self._token(),
        }

    def _token(self) -> str:
        sqs = boto3.client("sqs", REGION)
        queue = sqs.get_queue_url(QueueName="tokens")["QueueUrl"]
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=0).get("Messages", []):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                return str(message["Body"])
            threading.Event().wait(0.01)
        raise AssertionError("the task issued no token")

    def submit(self, event: dict[str, Any]) -> None:
        """Invoke RedshiftRunSpsFunction."""
        redshift_run_sps.app.handler(event, FunctionContext())

    def call_back(self, **detail: Any) -> None:
        """Invoke StepFunctionCallBack with Redshift's event; `detail` overrides what the last statement makes."""
        event = json.loads((EVENTS / "redshift_data_statement_status_change.json").read_text())
        known = {"statementName": self.calls[-1]["StatementName"], "statementId": self.statements[-1].id}
        event["detail"] |= known | detail
        step_function_callback.app.handler(event, FunctionContext())

    @property
    def statements(self) -> list[Any]:
        """The statements that Redshift was given, which moto calls finished; tests change that."""
        return list(redshiftdata_backends[DEFAULT_ACCOUNT_ID][REGION].statements.values())

    def row(self) -> dict[str, Any]:
        """The only row of the token table."""
        (row,) = boto3.resource("dynamodb", REGION).Table("tokens").scan()["Items"]
        return row

    def end_statement(self, status: str = "FINISHED", error: str = "") -> None:
        """Let the last statement end, with Redshift's error text."""
        self.statements[-1].status = status
        if error:
            # moto's answer lacks the error text.
            aws_clients.client("redshift-data").meta.events.register(
                "after-call.redshift-data.DescribeStatement", lambda parsed, **_: parsed.update(Error=error)
            )

    def is_waiting(self, arn: str) -> bool:
        """Whether an execution still waits for its token."""
        return boto3.client("stepfunctions", REGION).describe_execution(executionArn=arn)["status"] == "RUNNING"

    def outcome(self, arn: str) -> tuple[str, Any]:
        """How an execution ends: its status, with its output or its error."""
        steps = boto3.client("stepfunctions", REGION)
        deadline = time.monotonic() + 10
        while (execution := steps.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{arn} still waits for its token"
            threading.Event().wait(0.01)
        if execution["status"] == "SUCCEEDED":
            return "SUCCEEDED", json.loads(execution["output"])
        history = steps.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        return execution["status"], history[-1]["executionFailedEventDetails"].get("error")


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    for cached in (aws_clients._client, redshift_run_sps.app._settings, step_function_callback.app._settings):
        cached.cache_clear()
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    pytest_socket.disable_socket(allow_unix_socket=True)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        _make_token_table()
        _make_waiting_machine()
        pipeline = Pipeline(io.StringIO())
        monkeypatch.setattr(logger.registered_handler, "stream", pipeline.logs)
        aws_clients.client("redshift-data").meta.events.register(
            "provide-client-params.redshift-data.ExecuteStatement", lambda params, **_: pipeline.calls.append(params)
        )
        aws_clients.client("stepfunctions").meta.events.register(
            "provide-client-params.sfn.SendTaskFailure",
            lambda params, **_: pipeline.causes.append(params.get("cause", "")),
        )
        yield pipeline
    pytest_socket.enable_socket()


def _make_token_table() -> None:
    boto3.client("dynamodb", REGION).create_table(
        TableName="tokens",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "statementName", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "statementName", "KeyType": "HASH"}],
    )


def _make_waiting_machine() -> None:
    """Make a state machine whose task sends its token to a queue and waits."""
    queue = boto3.client("sqs", REGION).create_queue(QueueName="tokens")["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
        "End": True,
    }
    boto3.client("stepfunctions", REGION).create_state_machine(
        name="waiting",
        definition=json.dumps({"StartAt": "Run Stored Procedure", "States": {"Run Stored Procedure": task}}),
        roleArn=f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/machine",
    )
