"""The event that announces the end of a statement, as a rule on the default bus hands it to a queue."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.local.data_api.conftest import AS_SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from local.stack import LocalAws
    from tests.local.data_api.conftest import Callers

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


@pytest.fixture
def next_event(aws: LocalAws) -> Iterator[Callable[[], dict[str, Any]]]:
    """Take the next event, by a statement whose name begins with `watched-`, from a queue of the test's own."""
    sqs, events = aws.client("sqs"), aws.client("events")
    name = f"events-{uuid.uuid4()}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {
        "source": ["aws.redshift-data"],
        "detail-type": ["Redshift Data Statement Status Change"],
        "detail": {"statementName": [{"prefix": "watched-"}]},
    }
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])

    def take() -> dict[str, Any]:
        messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages", [])
        assert messages, "no event came within 20 s"
        sqs.delete_message(QueueUrl=url, ReceiptHandle=messages[0]["ReceiptHandle"])
        return dict(json.loads(messages[0]["Body"]))

    yield take
    events.remove_targets(Rule=name, Ids=["queue"])


def test_the_end_of_a_statement_is_announced_as_documented(
    callers: Callers, next_event: Callable[[], dict[str, Any]]
) -> None:
    role = callers.role(EVERYTHING)
    caller = callers.session(role, "a-function")

    described = caller.run("select 1 union all select 2", StatementName="watched-1", WithEvent=True)

    event = next_event()
    detail = event.pop("detail")
    retained_until = datetime.fromtimestamp(detail.pop("expireAt"), described["UpdatedAt"].tzinfo)
    assert timedelta(0) <= described["UpdatedAt"] + timedelta(hours=24) - retained_until < timedelta(seconds=1)
    assert detail == {
        "principal": f"arn:aws:sts::000000000000:assumed-role/{role}/a-function",
        "statementName": "watched-1",
        "statementId": described["Id"],
        "redshiftQueryId": -1,
        "state": "FINISHED",
        "rows": 2,
    }
    assert event.pop("id")
    assert event.pop("time")
    assert event == {
        "version": "0",
        "detail-type": "Redshift Data Statement Status Change",
        "source": "aws.redshift-data",
        "account": "000000000000",
        "region": "us-east-1",
        "resources": ["arn:aws:redshift:us-east-1:000000000000:cluster:local-redshift"],
    }


def test_a_failure_and_a_cancellation_are_announced(callers: Callers, next_event: Callable[[], dict[str, Any]]) -> None:
    caller = callers.allowed(EVERYTHING)
    failed = caller.run("select 1/0", StatementName="watched-2", WithEvent=True)["Id"]
    cancelled = caller.client.execute_statement(
        Sql="select pg_sleep(100)", StatementName="watched-3", WithEvent=True, **AS_SUPERUSER
    )["Id"]
    caller.wait_until_started(cancelled)
    caller.client.cancel_statement(Id=cancelled)

    announced = [next_event()["detail"] for _ in range(2)]

    assert {detail["statementId"]: detail["state"] for detail in announced} == {failed: "FAILED", cancelled: "ABORTED"}


def test_a_batch_is_announced_once(callers: Callers, next_event: Callable[[], dict[str, Any]]) -> None:
    caller = callers.allowed(EVERYTHING)
    batch = caller.run_batch("select 1", "select 2", StatementName="watched-4", WithEvent=True)["Id"]
    after = caller.run("select 3", StatementName="watched-5", WithEvent=True)["Id"]

    assert [next_event()["detail"]["statementId"] for _ in range(2)] == [batch, after]


def test_only_statements_submitted_with_an_event_are_announced(
    callers: Callers, next_event: Callable[[], dict[str, Any]]
) -> None:
    caller = callers.allowed(EVERYTHING)
    caller.run("select 1", StatementName="watched-6")
    announced = caller.run("select 1", StatementName="watched-7", WithEvent=True)["Id"]

    assert next_event()["detail"]["statementId"] == announced


def test_a_statement_has_ended_for_whoever_gets_its_event(
    callers: Callers, next_event: Callable[[], dict[str, Any]]
) -> None:
    caller = callers.allowed(EVERYTHING)
    caller.client.execute_statement(Sql="select 1", StatementName="watched-8", WithEvent=True, **AS_SUPERUSER)

    statement = next_event()["detail"]["statementId"]

    assert caller.client.describe_statement(Id=statement)["Status"] == "FINISHED"


def test_a_statement_on_the_workgroup_is_announced_with_its_arn(
    callers: Callers, next_event: Callable[[], dict[str, Any]], aws: LocalAws
) -> None:
    caller = callers.allowed(EVERYTHING)
    caller.client.execute_statement(
        Sql="select 1", StatementName="watched-9", WithEvent=True,
        WorkgroupName="local-workgroup", Database="dev", SecretArn=aws.secret_arn,
    )  # fmt: skip

    (resource,) = next_event()["resources"]

    assert resource.startswith("arn:aws:redshift-serverless:us-east-1:000000000000:workgroup/")
