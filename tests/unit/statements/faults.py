"""What goes wrong between the functions and AWS, further attempts of a task, and what was counted."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, EndpointConnectionError

import aws_clients
from tests.unit.waiting_task import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.unit.statements.conftest import Pipeline


def fail_calls(operation: str, status: int, code: str, message: str = "not now") -> Callable[[], None]:
    """Let a call end with an error, after the SDK's own retries, until the returned function is called."""
    answer = AWSResponse("https://aws", status, HTTPHeaders(), None)
    parsed = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return on(f"before-call.{operation}", lambda **_: (answer, parsed))


def break_off(operation: str) -> Callable[[], None]:
    """Let a call's connection break."""

    def unreachable(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="https://aws")

    return on(f"before-call.{operation}", unreachable)


def on(event: str, handler: Callable[..., Any]) -> Callable[[], None]:
    """Register a handler with the client of the event's service; the returned function takes it away again."""
    events = aws_clients.client(event.split(".")[1]).meta.events  # type: ignore[call-overload]
    events.register(event, handler)
    return lambda: events.unregister(event, handler)


def retry_of(pipeline: Pipeline, event: dict[str, Any], name: str = "second-token") -> tuple[dict[str, Any], str]:
    """The event of the task's next attempt, with another token, and the execution that waits for this token.

    The token of the attempt before is spent, if it was not already.
    """
    with suppress(ClientError):
        boto3.client("stepfunctions", REGION).send_task_failure(taskToken=event["task_token"], error="Lambda.Unknown")
    other = pipeline.start_task({}, name)
    return event | {"task_token": other["task_token"]}, other["execution"]["Id"]


def counted(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """What the functions have counted since this was last asked, as CloudWatch reads it from their output."""
    counted: Counter[str] = Counter()
    for record in map(json.loads, capsys.readouterr().out.splitlines()):
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        counted.update({metric["Name"]: sum(record[metric["Name"]]) for metric in directive["Metrics"]})
    return counted


def redrive_of(pipeline: Pipeline, event: dict[str, Any], redrives: int = 1) -> tuple[dict[str, Any], str]:
    """The event of the first attempt after a redrive, and the execution that waits for its token."""
    again, waiting = retry_of(pipeline, event, f"redrive-{redrives}")
    return again | {"execution": event["execution"] | {"RedriveCount": redrives}}, waiting
