"""A running MiniStack as the tests of its patches use it."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE_SECONDS = 60
SERVICES = ("cloudformation", "dynamodb", "iam", "lambda", "s3", "scheduler", "sqs", "stepfunctions", "sts")


class Emulator:
    """A running MiniStack with the few calls that the tests of the patches need."""

    def __init__(self, client: Callable[[str], Any]) -> None:
        self.clients = {service: client(service) for service in SERVICES}
        policy = {"Version": "2012-10-17", "Statement": []}
        role = self.clients["iam"].create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(policy))
        self.role_arn: str = role["Role"]["Arn"]

    def create_function(self, name: str, source: str, **settings: Any) -> str:
        """Create a Python Lambda from the text of its module; return its ARN."""
        created = self.clients["lambda"].create_function(
            FunctionName=name,
            Role=self.role_arn,
            Handler="module.handler",
            Runtime="python3.13",
            Code={"ZipFile": archive({"module.py": source})},
            **settings,
        )
        return str(created["FunctionArn"])

    def execute(self, name: str, states: dict[str, Any], state_input: Any = None) -> dict[str, Any]:
        """Create a state machine and run it to its end, as `run` does."""
        machine = self.clients["stepfunctions"].create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": next(iter(states)), "States": states}),
            roleArn=self.role_arn,
        )
        return self.run(machine["stateMachineArn"], state_input)

    def run(self, state_machine_arn: str, state_input: Any = None) -> dict[str, Any]:
        """Run a state machine to its end; return what DescribeExecution says of it."""
        states_client = self.clients["stepfunctions"]
        execution = states_client.start_execution(
            stateMachineArn=state_machine_arn, input=json.dumps(state_input or {})
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            described: dict[str, Any] = states_client.describe_execution(executionArn=execution["executionArn"])
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.05)
        pytest.fail(f"{execution['executionArn']} didn't end within {DEADLINE_SECONDS} s")


def archive(files: dict[str, str]) -> bytes:
    """Return a zip file of the given texts by their paths."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as zip_file:
        for path, text in files.items():
            zip_file.writestr(path, text)
    return content.getvalue()
