"""The Data API's quotas, where they are asked for; and that what the functions do at once ends right under them."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

import aws_clients
from errors import TransientError
from local.redshift.api.errors import ThrottlingError
from local.redshift.api.quotas import CALLS_PER_SECOND, Quotas
from local.stack import LocalAws
from statements.data_api import RedshiftLogin, Statement
from statements.names import StatementKind
from statements.settings import ExecutionSettings
from telemetry import metrics
from tests.unit import waiting_task
from tests.unit.waiting_task import TOKEN_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT, REGION = "000000000000", "us-east-1"
QUICK, SLOW = 28, 12


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("operation", "rate"),
    [("ExecuteStatement", 30), ("DescribeStatement", 100), ("GetStatementResult", 20), ("CancelStatement", 3)],
)
def test_calls_beyond_those_of_a_second_are_throttled_until_time_has_passed(operation: str, rate: int) -> None:
    clock = Clock()
    quotas = Quotas(clock)
    for _ in range(rate):
        quotas.spend(operation, ACCOUNT, REGION)
    with pytest.raises(ThrottlingError):
        quotas.spend(operation, ACCOUNT, REGION)
    # Each account, Region and operation has its own.
    quotas.spend(operation, "111111111111", REGION)
    quotas.spend(operation, ACCOUNT, "eu-west-1")
    quotas.spend("ListTables", ACCOUNT, REGION)
    clock.now += 1.01 / rate
    quotas.spend(operation, ACCOUNT, REGION)
    with pytest.raises(ThrottlingError):
        quotas.spend(operation, ACCOUNT, REGION)


def test_what_was_not_called_for_long_gathers_no_more_than_a_second() -> None:
    clock = Clock()
    quotas = Quotas(clock)
    quotas.spend("CancelStatement", ACCOUNT, REGION)
    clock.now += 3_600
    for _ in range(CALLS_PER_SECOND["CancelStatement"]):
        quotas.spend("CancelStatement", ACCOUNT, REGION)
    with pytest.raises(ThrottlingError):
        quotas.spend("CancelStatement", ACCOUNT, REGION)


@pytest.fixture(scope="module")
def throttling() -> Iterator[LocalAws]:
    with LocalAws(with_quotas=True) as running:
        yield running


def test_a_throttled_call_is_answered_as_aws_does(throttling: LocalAws) -> None:
    once = Config(retries={"total_max_attempts": 1})
    key, secret = (throttling.environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    session = boto3.Session(key, secret, region_name=REGION)
    client = session.client("redshift-data", endpoint_url=throttling.endpoint_url, config=once)
    codes = []
    for _ in range(CALLS_PER_SECOND["ListStatements"] + 2):
        try:
            client.list_statements()
        except client.exceptions.ClientError as error:
            codes.append((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
    assert ("ThrottlingException", 400) in codes


@pytest.fixture
def statements(throttling: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[ExecutionSettings]:
    """What the functions use, on the local AWS that throttles."""
    environment = waiting_task.ENVIRONMENT | throttling.environment
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    aws_clients._client.cache_clear()
    waiting_task.make_tokens()
    waiting_task.make_ledger()
    yield ExecutionSettings.from_environment(environment)
    aws_clients._client.cache_clear()


def test_many_submitted_at_once_and_many_stopped_at_once_end_right_and_each_once(
    throttling: LocalAws, statements: ExecutionSettings
) -> None:
    login = RedshiftLogin(throttling.redshift_connection)
    submitter, stopper = statements.submitter(login), statements.stopper()
    cancelled: list[bool] = []

    def note(parsed: dict[str, Any], **_: Any) -> None:
        if parsed.get("Status"):
            cancelled.append(parsed["Status"])

    events: Any = aws_clients.client("redshift-data").meta.events
    events.register("after-call.redshift-data.CancelStatement", note)

    def submit(number: int) -> str:
        execution = {"Id": f"arn:{number}", "StartTime": "2026-11-22T03:00:04.123Z", "Input": {}}
        event = {"execution": execution, "state": "Run", "task_token": uuid.uuid4().hex}
        sql = "SELECT pg_sleep(60)" if number < SLOW else "SELECT 1"
        submitter.submit_for(event, StatementKind.STORED_PROCEDURE, lambda _: Statement(sql))
        return execution["Id"]  # type: ignore[return-value]

    def stop(execution: str) -> None:
        """What the queue does, but for its pauses."""
        for _ in range(20):
            try:
                return stopper.stop(execution, 0)
            except TransientError:
                threading.Event().wait(0.2)
        raise AssertionError(f"{execution} was not stopped")

    with ThreadPoolExecutor(QUICK + SLOW) as threads:
        executions = list(threads.map(submit, range(QUICK + SLOW)))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(stop, executions[:SLOW]))
    rows = throttling.client("dynamodb").scan(TableName=TOKEN_TABLE)["Items"]
    assert len({row["statementId"]["S"] for row in rows}) == QUICK + SLOW
    assert len(cancelled) == SLOW
