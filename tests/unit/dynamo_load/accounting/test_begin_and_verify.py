"""BeginLoadFunction and VerifyLoadFunction: what is noted of a table before a load changes it, and once it has."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from moto import mock_aws

import aws_clients
import begin_load.app
import verify_load.app
from data_bucket import record_key
from dynamo_load.accounting.ledger import PieceLedger, Tally, pieces, stop_load
from dynamo_load.accounting.vanishing import Compared, note_compared, note_not_compared
from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.errors import KeysNotCompared, RowsUnaccounted, TooManyDeletions, TooManyRejects
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Refresh
from errors import AwsRefused, AwsUnavailable
from locks.errors import TableIsBeingLoaded
from locks.table import TableLock
from records.errors import RecordUnreadable
from records.table_state import Generation, Progress, TableState, TableStates
from target.describing import ConfiguredTarget, requested_target
from target.errors import TargetTableNotFound, TargetTableReplaced
from target.table import KeyAttribute, TargetTable, WriteCapacity
from telemetry import metrics
from tests.unit.waiting_task import FunctionContext

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, BUCKET, LEDGER = "us-east-1", "data", "ledger"
EXECUTION = f"arn:aws:states:{REGION}:123456789012:execution:load:monday"
LOAD = "monday-0f1e2d3c"
THIS, CURRENT, BEGUN = Generation(LOAD, 2), Generation("sunday-0f1e2d3c", 4), Generation("friday-0f1e2d3c", 2)
PROGRESS, FURTHER = (Progress("updated_at", "5f1d", f"2026-11-{day}") for day in (25, 26))
KEY_FORM = '[["id", "S", "character varying", "string"]]'


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The ledger, the data bucket, and the target table `reviews`, which EXECUTION has taken."""
    environment = {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "POWERTOOLS_SERVICE_NAME": "test",
        "LEDGER_TABLE": LEDGER,
        "AWS_REGION": "us-east-1",
    }
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    aws_clients._client.cache_clear()
    with mock_aws():
        s3().create_bucket(Bucket=BUCKET)
        make_table(LEDGER, "loadId", "entry")
        make_table("reviews", "id")
        lock().begin()
        yield


@cache
def dynamodb() -> Any:
    return boto3.client("dynamodb", REGION)


@cache
def s3() -> Any:
    return boto3.client("s3", REGION)


def make_table(name: str, *keys: str) -> None:
    dynamodb().create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)],
    )


def lock(execution: str = EXECUTION) -> TableLock:
    return TableLock(dynamodb(), LEDGER, "reviews", execution)


def take(execution: str) -> None:
    """Let another execution have the table."""
    dynamodb().update_item(
        TableName=LEDGER,
        Key={"loadId": {"S": "table#reviews"}, "entry": {"S": "lock"}},
        UpdateExpression="SET holder = :holder",
        ExpressionAttributeValues={":holder": {"S": execution}},
    )


def made() -> str:
    return requested_target(dynamodb(), None, ConfiguredTarget("reviews"), []).made


def noted(**changes: Any) -> TableState:
    """Let this be noted of the table."""
    given = TableState(made(), KEY_FORM, ENCODER_VERSION, CURRENT, (BEGUN,), 1_000_000, progress=PROGRESS)
    given = replace(given, **changes)
    states = TableStates(dynamodb(), LEDGER, "reviews", EXECUTION)
    states.read()
    states.write(given)
    for generation in filter(None, (given.current, *given.begun)):
        for bucket in range(generation.buckets):
            s3().put_object(Bucket=BUCKET, Key=record_key("reviews", given.made, generation.load_id, bucket))
    return given


def known() -> TableState | None:
    return TableStates(dynamodb(), LEDGER, "reviews", EXECUTION).read()


def state() -> TableState:
    found = known()
    assert found
    return found


def records() -> dict[str, bytes]:
    """The objects of records by load and bucket."""
    listed = s3().list_objects_v2(Bucket=BUCKET, Prefix="records/").get("Contents", [])
    return {
        found["Key"].removeprefix(f"records/reviews/{made()}/").removesuffix(".parquet"): s3()
        .get_object(Bucket=BUCKET, Key=found["Key"])["Body"]
        .read()
        for found in listed
    }


def of(*generations: Generation) -> set[str]:
    return {f"{each.load_id}/{bucket:05d}" for each in generations for bucket in range(each.buckets)}


