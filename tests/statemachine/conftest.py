"""State machines made from the very ASL files of `statemachine/`."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import boto3
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from jsonpath_ng.ext import parser
from moto import mock_aws
from moto.sns.models import Subscription
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.error_name import ErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.retry import jitter_strategy_decl, retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import mock_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.backend.execution_worker import SyncExecutionWorker

from tests.statemachine.interpreter import REGION, Machine, Scripts

if TYPE_CHECKING:
    from moto.stepfunctions.parser.mocking.mock_config import MockTestCase

DEFINITIONS = Path(__file__).parents[2] / "statemachine"


def _error_name(name: str) -> ErrorName:
    # The interpreter's scripted mode takes custom names only; a timeout is a scripted result like any other.
    return StatesErrorName.from_name(name) if name.startswith("States.") else CustomErrorName(name)


# Each takes longer than an execution, which changes neither the definition nor what is made of it.
_read = cache(partial(yaml.load, Loader=yaml.CSafeLoader))
_parse = cache(AmazonStateLanguageParser.parse)
# An execution parses each of its paths anew whenever it follows one, a third of its time.
_parse_path = cache(parser.parse)


@cache
def _signing_key() -> rsa.RSAPrivateKey:
    """What SNS signs with, which moto makes anew for each topic."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def make_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Machine]]:
    """Make a state machine from the name of its ASL file and the substitutions that its template gives it."""
    for variable, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(mock_eval_utils, "CustomErrorName", _error_name)
    waits: list[float] = []
    # The retrier's own `time`, not the module: other threads of this process sleep for real.
    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(WaitFunction, "_wait_interval", lambda _state, wait_seconds, **_: waits.append(wait_seconds))
    # Of the random waits, the longest: what a state machine waits at most is exact.
    monkeypatch.setattr(jitter_strategy_decl, "random", SimpleNamespace(uniform=lambda _shortest, longest: longest))
    monkeypatch.setattr(AmazonStateLanguageParser, "parse", _parse)
    monkeypatch.setattr(json_path, "parse", _parse_path)
    monkeypatch.setattr(Subscription, "private_key", lambda _subscription: _signing_key())
    scripts = Scripts({})
    # moto has the interpreter's scripted mode, but no way in from outside. An execution ends before its start returns.
    worker = partial(SyncExecutionWorker, mock_test_case=cast("MockTestCase", scripts))
    monkeypatch.setattr("moto.stepfunctions.parser.backend.execution.ExecutionWorker", worker)

    def make(name: str, **substitutions: str | int) -> Machine:
        text = (DEFINITIONS / f"{name}.asl.yaml").read_text()
        topic = boto3.client("sns", REGION).create_topic(Name="failures")["TopicArn"]
        sqs = boto3.client("sqs", REGION)
        queue = sqs.create_queue(QueueName="mails")["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        boto3.client("sns", REGION).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
        known = {
            "Partition": "aws",
            "NotificationTopicArn": topic,
            "ConsoleUrl": "https://console/",
            "LogsUrl": "https://logs/$3Ffilter",
            "MailedInput": 1,
            **substitutions,
        }
        definition = _read(re.sub(r"\$\{(\w+)\}", lambda match: str(known[match[1]]), text))
        steps = boto3.client("stepfunctions", REGION)
        arn = steps.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/machine"
        )["stateMachineArn"]
        return Machine(steps, arn, scripts, waits)

    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        yield make
