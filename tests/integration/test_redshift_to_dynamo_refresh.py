"""Refreshing a table through the deployed stack: what changed is written, what has vanished deleted, and no more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local import executions

if TYPE_CHECKING:
    from local.data_api import DataApi
    from local.executions import Execution
    from local.stack import LocalAws

TABLE = "local-refreshed"
MIRROR = {"mode": "mirror", "deletes_allowed": 0.5}


class Refreshes:
    """Loads of a Redshift table whose rows the test changes, into a table of its own."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> None:
        self.states, self.dynamodb, self.s3 = aws.client("stepfunctions"), aws.client("dynamodb"), aws.client("s3")
        self.machine, self.ledger = outputs["RedshiftToDynamoStateMachineArn"], outputs["LedgerTableName"]
        self.bucket, self._redshift = outputs["DataBucketName"], redshift
        self.source: dict[str, int] = {}

    def change(self, **rows: int | None) -> None:
        """Let rows be there with these values, or be gone."""
        for key, value in rows.items():
            self._redshift.query("DELETE FROM public.refreshed WHERE id = :id", id=key)
            self.source.pop(key, None)
            if value is not None:
                self._redshift.query(
                    "INSERT INTO public.refreshed VALUES (:id, CAST(:value AS INTEGER))", id=key, value=str(value)
                )
                self.source[key] = value

    def run(self, **asked: Any) -> Execution:
        given = asked if "resume" in asked else {"target_table": TABLE, "table": "public.refreshed", **asked}
        return executions.run(self.states, self.machine, given)

    def refresh(self, **asked: Any) -> dict[str, Any]:
        """Run a load that succeeds, and return its figures."""
        execution = self.run(**asked)
        assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
        return dict(execution.output)

    def items(self) -> dict[str, int]:
        found = self.dynamodb.scan(TableName=TABLE)["Items"]
        return {item["id"]["S"]: int(item["stars"]["N"]) for item in found}

    def row(self, entry: str) -> dict[str, Any]:
        key = {"loadId": {"S": f"table#{TABLE}"}, "entry": {"S": entry}}
        return dict(self.dynamodb.get_item(TableName=self.ledger, Key=key, ConsistentRead=True)["Item"])

    def state(self) -> dict[str, Any]:
        return dict(json.loads(self.row("record")["state"]["S"])["state"])

    def recorded_loads(self) -> set[str]:
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=f"records/{TABLE}/").get("Contents", [])
        return {found["Key"].split("/")[3] for found in listed}


@pytest.fixture(scope="module")
def loads(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> Refreshes:
    """A table of four rows that was loaded once."""
    redshift.query("CREATE TABLE public.refreshed (id VARCHAR(10), stars INTEGER)")
    made = Refreshes(aws, outputs, redshift)
    made.dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    made.change(a=1, b=2, c=3, d=4)
    figures = made.refresh(mode="changes")
    assert (figures["mode"], figures["rows_written"], figures["rows_unchanged"]) == ("changes", 4, 0)
    assert figures["full_load_because"] == "no load has noted yet what the table holds"
    return made


def test_nothing_is_written_where_nothing_has_changed(loads: Refreshes) -> None:
    figures = loads.refresh(mode="changes")
    assert (figures["rows_written"], figures["rows_unchanged"], figures["write_units"]) == (0, len(loads.source), 0)
    assert (figures["write_units_saved"], figures["full_load_because"]) == (len(loads.source), None)
    assert loads.items() == loads.source


def test_what_differs_is_written_and_what_has_vanished_deleted(loads: Refreshes) -> None:
    loads.change(a=10, e=5, d=None)
    dry = loads.refresh(**MIRROR, dry_run=True)
    assert (dry["rows_to_write"], dry["rows_unchanged"], dry["rows_to_delete"]) == (2, 2, 1)
    assert loads.items() != loads.source
    figures = loads.refresh(**MIRROR)
    assert (figures["rows_written"], figures["rows_unchanged"], figures["rows_deleted"]) == (2, 2, 1)
    assert loads.items() == loads.source
    assert loads.recorded_loads() == {figures["load_id"]} == {loads.state()["current"]["load_id"]}


def test_more_deletions_than_are_allowed_are_not_made_and_nothing_is_written(loads: Refreshes) -> None:
    before = loads.items()
    loads.change(a=11, b=None)
    execution = loads.run(mode="mirror", deletes_allowed=0.2)
    assert (execution.status, execution.error) == ("FAILED", "TooManyDeletions")
    assert "1 of 4 rows would be deleted (25.0%)" in execution.cause
    assert loads.items() == before
    assert loads.refresh(**MIRROR)["rows_deleted"] == 1
    assert loads.items() == loads.source


def test_an_upsert_between_costs_a_full_load_and_no_key(loads: Refreshes) -> None:
    loads.change(c=None, f=6)
    assert loads.refresh()["rows_written"] == len(loads.source)
    assert "c" in loads.items()
    figures = loads.refresh(**MIRROR)
    assert figures["full_load_because"] == "a load in mode upsert has changed the table since"
    assert (figures["rows_written"], figures["rows_deleted"]) == (len(loads.source), 1)
    assert loads.items() == loads.source


def test_a_load_that_failed_is_resumed_and_unloads_nothing_again(loads: Refreshes) -> None:
    loads.change(a=12, g=7)
    query = "SELECT id, stars FROM public.refreshed UNION ALL SELECT NULL, 0"
    failed = loads.run(mode="changes", table=None, query=query)
    assert (failed.status, failed.error) == ("FAILED", "TooManyRejects")
    load_id = loads.row("lock")["load"]["S"]
    assert loads.recorded_loads() == {loads.state()["current"]["load_id"], load_id}

    figures = loads.refresh(resume=load_id, rejects_allowed=1)
    assert (figures["load_id"], figures["rows_rejected"]) == (load_id, 1)
    assert loads.items() == loads.source
    assert (loads.recorded_loads(), loads.state()["begun"]) == ({load_id}, [])

    refused = loads.run(resume="another-0f1e2d3c")
    assert (refused.status, refused.error) == ("FAILED", "LoadNotResumable")


def test_only_rows_beyond_the_highest_value_are_unloaded(loads: Refreshes) -> None:
    asked = {"mode": "changes", "incremental": {"column": "stars"}}
    assert loads.refresh(**asked)["rows_unloaded"] == len(loads.source)
    loads.change(h=100)
    figures = loads.refresh(**asked)
    assert (figures["rows_unloaded"], figures["rows_written"]) == (1, 1)
    assert loads.state()["progress"]["highest"] == "100"
    assert loads.items() == loads.source
