"""Runs state machines through moto's interpreter, with scripted results for their tasks."""

import json
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from moto.stepfunctions.parser.mocking.mock_config import MockedResponseReturn, MockedResponseThrow

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef, HistoryEventTypeDef

REGION = "us-east-1"

# What a moment may mend in the invocation of any function, and the longest waits before each further attempt, in
# seconds. A state's own transient errors are retried alike.
LAMBDA_FAILED = [
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Sandbox.Timedout",
]
FAILED_WAITS: list[float] = [5, 10, 20, 40, 80, 160, 300, 300]

# What takes as long as a loader runs, or as Lambda needs for a VPC's network interfaces.
LAMBDA_NOT_READY = [
    "Lambda.TooManyRequestsException",
    "Lambda.EC2ThrottledException",
    "Lambda.EC2UnexpectedException",
    "Lambda.ENILimitReachedException",
    "Lambda.ENINotReadyException",
    "Lambda.ResourceConflictException",
    "Lambda.ResourceNotReadyException",
    "Lambda.SubnetIPAddressLimitReachedException",
]
NOT_READY_WAITS: list[float] = [5, 10, 20, 40, *[60] * 56]

# A function that ended without a word: its memory was full, or its machine is gone.
LAMBDA_KILLED = ["Lambda.Unknown", "Runtime.ExitError"]
KILLED_WAITS: list[float] = [5, 10]

# Each of them once, one after the other. A retrier counts its errors together, so the waits tell which is whose.
LAMBDA_ERRORS = [*LAMBDA_FAILED, *LAMBDA_NOT_READY, *LAMBDA_KILLED]
LAMBDA_WAITS = [*FAILED_WAITS[: len(LAMBDA_FAILED)], *NOT_READY_WAITS[: len(LAMBDA_NOT_READY)], *KILLED_WAITS]

Result = MockedResponseReturn | MockedResponseThrow


def returns(payload: Any) -> Result:
    """A task that succeeds; a Lambda's own result goes under `Payload`, unless the task waits for a token."""
    return MockedResponseReturn(0, 0, payload)


def throws(error: str, cause: str = "because") -> Result:
    """A task attempt that fails."""
    return MockedResponseThrow(0, 0, error, cause)


class _Script(Sequence[Result]):
    """Results of a state in the order of its attempts, over retries and visits alike; the last one stays."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = list(results)

    def __len__(self) -> int:
        return 1_000_000  # the interpreter asks for one result per retry count

    def __getitem__(self, _attempt: Any) -> Any:
        return self._results.pop(0) if len(self._results) > 1 else self._results[0]


@dataclass
class Scripts:
    """What moto's interpreter takes for a mock test case: the scripted results by state name."""

    state_mocked_responses: "dict[str, StateScript]"


@dataclass
class StateScript:
    """What moto's interpreter takes for the results of one state."""

    mocked_responses: _Script


@dataclass
class Run:
    """One finished execution."""

    steps: "SFNClient"
    execution: "DescribeExecutionOutputTypeDef"
    waits: list[float]

    @cached_property
    def history(self) -> "list[HistoryEventTypeDef]":
        """Its events, which moto takes longer to hand out than to run it."""
        return self.steps.get_execution_history(executionArn=self.execution["executionArn"], maxResults=1000)["events"]

    @property
    def status(self) -> str:
        return self.execution["status"]

    @property
    def output(self) -> Any:
        return json.loads(self.execution["output"])

    @property
    def error(self) -> str:
        return self.execution["error"]

    @property
    def cause(self) -> str:
        return self.execution.get("cause", "")

    @property
    def states(self) -> list[str]:
        """The names of the states entered, in order."""
        return [
            event["stateEnteredEventDetails"]["name"] for event in self.history if "stateEnteredEventDetails" in event
        ]

    @property
    def attempts(self) -> Counter[str]:
        """How often a task of each state was tried."""
        counts: Counter[str] = Counter()
        state = ""
        for event in self.history:
            if "stateEnteredEventDetails" in event:
                state = event["stateEnteredEventDetails"]["name"]
            elif event["type"] == "TaskScheduled":
                counts[state] += 1
        return counts

    def timeouts(self) -> list[int]:
        """The seconds that each task of Lambda's may take."""
        return [
            event["taskScheduledEventDetails"]["timeoutInSeconds"]
            for event in self.history
            if event["type"] == "TaskScheduled" and event["taskScheduledEventDetails"]["resourceType"] == "lambda"
        ]

    def parameters(self, resource: str) -> list[Any]:
        """The parameters of each task that was sent to a service, such as "lambda" or "sns"."""
        return [
            json.loads(event["taskScheduledEventDetails"]["parameters"])
            for event in self.history
            if event["type"] == "TaskScheduled" and event["taskScheduledEventDetails"]["resourceType"] == resource
        ]


@dataclass(frozen=True)
class Machine:
    """A state machine made from its ASL file."""

    steps: "SFNClient"
    arn: str
    scripts: Scripts
    waits: list[float]

    def run(self, payload: Any, results: Mapping[str, Sequence[Result]]) -> Run:
        """Execute with an input and scripted results by state name; states without a script call moto's services."""
        self.scripts.state_mocked_responses = {name: StateScript(_Script(script)) for name, script in results.items()}
        self.waits.clear()
        arn = self.steps.start_execution(stateMachineArn=self.arn, name=str(uuid.uuid4()), input=json.dumps(payload))[
            "executionArn"
        ]
        return Run(self.steps, self.steps.describe_execution(executionArn=arn), list(self.waits))

    def mails(self) -> list[dict[str, str]]:
        """What was published to the failure topic: `Subject` and `Message`."""
        sqs = boto3.client("sqs", REGION)
        queue = sqs.get_queue_url(QueueName="mails")["QueueUrl"]
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]
