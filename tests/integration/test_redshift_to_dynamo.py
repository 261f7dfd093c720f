"""Loads as users meet them: deployed by `sam`, from a Redshift table to the items of a DynamoDB table."""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local import executions, reviews_table
from local.demo import comparison
from local.demo.history import History
from tests.integration.rights import denied_to_loaders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.data_api import DataApi
    from local.executions import Execution
    from local.mails import Mailbox
    from local.stack import LocalAws

REVIEWS = 40_000
KEY = "review_id"


class Loads:
    """Runs loads, and looks at what they left behind."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str]) -> None:
        self.aws = aws
        self.outputs = outputs
        self.states = aws.client("stepfunctions")
        self.dynamodb = aws.client("dynamodb")
        self.machine = outputs["RedshiftToDynamoStateMachineArn"]

    def run(self, payload: Any) -> Execution:
        return executions.run(self.states, self.machine, payload, timeout_seconds=300)

    def succeed(self, payload: Any) -> dict[str, Any]:
        """Run a load that must succeed; return its figures."""
        execution = self.run(payload)
        assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
        figures: dict[str, Any] = execution.output
        return figures

    def fail(self, payload: Any) -> Execution:
        """Run a load that must fail."""
        execution = self.run(payload)
        assert execution.status == "FAILED", execution.output
        return execution

    def item(self, key: str) -> dict[str, Any] | None:
        found = self.dynamodb.get_item(TableName=self.outputs["TargetTableName"], Key={KEY: {"S": key}})
        item: dict[str, Any] | None = found.get("Item")
        return item

    def items(self) -> int:
        return comparison.item_count(self.dynamodb, self.outputs["TargetTableName"])

    def pieces(self, load_id: str) -> list[dict[str, Any]]:
        """What the ledger says of each piece of a load."""
        answer = self.dynamodb.query(
            TableName=self.outputs["LedgerTableName"],
            KeyConditionExpression="loadId = :load AND begins_with(entry, :piece)",
            ExpressionAttributeValues={":load": {"S": load_id}, ":piece": {"S": "piece#"}},
        )
        return [{name: next(iter(value.values())) for name, value in item.items()} for item in answer["Items"]]

    def rejects(self, load_id: str) -> list[dict[str, Any]]:
        s3, bucket = self.aws.client("s3"), self.outputs["DataBucketName"]
        stored = s3.list_objects_v2(Bucket=bucket, Prefix=f"rejects/{load_id}/").get("Contents", [])
        bodies = [s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read() for entry in stored]
        return [json.loads(line) for body in bodies for line in body.decode().splitlines()]


@pytest.fixture(scope="module")
def loads(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> Loads:
    """The deployed pipeline, and reviews in Redshift, which make more than one piece."""
    reviews_table.fill(aws, REVIEWS)
    return Loads(aws, outputs)


@pytest.fixture
def name() -> str:
    """The start of keys that no other load writes."""
    return f"{uuid.uuid4().hex[:8]}-"


def some_reviews(rows: int, name: str) -> str:
    """A query of so many rows, with keys that begin with `name`."""
    return (
        f"SELECT '{name}' || {KEY} AS {KEY}, star_rating, review_headline FROM "
        f"(SELECT * FROM {reviews_table.NAME} ORDER BY {KEY} LIMIT {rows}) AS few"
    )


def mail_about(execution: Execution, mailbox: Mailbox) -> str:
    """The text of the mail about an execution."""
    while execution.name not in (text := mailbox.next_mail().text):
        pass
    return text


def counts(figures: dict[str, Any]) -> tuple[int, int, int, int]:
    """Rows unloaded, written, rejected and superseded."""
    return (
        figures["rows_unloaded"],
        figures["rows_written"],
        figures["rows_rejected"],
        figures["rows_superseded"],
    )


def test_the_configured_load_fills_the_target_with_the_table(loads: Loads, redshift: DataApi) -> None:
    before = loads.items()

    figures = loads.succeed({})

    assert counts(figures) == (REVIEWS, REVIEWS, 0, 0)
    assert loads.items() == before + REVIEWS
    assert len(loads.pieces(figures["load_id"])) > 1
    assert figures["rows_per_second"] > 0
    assert figures["bytes_unloaded"] > REVIEWS
    # Comparing all of them would take far longer than the load.
    early = redshift.rows(f"SELECT * FROM {reviews_table.NAME} WHERE year < 2008")
    compared = comparison.compare(early, loads.dynamodb, loads.outputs["TargetTableName"], KEY)
    assert compared.rows > 1_000
    assert compared.difference == ""


@pytest.mark.parametrize("rows", [0, 1, 24, 25, 26])
def test_a_handful_of_rows_arrives_whole(loads: Loads, redshift: DataApi, name: str, rows: int) -> None:
    before = loads.items()

    figures = loads.succeed({"query": some_reviews(rows, name)})

    assert counts(figures) == (rows, rows, 0, 0)
    assert loads.items() == before + rows
    for row in redshift.query(some_reviews(rows, name)):
        item = loads.item(row[KEY])
        assert item is not None
        assert item["star_rating"] == {"N": str(row["star_rating"])}
        assert item.get("review_headline", {}).get("S") == row["review_headline"]


def test_a_table_with_columns_and_a_condition_is_a_query_too(loads: Loads, redshift: DataApi) -> None:
    condition = "star_rating = 1 AND vine = 'Y'"
    (expected,) = redshift.query(f"SELECT COUNT(*) AS rows FROM {reviews_table.NAME} WHERE {condition}")

    figures = loads.succeed({"table": reviews_table.NAME, "columns": [KEY, "star_rating"], "where": condition})

    assert expected["rows"] > 0
    assert counts(figures) == (expected["rows"], expected["rows"], 0, 0)


def test_rejected_and_superseded_rows_are_accounted_for(loads: Loads, name: str) -> None:
    query = (
        f"SELECT '{name}a' AS {KEY}, 1 AS stars UNION ALL SELECT '{name}a', 2 UNION ALL SELECT NULL, 3 "
        f"UNION ALL SELECT '', 4 UNION ALL SELECT '{name}b', 5"
    )

    figures = loads.succeed({"query": query, "rejects_allowed": 2})

    assert counts(figures) == (5, 2, 2, 1)
    assert {loads.item(f"{name}a") is not None, loads.item(f"{name}b") is not None} == {True}
    assert figures["rejects"] == f"s3://{loads.outputs['DataBucketName']}/rejects/{figures['load_id']}/"
    rejects = loads.rejects(figures["load_id"])
    assert sorted((kept["reason"], kept["row"]["stars"]) for kept in rejects) == [("key_empty", 4), ("key_missing", 3)]


def test_one_reject_too_many_fails_the_load_and_says_so_by_mail(loads: Loads, name: str, mailbox: Mailbox) -> None:
    query = f"SELECT '{name}a' AS {KEY} UNION ALL SELECT NULL UNION ALL SELECT NULL"

    failed = loads.fail({"query": query, "rejects_allowed": 1})

    assert failed.error == "TooManyRejects"
    assert failed.cause.startswith("rejected: 2 of 3 rows, allowed: 1. See s3://")
    assert loads.item(f"{name}a") is not None
    assert failed.cause in mail_about(failed, mailbox)


def test_a_dry_run_reports_and_writes_nothing(loads: Loads, name: str) -> None:
    before = loads.items()

    report = loads.succeed({"query": some_reviews(1_000, name), "dry_run": True})

    assert (report["rows"], report["limited_by"]) == (1_000, "a new on-demand table")
    assert loads.items() == before


def test_a_load_that_leaves_headroom_writes_every_row(loads: Loads, name: str) -> None:
    figures = loads.succeed({"query": some_reviews(1_000, name), "headroom": 0.5})

    assert figures["rows_written"] == 1_000


def test_a_write_budget_holds_across_loaders_and_hand_overs(loads: Loads, name: str) -> None:
    rows, units_per_second = 10_000, 1_500
    payload = {
        "query": some_reviews(rows, name),
        "max_write_units_per_second": units_per_second,
        "loader_concurrency": 1,
    }
    loaders: set[str] = set()

    def look() -> None:
        history.look()
        if listed := history.output_of("List Unloaded Files"):
            loaders.update(piece["loader"] for piece in loads.pieces(listed["plan"]["load_id"]))

    with five_seconds_per_loader(loads):
        arn = executions.start(loads.states, loads.machine, payload)
        history = History(loads.states, arn)
        execution = executions.wait(loads.states, arn, timeout_seconds=180, while_running=look)

    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert counts(execution.output) == (rows, rows, 0, 0)
    assert len(loaders) > 1
    assert execution.output["write_units"] / execution.output["seconds"] <= 1.1 * units_per_second


@contextmanager
def five_seconds_per_loader(loads: Loads) -> Iterator[None]:
    """Let loaders hand over when they have run for five seconds."""
    functions = loads.aws.client("lambda")
    (function,) = [
        found["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for found in page["Functions"]
        if found["FunctionName"].endswith("-LoadDynamo") and found["FunctionName"].startswith("local-")
    ]
    configuration = functions.get_function_configuration(FunctionName=function)
    variables = configuration["Environment"]["Variables"]
    short = {**variables, "HAND_OVER_SECONDS": str(configuration["Timeout"] - 5)}
    functions.update_function_configuration(FunctionName=function, Environment={"Variables": short})
    try:
        yield
    finally:
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})


def test_redelivered_completion_events_change_nothing(loads: Loads, name: str) -> None:
    def redeliver() -> None:
        """Deliver the completion event of the UNLOAD again, once it has been dealt with and from then on."""
        for row in loads.dynamodb.scan(TableName=loads.outputs["MetaTableName"])["Items"]:
            if row["executionArn"]["S"] == arn and row["status"]["S"] == "FINISHED":
                call_back({"statementName": row["statementName"]["S"], "statementId": row["statementId"]["S"]})

    def call_back(statement: dict[str, str]) -> None:
        detail = {**statement, "state": "FINISHED", "redshiftQueryId": -1, "rows": 0}
        event = {"source": "aws.redshift-data", "time": "2026-11-22T03:00:00Z", "detail": detail}
        answer = loads.aws.client("lambda").invoke(
            FunctionName=loads.outputs["CallbackFunctionName"], Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()
        delivered.append(detail)

    delivered: list[dict[str, Any]] = []
    arn = executions.start(loads.states, loads.machine, {"query": some_reviews(2_000, name)})
    execution = executions.wait(loads.states, arn, while_running=redeliver)

    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert counts(execution.output) == (2_000, 2_000, 0, 0)
    assert len(delivered) > 1


@pytest.mark.parametrize(
    ("action", "failure"),
    [("dynamodb:BatchWriteItem", "DynamoDbRefused: AccessDeniedException"), ("s3:GetObject", "FileAccessDenied: ")],
)
def test_rows_that_cannot_be_loaded_are_missed_by_number_and_reason(
    loads: Loads, name: str, mailbox: Mailbox, action: str, failure: str
) -> None:
    with denied_to_loaders(loads.aws, action):
        failed = loads.fail({"query": some_reviews(60, name)})

    assert failed.error == "RowsUnaccounted"
    assert failed.cause.startswith("60 rows were unloaded; 0 written, 0 left alone, 0 rejected")
    assert failure in failed.cause
    assert failed.cause in mail_about(failed, mailbox)


@pytest.mark.parametrize(
    ("query", "error", "says"),
    [
        (f"DELETE FROM {reviews_table.NAME}", "InvalidQuery", "SELECT"),
        ("SELECT 1; SELECT 2", "InvalidQuery", "statement"),
        (f"SELECT {KEY}, no_such_column FROM {reviews_table.NAME}", "StatementFailed", "no_such_column"),
        ("SELECT * FROM public.no_such_table", "StatementFailed", "no_such_table"),
        (f"SELECT star_rating FROM {reviews_table.NAME}", "MissingKeyColumn", KEY),
        (f"SELECT star_rating AS {KEY} FROM {reviews_table.NAME}", "KeyTypeMismatch", KEY),
    ],
)
def test_what_is_wrong_with_a_query_is_said_before_a_row_is_written(
    loads: Loads, query: str, error: str, says: str
) -> None:
    before = loads.items()

    failed = loads.fail({"query": query})

    assert (failed.error, says in failed.cause) == (error, True), failed.cause
    assert loads.items() == before