def plan(**changes: Any) -> LoadPlan:
    """A load in the mode changes, of two buckets with 60 rows each."""
    refresh = Refresh(2, KEY_FORM, CURRENT, (BEGUN,))
    target = TargetTable("reviews", (KeyAttribute("id", "S"),), made=made())
    given = LoadPlan(
        load_id=LOAD,
        bucket=BUCKET,
        pieces_key=f"loads/{LOAD}/pieces.json",
        pieces=2,
        files=2,
        rows=120,
        bytes=12_345,
        mapping=ItemMapping(target),
        limits=LoadLimits(0, 2, 0),
        refresh=refresh,
        mode="changes",
    )
    return replace(given, **changes)


def mirror(deletes_allowed: float = 0.1, **changes: Any) -> LoadPlan:
    refresh = Refresh(2, KEY_FORM, CURRENT, (BEGUN,), deletes=True, deletes_allowed=deletes_allowed)
    return plan(refresh=refresh, mode="mirror", **changes)


def anew(because: str = '"full": true', **changes: Any) -> LoadPlan:
    return plan(refresh=Refresh(2, KEY_FORM, digests_hold=False, full_because=because), **changes)


def upsert(**changes: Any) -> LoadPlan:
    return plan(refresh=None, mode="upsert", **changes)


def begin(given: LoadPlan, execution: str = EXECUTION) -> None:
    event = {"plan": asdict(given), "execution_arn": execution}
    begin_load.app.handler(json.loads(json.dumps(event)), FunctionContext())


def verify(given: LoadPlan, execution: str = EXECUTION) -> dict[str, Any]:
    event = {"plan": asdict(given), "execution_arn": execution}
    result: dict[str, Any] = verify_load.app.handler(json.loads(json.dumps(event)), FunctionContext())
    return result


def compared(*vanished: int, known: int = 500) -> None:
    """Let the buckets have been compared."""
    for number, count in enumerate(vanished):
        note_compared(dynamodb(), LEDGER, LOAD, f"{number:05d}", Compared(known, count))


def loaded(**tally: Any) -> None:
    """Let both buckets be done: of each 10 rows written, 49 left alone and one superseded, unless told otherwise."""
    counts: dict[str, Any] = {"written": 10, "unchanged": 49, "superseded": 1, "recorded_keys": 59} | tally
    settled = counts | {"write_units": 10.0, "units_saved": 49, "finished": True} | tally
    settled["next_row"] = 60 + tally.get("deleted", 0)
    for piece in ("00000", "00001"):
        loader = PieceLedger(dynamodb(), LEDGER, LOAD, piece, 60, busy_until=0)
        loader.take_over()
        loader.record(Tally(**settled))


