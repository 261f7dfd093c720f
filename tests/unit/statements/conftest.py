"""The functions around statements with moto's DynamoDB, Step Functions and Redshift Data API, sockets closed."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_socket
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.redshiftdata.models import redshiftdata_backends

import aws_clients
import redshift_run_sps.app
import step_function_callback.app
import stop_execution.app
import watch_statements.app
from telemetry import logger, metrics
from tests.unit import waiting_task
from tests.unit.waiting_task import ACCOUNT, REGION, FunctionContext

EVENTS = Path(__file__).parents[3] / "events"
ENVIRONMENT = waiting_task.ENVIRONMENT | {"ALLOWED_PROCEDURES": "public.*,etl.sp_nightly"}


@dataclass
class Pipeline:
    """A task that waits for its token, and the two functions around it.

    `calls` are the parameters of each ExecuteStatement, `causes` those that tasks were failed with (moto drops them).
    """

    logs: io.StringIO
    calls: list[dict[str, Any]] = field(default_factory=list)
    causes: list[str] = field(default_factory=list)
    cancel_calls: list[dict[str, Any]] = field(default_factory=list)

    def start_task(self, payload: Any, name: str = "nightly") -> dict[str, Any]:
        """Start an execution whose task waits, and return the event that RedshiftRunSpsFunction gets."""
        return waiting_task.start("Run Stored Procedure", payload, name)

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
        return list(redshiftdata_backends[ACCOUNT][REGION].statements.values())

    def list_statements(self, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        """Answer ListStatements, which moto has not: it runs a statement for each call of ExecuteStatement."""
        wanted = json.loads(params["body"])["StatementName"]
        made = zip(self.calls, self.statements, strict=False)
        listed = [
            {"Id": statement.id, "StatementName": call["StatementName"]}
            for call, statement in made
            if call["StatementName"].startswith(wanted)
        ]
        return AWSResponse("https://aws", 200, HTTPHeaders(), None), {"Statements": listed}

    def log_lines(self) -> list[dict[str, Any]]:
        """What the functions have logged."""
        return [json.loads(line) for line in self.logs.getvalue().splitlines()]

    def stop(self, arn: str, redrives: int = 0) -> None:
        """Invoke StopExecutionFunction for an execution that has ended."""
        body = json.dumps({"execution_arn": arn, "redrives": str(redrives)})
        stop_execution.app.handler({"Records": [{"messageId": "1", "body": body}]}, FunctionContext())

    def abort(self, event: dict[str, Any]) -> str:
        """Abort the execution of an event, and return its ARN; moto itself waits until the task has been told."""
        arn: str = event["execution"]["Id"]
        stopped_at = datetime.now(UTC)

        def described(parsed: dict[str, Any], **_: Any) -> None:
            if parsed.get("executionArn") == arn:
                parsed.update(status="ABORTED", stopDate=stopped_at)

        def told(params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
            if json.loads(params["body"])["taskToken"] != event["task_token"]:
                return None
            error = {"Code": "TaskTimedOut", "Message": "Provided task does not exist anymore"}
            return AWSResponse("https://aws", 400, HTTPHeaders(), None), {
                "Error": error,
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }

        events: Any = aws_clients.client("stepfunctions").meta.events
        events.register("after-call.stepfunctions.DescribeExecution", described)
        events.register("before-call.stepfunctions.SendTaskSuccess", told)
        events.register("before-call.stepfunctions.SendTaskFailure", told)
        return arn

    def watch(self, milliseconds_left: int = 240_000) -> dict[str, int]:
        """Invoke WatchStatementsFunction."""
        seen: dict[str, int] = watch_statements.app.handler({}, FunctionContext(milliseconds_left=milliseconds_left))
        return seen

    def let_pass(self, seconds: int) -> None:
        """Make all rows so much older."""
        # In moto itself, as a scan and an update of each row by a client took a seventh of what the faults take.
        for row in dynamodb_backends[ACCOUNT][REGION].get_table(waiting_task.TOKEN_TABLE).all_items():
            for name in {"createdAt", "updatedAt", "unfinishedSince"} & row.attrs.keys():
                row.attrs[name].value = str(int(row.attrs[name].value) - seconds)

    @property
    def cancelled(self) -> list[str]:
        """The ids that Redshift was told to cancel, in order."""
        return [call["Id"] for call in self.cancel_calls]

    def row(self) -> dict[str, Any]:
        """The only row of the token table."""
        (row,) = boto3.resource("dynamodb", REGION).Table(waiting_task.TOKEN_TABLE).scan()["Items"]
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
        execution = waiting_task.ended(arn)
        if execution["status"] == "SUCCEEDED":
            return "SUCCEEDED", json.loads(execution["output"])
        history = boto3.client("stepfunctions", REGION).get_execution_history(executionArn=arn, maxResults=1000)[
            "events"
        ]
        return execution["status"], history[-1]["executionFailedEventDetails"].get("error")


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    aws_clients._client.cache_clear()
    for app in (redshift_run_sps.app, step_function_callback.app, stop_execution.app, watch_statements.app):
        app._settings.cache_clear()
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    pytest_socket.disable_socket(allow_unix_socket=True)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        waiting_task.make()
        waiting_task.make_ledger()
        pipeline = Pipeline(io.StringIO())
        monkeypatch.setattr(logger.registered_handler, "stream", pipeline.logs)
        aws_clients.client("redshift-data").meta.events.register(
            "provide-client-params.redshift-data.ExecuteStatement", lambda params, **_: pipeline.calls.append(params)
        )
        aws_clients.client("redshift-data").meta.events.register(
            "provide-client-params.redshift-data.CancelStatement",
            lambda params, **_: pipeline.cancel_calls.append(params),
        )
        events: Any = aws_clients.client("redshift-data").meta.events
        events.register("before-call.redshift-data.ListStatements", pipeline.list_statements)
        aws_clients.client("stepfunctions").meta.events.register(
            "provide-client-params.sfn.SendTaskFailure",
            lambda params, **_: pipeline.causes.append(params.get("cause", "")),
        )
        yield pipeline
    pytest_socket.enable_socket()
