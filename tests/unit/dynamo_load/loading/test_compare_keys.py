"""CompareKeysFunction: how many of the target's keys a load would delete, counted before it writes anything."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

import compare_keys.app
from data_bucket import record_key
from dynamo_load.accounting.vanishing import Compared, compared_in_all
from dynamo_load.errors import KeysNotCompared, MissingFile
from locks.errors import TableIsBeingLoaded
from locks.table import TableLock
from records.errors import RecordUnreadable
from tests.unit.dynamo_load.conftest import EXECUTION, numbered, set_environment, with_keys
from tests.unit.dynamo_load.loading.refreshes import MADE, Refreshes, RefreshLoad
from tests.unit.outside_calls import ANSWER_LOST, KILLED_AFTER, KILLED_BEFORE, Fault, after_each_call, without_pauses
from tests.unit.waiting_task import FunctionContext

if TYPE_CHECKING:
    from tests.unit.dynamo_load.conftest import Stage


@pytest.fixture
def table(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Refreshes:
    """A table that 100 rows were loaded into, and the function's environment."""
    set_environment(monkeypatch, stage)
    made = Refreshes(stage)
    made.load(numbered(100), buckets=2)
    return made


def compare(load: RefreshLoad, number: int) -> dict[str, Any]:
    event = {"plan": asdict(load.plan), "piece": asdict(load.pieces[number]), "execution_arn": EXECUTION}
    counts: dict[str, Any] = compare_keys.app.handler(json.loads(json.dumps(event)), FunctionContext())
    return counts


def compared(load: RefreshLoad) -> Compared:
    stage = load.table.stage
    return compared_in_all(stage.aws.dynamodb, stage.ledger_table, load.plan)


@pytest.mark.parametrize("buckets", [1, 2, 4])
def test_keys_that_the_query_does_not_return_are_counted_and_nothing_is_written(table: Refreshes, buckets: int) -> None:
    load = table.begin(numbered(100, first=30), buckets=buckets, deletes=True)
    before = table.stage.items()
    counts = [compare(load, number) for number in range(buckets)]
    assert (sum(each["known"] for each in counts), sum(each["vanished"] for each in counts)) == (100, 30)
    assert [each["piece"] for each in counts] == [piece.name for piece in load.pieces]
    assert compared(load) == Compared(known=100, vanished=30)
    assert table.stage.items() == before


def test_counting_twice_counts_once(table: Refreshes) -> None:
    load = table.begin(numbered(70), deletes=True)
    assert compare(load, 0) == compare(load, 0)
    assert compared(load) == Compared(known=100, vanished=30)


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, ANSWER_LOST], ids=str)
def test_a_comparison_that_goes_wrong_at_any_call_and_is_tried_again_counts_once(
    table: Refreshes, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    without_pauses(monkeypatch)
    begun, before = table.begin(numbered(70), deletes=True), table.stage.items()
    numbers = count()

    def anew() -> RefreshLoad:
        return replace(begun, plan=replace(begun.plan, load_id=f"attempted-{next(numbers)}"))

    def run(load: RefreshLoad) -> None:
        compare(load, 0)

    for load, raised in after_each_call(anew, run, fault):
        if raised:
            run(load)
        assert compared(load) == Compared(known=100, vanished=30)
    assert table.stage.items() == before


def test_as_many_are_deleted_as_were_counted(table: Refreshes) -> None:
    load = table.begin(with_keys([f"row-{number}" for number in range(60)] + [None]), buckets=2, deletes=True)
    for number in range(2):
        compare(load, number)
    assert compared(load).vanished == load.run().deleted == 40


def test_a_bucket_without_rows_has_all_its_keys_vanish(table: Refreshes) -> None:
    load = table.begin(numbered(0), deletes=True)
    assert compare(load, 0) == {"piece": "00000", "known": 100, "vanished": 100}


def test_what_a_load_that_failed_may_have_written_is_known_too(table: Refreshes) -> None:
    table.begin(numbered(10, first=500)).run()
    load = table.begin(numbered(100), deletes=True)
    assert compare(load, 0) == {"piece": "00000", "known": 110, "vanished": 10}


def test_a_record_that_cannot_be_read_fails_the_bucket_and_is_told_with_the_load(table: Refreshes) -> None:
    load = table.begin(numbered(100), buckets=2, deletes=True)
    key = record_key(table.stage.name, MADE, "load-1", 1)
    table.stage.aws.s3.put_object(Bucket=table.stage.bucket, Key=key, Body=b"PAR1")
    compare(load, 0)
    with pytest.raises(RecordUnreadable):
        compare(load, 1)
    with pytest.raises(KeysNotCompared, match=r'of 2 buckets 1 .*00001, RecordUnreadable: give "full": true'):
        compared(load)


def test_a_failure_is_taken_back_by_an_attempt_that_succeeds(table: Refreshes) -> None:
    load = table.begin(numbered(70), deletes=True)
    s3, bucket, key = table.stage.aws.s3, table.stage.bucket, load.pieces[0].slices[0].key
    rows = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    s3.delete_object(Bucket=bucket, Key=key)
    with pytest.raises(MissingFile):
        compare(load, 0)
    s3.put_object(Bucket=bucket, Key=key, Body=rows)
    compare(load, 0)
    assert compared(load) == Compared(known=100, vanished=30)


def test_an_execution_that_has_lost_the_table_counts_nothing(table: Refreshes) -> None:
    load = table.begin(numbered(70), deletes=True)
    stage = table.stage
    stage.aws.dynamodb.delete_item(
        TableName=stage.ledger_table, Key={"loadId": {"S": f"table#{stage.name}"}, "entry": {"S": "lock"}}
    )
    TableLock(stage.aws.dynamodb, stage.ledger_table, stage.name, f"{EXECUTION}-again").begin()
    with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
        compare(load, 0)
    with pytest.raises(KeysNotCompared):
        compared(load)