class TestBegin:
    def test_the_load_is_one_of_those_that_may_have_changed_the_table(self) -> None:
        before = noted()
        begin(plan())
        assert known() == replace(before, begun=(BEGUN, THIS))
        assert records().keys() == of(CURRENT, BEGUN, THIS)
        assert {records()[name] for name in of(THIS)} == {b""}
        assert lock().last_load() == LOAD

    def test_a_second_time_changes_nothing(self) -> None:
        noted()
        begin(plan())
        before, row = known(), dynamodb().get_item(TableName=LEDGER, Key=STATE)["Item"]
        key = record_key("reviews", made(), LOAD, 1)
        s3().put_object(Bucket=BUCKET, Key=key, Body=b"what a loader may write")
        begin(plan())
        assert (known(), dynamodb().get_item(TableName=LEDGER, Key=STATE)["Item"]) == (before, row)
        assert records()[f"{LOAD}/00001"] == b"what a loader may write"

    def test_it_can_be_killed_at_each_step_and_again(self) -> None:
        before = noted()
        for step in range(1, 12):
            with killed_at(step):
                for _ in range(2):
                    with suppress(AwsUnavailable):
                        begin(plan())
            # Whoever finds the load noted finds all of its records.
            found = known()
            assert found in (before, replace(before, begun=(BEGUN, THIS)))
            if found != before:
                assert of(THIS) <= records().keys()
            begin(plan())
            assert known() == replace(before, begun=(BEGUN, THIS))
            noted()
            s3().delete_objects(
                Bucket=BUCKET,
                Delete={"Objects": [{"Key": record_key("reviews", made(), LOAD, bucket)} for bucket in range(2)]},
            )

    def test_the_first_load_begins_the_state_of_its_table(self) -> None:
        begin(anew())
        assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, begun=(THIS,))

    @pytest.mark.parametrize("changes", [{"made": "20200101T000000.000000Z"}, {"key_form": "[]"}])
    def test_so_does_the_first_of_a_table_made_anew_or_of_keys_of_another_type(self, changes: Any) -> None:
        noted(**changes)
        begin(anew())
        assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, begun=(THIS,))

    def test_a_full_load_keeps_the_keys_until_it_has_succeeded_and_no_digests_and_no_progress(self) -> None:
        before = noted()
        begin(anew())
        assert known() == replace(before, begun=(BEGUN, THIS), digests_hold=False, progress=None)
        assert records().keys() == of(CURRENT, BEGUN, THIS)

    def test_what_cannot_be_read_is_replaced_by_a_load_that_begins_anew_and_no_other(self) -> None:
        dynamodb().put_item(TableName=LEDGER, Item=STATE | {"state": {"S": "{}"}, "version": {"N": "7"}})
        for other in (plan(), upsert()):
            with pytest.raises(RecordUnreadable):
                begin(other)
        begin(anew())
        assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, begun=(THIS,))

    def test_after_an_upsert_only_the_keys_are_known(self) -> None:
        before = noted()
        begin(upsert())
        assert known() == replace(before, digests_hold=False)
        assert records().keys() == of(CURRENT, BEGUN)
        assert lock().last_load() == LOAD

    def test_an_upsert_into_a_table_of_which_nothing_is_noted_notes_nothing(self) -> None:
        begin(upsert())
        assert known() is None
        before = noted(made="20200101T000000.000000Z")
        begin(upsert())
        assert known() == before

    def test_an_execution_that_has_lost_the_table_notes_nothing(self) -> None:
        before = noted()
        take(f"{EXECUTION}-again")
        with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
            begin(plan())
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN)

    def test_nor_does_one_that_loses_it_meanwhile(self) -> None:
        before = noted()
        events = aws_clients.client("dynamodb").meta.events
        events.register("before-call.dynamodb.TransactWriteItems", lambda **_: take(f"{EXECUTION}-again"))
        with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
            begin(plan())
        assert known() == before

    def test_pieces_that_were_taken_from_their_loaders_are_opened_again(self) -> None:
        noted()
        begin(plan())
        PieceLedger(dynamodb(), LEDGER, LOAD, "00000", 60, busy_until=0).take_over()
        stop_load(dynamodb(), LEDGER, LOAD)
        begin(plan())
        (entry,) = pieces(dynamodb(), LEDGER, LOAD)
        assert not entry.stopped
        PieceLedger(dynamodb(), LEDGER, LOAD, "00000", 60, busy_until=0).take_over()

    def test_a_bucket_that_refuses_is_named(self) -> None:
        s3().delete_bucket(Bucket=BUCKET)
        with pytest.raises(AwsRefused, match=r"PutObject.*NoSuchBucket"):
            begin(plan())
        assert known() is None

    def test_two_attempts_that_put_the_same_object_are_tried_later(self) -> None:
        answer = AWSResponse("https://aws", 409, HTTPHeaders(), None)
        said = {"Error": {"Code": "ConditionalRequestConflict"}, "ResponseMetadata": {"HTTPStatusCode": 409}}

        def respond(**_: Any) -> Any:
            return answer, said

        aws_clients.client("s3").meta.events.register("before-call.s3.PutObject", respond)
        with pytest.raises(AwsUnavailable, match="ConditionalRequestConflict"):
            begin(plan())
        assert known() is None


