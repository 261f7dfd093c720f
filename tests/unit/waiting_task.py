"""A task that waits for its token in moto's Step Functions, and what the functions that submit for it need."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from moto.core.models import DEFAULT_ACCOUNT_ID

from statements.token_store import UNFINISHED_INDEX

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

REGION = "us-east-1"
ACCOUNT = DEFAULT_ACCOUNT_ID
TOKEN_TABLE = "tokens"
LEDGER_TABLE = "ledger"
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "POWERTOOLS_SERVICE_NAME": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "test",
    "META_TABLE": TOKEN_TABLE,
    "LEDGER_TABLE": LEDGER_TABLE,
    "REDSHIFT_DB_NAME": "dev",
    "CLUSTER_IDENTIFIER": "analytics",
    "WORKGROUP_NAME": "",
    "DB_SECRET_ARN": "",
    "DB_USER": "etl",
    "REDSHIFT_REGION": "",
}
"""What every function has in its environment that submits statements."""

_MACHINE = "waiting"
_QUEUE = "issued-tokens"
_MOST_SECONDS = 10.0


@dataclass(frozen=True)
class FunctionContext:
    """What Powertools reads of a Lambda context."""

    function_name: str = "function"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:function"
    aws_request_id: str = "request"
    milliseconds_left: int = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds_left


def make_tokens() -> None:
    """Make the token table."""
    boto3.client("dynamodb", REGION).create_table(
        TableName=TOKEN_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "statementName", "AttributeType": "S"},
            {"AttributeName": "unfinished", "AttributeType": "S"},
            {"AttributeName": "unfinishedSince", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "statementName", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": UNFINISHED_INDEX,
                "KeySchema": [
                    {"AttributeName": "unfinished", "KeyType": "HASH"},
                    {"AttributeName": "unfinishedSince", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
    )


def make() -> None:
    """Make the token table, and a state machine whose task sends its token to a queue and waits."""
    make_tokens()
    queue = boto3.client("sqs", REGION).create_queue(QueueName=_QUEUE)["QueueUrl"]
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody.$": "$$.Task.Token"},
        "End": True,
    }
    boto3.client("stepfunctions", REGION).create_state_machine(
        name=_MACHINE,
        definition=json.dumps({"StartAt": "Wait", "States": {"Wait": task}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
    )


def make_ledger() -> None:
    """Make the ledger, where executions note what they have under way."""
    boto3.client("dynamodb", REGION).create_table(
        TableName=LEDGER_TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("loadId", "entry")],
        KeySchema=[{"AttributeName": "loadId", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
    )


def start(state: str, execution_input: Any, name: str) -> dict[str, Any]:
    """Start an execution and return the event that the function gets which submits for its task."""
    arn = _steps().start_execution(
        stateMachineArn=f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{_MACHINE}",
        name=name,
        input=json.dumps(execution_input),
    )["executionArn"]
    return {
        "execution": {"Id": arn, "Input": execution_input, "StartTime": "2026-11-22T03:00:04.123Z", "RedriveCount": 0},
        "state": state,
        "task_token": _token(),
    }


def ended(arn: str) -> dict[str, Any]:
    """Describe an execution when it has ended, which must be soon."""
    steps = _steps()
    deadline = time.monotonic() + _MOST_SECONDS
    while (execution := steps.describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, f"{arn} still waits for its token"
        threading.Event().wait(0.01)
    return dict(execution)


@cache
def _steps() -> SFNClient:
    return boto3.client("stepfunctions", REGION)


@cache
def _sqs() -> SQSClient:
    return boto3.client("sqs", REGION)


def _token() -> str:
    sqs, queue = _sqs(), f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{_QUEUE}"
    deadline = time.monotonic() + _MOST_SECONDS
    while time.monotonic() < deadline:
        for message in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=0).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return str(message["Body"])
        threading.Event().wait(0.01)
    raise AssertionError("the task issued no token")
