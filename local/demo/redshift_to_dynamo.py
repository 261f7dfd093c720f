"""Second part of the demo: a Redshift table in DynamoDB, loaded and refreshed; then a load that must fail."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local import executions, reviews_table
from local.demo import comparison, report
from local.demo.expectation import expect
from local.demo.history import History

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

    from local.data_api import DataApi
    from local.demo.display import Display, RowProgress
    from local.executions import Execution
    from local.mails import Mailbox
    from local.stack import LocalAws

KEY = "review_id"
# Three rows that DynamoDB can never accept among some that it can; their keys differ from all loaded before.
FLAWED_QUERY = (
    f"SELECT 'second-' || {KEY} AS {KEY}, product_title FROM {reviews_table.NAME} WHERE year < 2005 "  # noqa: S608
    "UNION ALL SELECT NULL, 'has no key' "
    "UNION ALL SELECT '', 'has an empty key' "
    "UNION ALL SELECT REPEAT('k', 2049), 'has a key of 2,049 bytes'"
)
FLAWS = 3
ROWS_BETWEEN_NOTES = 100_000
# Of the example whose row and item are shown.
SHOWN = (KEY, "product_title", "star_rating", "verified_purchase", "review_date")
# What happens to the source before it is loaded again, each to about one row in a hundred.
_CHANGED, _VANISHED, _COPIED = ("customer_id LIKE '%07'", "customer_id LIKE '%11'", "customer_id LIKE '%23'")
_UPDATE = f"UPDATE {reviews_table.NAME} SET helpful_votes = helpful_votes + 1 WHERE {_CHANGED}"  # noqa: S608
_DELETE = f"DELETE FROM {reviews_table.NAME} WHERE {_VANISHED}"  # noqa: S608
_INSERT = (
    f"INSERT INTO {reviews_table.NAME} ({KEY}, customer_id, product_title, year) "  # noqa: S608
    f"SELECT 'N' || SUBSTRING({KEY}, 2), 'new', product_title, year FROM {reviews_table.NAME} WHERE {_COPIED}"
)


def show(
    aws: LocalAws,
    outputs: Mapping[str, str],
    redshift: DataApi,
    mailbox: Mailbox,
    display: Display,
    rows: int,
) -> None:
    """Load `rows` reviews and prove that the target table holds them, refresh it, then show rejects and their mail.

    Raises `DemoFailedError` if anything isn't as it should be.
    """
    display.heading("A Redshift table loaded into DynamoDB")
    with display.step(f"copy {rows:,} reviews into Redshift"):
        reviews_table.fill(aws, rows)
    execution = _run(aws, outputs, {"mode": "mirror"}, display)
    expect(execution.status == "SUCCEEDED", f"it ended {execution.status}: {execution.error}: {execution.cause}")
    display.done("the execution has succeeded, with this output:")
    display.line(json.dumps(execution.output))
    _prove_equal(aws, outputs, redshift, display, rows)

    display.heading("The same table, refreshed for the price of what has changed")
    with display.step("change the source") as note:
        changed, vanished, new = (_count(redshift, condition) for condition in (_CHANGED, _VANISHED, _COPIED))
        for statement in (_UPDATE, _DELETE, _INSERT):
            redshift.query(statement)
            note(statement)
    execution = _run(aws, outputs, {"mode": "mirror"}, display)
    expect(execution.status == "SUCCEEDED", f"it ended {execution.status}: {execution.error}: {execution.cause}")
    display.done("the execution has succeeded, with this output:")
    display.line(json.dumps(execution.output))
    unchanged = rows - vanished - changed
    figures = {"rows_written": changed + new, "rows_deleted": vanished, "rows_unchanged": unchanged}
    for name, expected in figures.items():
        found = execution.output[name]
        expect(found == expected, f"{name} should be {expected:,}, but is {found:,}")
    display.done(
        f"{changed:,} changed and {new:,} new rows written, {vanished:,} deleted, the other {unchanged:,} left alone, "
        f"which saved {execution.output['write_units_saved']:,} write units"
    )
    _prove_equal(aws, outputs, redshift, display, unchanged + changed + new)
    display.done(f"the report of this load, for a browser: {report.write(aws, execution)}")

    display.heading("A load with rows that DynamoDB can never accept")
    execution = _run(aws, outputs, {"query": FLAWED_QUERY}, display)
    expect(execution.status == "FAILED", f"it should have ended FAILED, but ended {execution.status}")
    display.done(f"the execution has failed, as it should: {execution.error}")
    display.line(execution.cause)
    rejects = _rejects(aws.client("s3"), outputs["DataBucketName"], execution)
    for reject in rejects:
        display.line(f"{reject['reason']:<14}  {reject['row']['product_title']:<26}  {reject['detail']}")
    expect(len(rejects) == FLAWS, f"{FLAWS} rows should be rejected, but {len(rejects)} are")
    mail = mailbox.next_mail()
    display.panel(f"Mail to support: {mail.subject}", mail.text)
    for needed in (execution.error, execution.arn):
        expect(needed in mail.text, f"the mail should contain {needed!r}")


def _count(redshift: DataApi, condition: str) -> int:
    (row,) = redshift.query(f"SELECT COUNT(*) AS rows FROM {reviews_table.NAME} WHERE {condition}")  # noqa: S608
    return int(row["rows"])


def _prove_equal(aws: LocalAws, outputs: Mapping[str, str], redshift: DataApi, display: Display, rows: int) -> None:
    """Compare the target with the source, which should have so many rows."""
    dynamodb: DynamoDBClient = aws.client("dynamodb")
    with display.step("compare the target with the source") as note:
        compared = comparison.compare(
            redshift.rows(f"SELECT * FROM {reviews_table.NAME}", timeout_seconds=600),  # noqa: S608 - a constant
            dynamodb,
            outputs["TargetTableName"],
            KEY,
            lambda done: note(f"{done:,} rows compared") if done % ROWS_BETWEEN_NOTES == 0 else None,
        )
        items = comparison.item_count(dynamodb, outputs["TargetTableName"])
    expect(compared.rows == rows, f"the source should hold {rows:,} rows, but holds {compared.rows:,}")
    expect(items == rows, f"the target should hold {rows:,} items, but holds {items:,}")
    expect(not compared.difference, compared.difference)
    display.done(f"all {items:,} items have the keys and values of the {compared.rows:,} rows, such as:")
    (row,) = redshift.query(f"SELECT {', '.join(SHOWN)} FROM {reviews_table.NAME} ORDER BY {KEY} LIMIT 1")  # noqa: S608
    item = dynamodb.get_item(TableName=outputs["TargetTableName"], Key={KEY: {"S": row[KEY]}})["Item"]
    display.beside(
        ("row in Redshift", "item in DynamoDB"),
        [(name, _row_value(row[name]), _item_value(item.get(name))) for name in SHOWN],
    )


def _row_value(value: Any) -> str:
    return "NULL" if value is None else str(value)


def _item_value(attribute: Mapping[str, Any] | None) -> str:
    return "left out" if attribute is None else json.dumps(attribute, ensure_ascii=False)


def _run(aws: LocalAws, outputs: Mapping[str, str], payload: dict[str, Any], display: Display) -> Execution:
    """Run the state machine with a payload, showing its states and how far the rows are."""
    states: SFNClient = aws.client("stepfunctions")
    display.line(f"start-execution {json.dumps(payload)}")
    arn = executions.start(states, outputs["RedshiftToDynamoStateMachineArn"], payload)
    history = History(states, arn)
    ledger = _Ledger(aws.client("dynamodb"), outputs["LedgerTableName"])
    with display.loading() as progress:

        def look() -> None:
            for state in history.look():
                display.line(f"→ {state}")
            listed = history.output_of("List Unloaded Files") or {}
            if "plan" in listed:  # which it isn't if listing failed
                ledger.show(progress, listed["plan"])

        return executions.wait(states, arn, timeout_seconds=1800, while_running=look)


class _Ledger:
    """What the loaders have noted of their pieces so far."""

    def __init__(self, dynamodb: DynamoDBClient, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def show(self, progress: RowProgress, plan: Mapping[str, Any]) -> None:
        pages = self._dynamodb.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="loadId = :load AND begins_with(entry, :pieces)",
            ExpressionAttributeValues={":load": {"S": plan["load_id"]}, ":pieces": {"S": "piece#"}},
        )
        pieces = [piece for page in pages for piece in page["Items"]]
        started = min((float(piece["startedAt"]["N"]) for piece in pieces), default=0.0)
        updated = max((float(piece["updatedAt"]["N"]) for piece in pieces), default=0.0)
        settled = _sum(pieces, "nextRow") - _sum(pieces, "deleted")
        progress.update(settled, plan["rows"], _sum(pieces, "rejected"), updated - started)


def _sum(pieces: list[dict[str, Any]], count: str) -> int:
    """Add up a count; a piece that a loader has just begun has none yet."""
    return sum(int(piece[count]["N"]) for piece in pieces if count in piece)


def _rejects(s3: S3Client, bucket: str, execution: Execution) -> list[dict[str, Any]]:
    """Return the rejected rows of an execution, one JSON line each in S3."""
    rejects = []
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"rejects/{execution.name}-")
    for page in pages:
        for stored in page.get("Contents", []):
            lines = s3.get_object(Bucket=bucket, Key=stored["Key"])["Body"].read().decode()
            rejects += [json.loads(line) for line in lines.splitlines()]
    return rejects