class TestDeletions:
    @pytest.mark.parametrize(("vanished", "allowed"), [((50, 50), 0.1), ((0, 0), 0.0), ((500, 500), 1.0), ((0, 1), 1)])
    def test_as_many_as_are_allowed_may_vanish(self, vanished: tuple[int, ...], allowed: float) -> None:
        noted()
        compared(*vanished)
        begin(mirror(allowed))
        assert known() is not None

    @pytest.mark.parametrize(
        ("vanished", "allowed", "words"),
        [
            ((50, 51), 0.1, r"101 of 1,000 rows would be deleted \(10\.1%\), 10\.0% are allowed"),
            ((0, 1), 0.0, r"1 of 1,000 rows would be deleted \(0\.1%\), 0\.0% are allowed"),
        ],
    )
    def test_more_fail_the_load_before_anything_is_noted(
        self, vanished: tuple[int, ...], allowed: float, words: str
    ) -> None:
        before = noted()
        compared(*vanished)
        with pytest.raises(TooManyDeletions, match=words):
            begin(mirror(allowed))
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN)
        assert lock().last_load() is None

    def test_of_a_table_of_which_nothing_is_known_nothing_vanishes(self) -> None:
        compared(0, 0, known=0)
        begin(mirror(0.0))
        assert known() is not None

    def test_a_bucket_that_was_not_compared_is_missed(self) -> None:
        noted()
        compared(0)
        with pytest.raises(KeysNotCompared, match=r"of 2 buckets 1 were compared.*no failure noted"):
            begin(mirror())

    def test_one_that_could_not_be_compared_is_named_with_its_failure_until_it_could(self) -> None:
        noted()
        compared(0)
        note_not_compared(dynamodb(), LEDGER, LOAD, "00001", RecordUnreadable("is damaged"))
        with pytest.raises(KeysNotCompared, match="00001, RecordUnreadable: is damaged"):
            begin(mirror())
        compared(0, 0)
        compared(0, 0)
        begin(mirror())

    def test_what_others_say_of_a_failure_is_not_passed_on(self) -> None:
        note_not_compared(dynamodb(), LEDGER, LOAD, "00001", ValueError("the contents of a row"))
        with pytest.raises(KeysNotCompared, match=r"00001, ValueError\. See"):
            begin(mirror())

    @pytest.mark.parametrize("deleted", [0, 1, 3])
    def test_others_than_have_vanished_do_not_pass(self, deleted: int) -> None:
        noted()
        compared(2, 2)
        begin(mirror())
        loaded(deleted=deleted)
        with pytest.raises(RowsUnaccounted, match=f"4 rows have vanished .* {2 * deleted} were deleted"):
            verify(mirror())
        assert (state().current, state().begun) == (CURRENT, (BEGUN, THIS))


class TestVerify:
    def test_the_load_that_has_succeeded_is_what_is_known(self) -> None:
        noted()
        compared(2, 2)
        begin(mirror())
        loaded(deleted=2, recorded_keys=57)
        figures = verify(mirror())
        assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, THIS, (), 114)
        assert records().keys() == of(THIS)
        assert {name: figures[name] for name in figures if name.startswith(("rows_", "write_", "mode", "full"))} == {
            "mode": "mirror",
            "rows_unloaded": 120,
            "rows_written": 20,
            "rows_unchanged": 98,
            "rows_rejected": 0,
            "rows_superseded": 2,
            "rows_deleted": 4,
            "rows_per_second": figures["rows_per_second"],
            "rows_throttled": 0,
            "write_units": 20.0,
            "write_units_saved": 98,
            "full_load_because": None,
        }

    def test_a_second_time_changes_nothing(self) -> None:
        noted()
        begin(plan())
        loaded()
        figures, before = verify(plan()), known()
        row = dynamodb().get_item(TableName=LEDGER, Key=STATE)["Item"]
        assert verify(plan()) == figures
        assert (known(), dynamodb().get_item(TableName=LEDGER, Key=STATE)["Item"]) == (before, row)
        assert records().keys() == of(THIS)

    def test_it_can_be_killed_at_each_step_and_again(self) -> None:
        for step in range(1, 10):
            noted()
            begin(plan())
            loaded()
            with killed_at(step):
                for _ in range(2):
                    with suppress(AwsUnavailable):
                        verify(plan())
            # Whoever reads what is known finds the records that it names.
            found = state()
            assert of(*filter(None, (found.current, *found.begun))) <= records().keys()
            verify(plan())
            assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, THIS, (), 118, progress=PROGRESS)
            assert records().keys() == of(THIS)
            noted()

    def test_a_load_that_is_not_complete_leaves_what_was_known(self) -> None:
        noted()
        begin(plan())
        loaded(unchanged=48)
        before = known()
        with pytest.raises(RowsUnaccounted, match="20 written, 96 left alone, 0 rejected and 2 superseded leave 2"):
            verify(plan())
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN, THIS)

    def test_so_does_one_with_too_many_rejects(self) -> None:
        noted()
        begin(plan())
        loaded(unchanged=48, rejected=1)
        with pytest.raises(TooManyRejects, match=r": 2 of 120 .*: 20, left alone: 96, superseded: 2, not reached: 0\."):
            verify(plan())
        assert THIS in state().begun

    def test_a_full_load_says_why_and_removes_what_nobody_goes_by_any_more(self) -> None:
        noted()
        begin(anew())
        loaded(written=59, unchanged=0, units_saved=0)
        assert verify(anew())["full_load_because"] == '"full": true'
        assert known() == TableState(made(), KEY_FORM, ENCODER_VERSION, THIS, (), 118)
        assert records().keys() == of(THIS)

    @pytest.mark.parametrize("unchanged", [0, 1])
    def test_one_that_writes_every_row_after_a_first_load_that_failed_says_so(self, unchanged: int) -> None:
        noted(current=None)
        after_failure = plan(refresh=Refresh(2, KEY_FORM, None, (BEGUN,)))
        begin(after_failure)
        loaded(written=59 - unchanged, unchanged=unchanged)
        because = verify(after_failure)["full_load_because"]
        assert because == (None if unchanged else "no load that notes what the table holds has succeeded yet")

    def test_records_that_the_load_did_not_replace_stay(self) -> None:
        noted()
        begin(plan())
        others = Generation("tuesday-0f1e2d3c", 1)
        key = record_key("reviews", made(), others.load_id, 0)
        s3().put_object(Bucket=BUCKET, Key=key)
        loaded()
        verify(plan())
        assert records().keys() == of(THIS, others)

    def test_deletions_may_be_of_rows_that_incremental_loads_have_brought(self) -> None:
        noted()
        compared(0, 0)
        begin(mirror())
        loaded()
        verify(mirror())
        assert state().progress is None

    def test_progress_becomes_the_tables_with_the_load_that_made_it(self) -> None:
        noted()
        begin(plan(progress=FURTHER))
        assert state().progress == PROGRESS
        loaded()
        verify(plan(progress=FURTHER))
        assert state().progress == FURTHER

    def test_an_incremental_upsert_leaves_its_progress_and_nothing_else(self) -> None:
        load = upsert(progress=FURTHER)
        begin(load)
        loaded(written=59, unchanged=0)
        verify(load)
        found = state()
        assert (found.made, found.current, found.begun, found.progress) == (made(), None, (), FURTHER)
        before = noted()
        begin(load)
        verify(load)
        assert known() == replace(before, digests_hold=False, progress=FURTHER)
        assert records().keys() == of(CURRENT, BEGUN)

    def test_an_upsert_that_is_not_incremental_leaves_no_more_than_it_had_begun_with(self) -> None:
        before = noted()
        begin(upsert())
        loaded(written=59, unchanged=0)
        verify(upsert())
        assert known() == replace(before, digests_hold=False)

    @pytest.mark.parametrize("load", [plan, upsert])
    def test_a_table_that_was_made_anew_meanwhile_fails_the_load(self, load: Any) -> None:
        begun = load()
        begin(begun)
        loaded()
        dynamodb().delete_table(TableName="reviews")
        with pytest.raises(TargetTableNotFound):
            verify(begun)
        make_table("reviews", "id")
        before = known()
        with pytest.raises(TargetTableReplaced, match="load table reviews again"):
            verify(begun)
        assert known() == before

    def test_an_execution_that_has_lost_the_table_verifies_nothing(self) -> None:
        noted()
        begin(plan())
        loaded()
        before = known()
        take(f"{EXECUTION}-again")
        with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
            verify(plan())
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN, THIS)

    def test_nor_does_one_that_loses_it_meanwhile(self) -> None:
        noted()
        begin(plan())
        loaded()
        before = known()
        events = aws_clients.client("dynamodb").meta.events
        events.register("before-call.dynamodb.TransactWriteItems", lambda **_: take(f"{EXECUTION}-again"))
        with pytest.raises(TableIsBeingLoaded):
            verify(plan())
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN, THIS)

    @pytest.mark.parametrize(("code", "error"), [("AccessDenied", AwsRefused), ("InternalError", AwsUnavailable)])
    def test_records_that_cannot_be_removed_are_named(self, code: str, error: type[Exception]) -> None:
        noted()
        begin(plan())
        loaded()

        def fail(parsed: dict[str, Any], **_: Any) -> None:
            parsed["Errors"] = [{"Key": "records/x", "Code": code}]

        aws_clients.client("s3").meta.events.register("after-call.s3.DeleteObjects", fail)
        with pytest.raises(error, match=rf"s3://data/records/x \({code}\)"):
            verify(plan())
        assert state().current == THIS


class TestDryRun:
    def test_its_report_is_what_the_load_would_do_and_nothing_is_noted(self) -> None:
        before = noted()
        loaded(deleted=2, write_units=1_000_002.0, units_saved=7_000_000)
        report = verify(mirror(dry_run=True))
        assert report == {
            "table": "reviews",
            "mode": "mirror",
            "rows": 120,
            "bytes": 12_345,
            "rows_to_write": 20,
            "rows_to_delete": 4,
            "rows_unchanged": 98,
            "rows_rejected": 0,
            "rows_superseded": 2,
            "write_units": 2_000_004.0,
            "dollars": 1.25,
            "minutes": 8.3,
            "write_units_per_second": 4_000,
            "limited_by": "a new on-demand table",
            "warming": {"write_units_per_second": 40_000, "units_charged": 36_000, "minutes": 0.8},
            "full_load_write_units": 16_000_000.0,
            "full_load_dollars": 10.0,
            "rejects": None,
            "full_load_because": None,
        }
        assert known() == before
        assert records().keys() == of(CURRENT, BEGUN)

    @pytest.mark.parametrize(
        ("capacity", "limits", "expected", "warmer"),
        [
            (WriteCapacity(), {}, (4_000, "a new on-demand table", 50.0), (40_000, 36_000, 5.0)),
            (WriteCapacity(warm=8_000), {}, (8_000, "warm throughput", 25.0), (40_000, 32_000, 5.0)),
            (WriteCapacity(warm=100), {}, (100, "warm throughput", 2_000.0), (1_000, 900, 200.0)),
            (WriteCapacity(warm=60_000), {}, (60_000, "warm throughput", 3.3), None),
            (WriteCapacity(warm=8_000), {"headroom": 0.5}, (4_000, "warm throughput", 50.0), (40_000, 32_000, 10.0)),
            (WriteCapacity(), {"budget": 1_000}, (1_000, "write budget", 200.0), None),
            (WriteCapacity(), {"budget": 8_000}, (4_000, "a new on-demand table", 50.0), (8_000, 4_000, 25.0)),
            (
                WriteCapacity(),
                {"budget": 8_000, "headroom": 0.5},
                (2_000, "a new on-demand table", 100.0),
                (16_000, 12_000, 25.0),
            ),
            (WriteCapacity(provisioned=500), {}, (500, "provisioned units", 400.0), None),
            (WriteCapacity(provisioned=500, warm=4_000), {}, (500, "provisioned units", 400.0), None),
            (WriteCapacity(provisioned=500), {"headroom": 0.2}, (400, "provisioned units", 500.0), None),
            (WriteCapacity(provisioned=1), {"headroom": 0.9}, (1, "provisioned units", 2_000_000.0), None),
            (WriteCapacity(None, 500, 4_000), {}, (500, "on-demand maximum", 400.0), None),
            (WriteCapacity(None, 6_000, 4_000), {}, (4_000, "warm throughput", 50.0), (6_000, 2_000, 33.3)),
            (WriteCapacity(None, 6_000, 8_000), {"budget": 5_000}, (5_000, "write budget", 40.0), None),
        ],
    )
    def test_its_minutes_are_those_at_the_least_of_the_limits(
        self,
        capacity: WriteCapacity,
        limits: dict[str, Any],
        expected: tuple[int, str, float],
        warmer: tuple[int, int, float] | None,
    ) -> None:
        noted()
        loaded(write_units=6_000_000.0)
        given = plan(dry_run=True, limits=LoadLimits(limits.get("budget", 0), 2, 0, limits.get("headroom", 0.0)))
        target = replace(given.mapping.target, capacity=capacity)
        report = verify(replace(given, mapping=ItemMapping(target)))
        assert (report["write_units_per_second"], report["limited_by"], report["minutes"]) == expected
        fields = ("write_units_per_second", "units_charged", "minutes")
        assert report["warming"] == (warmer and dict(zip(fields, warmer, strict=True)))

    def test_one_that_has_lost_the_table_reports_nothing(self) -> None:
        loaded()
        take(f"{EXECUTION}-again")
        with pytest.raises(TableIsBeingLoaded):
            verify(plan(dry_run=True))


STATE: dict[str, Any] = {"loadId": {"S": "table#reviews"}, "entry": {"S": "record"}}


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Let the call of AWS of this number, and all after it, reach nobody."""
    calls = 0

    def kill(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= step:
            raise AwsUnavailable("killed")

    events = [aws_clients.client(service).meta.events for service in ("dynamodb", "s3")]
    for each in events:
        each.register("before-call", kill)
    yield
    for each in events:
        each.unregister("before-call", kill)
