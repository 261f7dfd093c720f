"""PrepareLoadFunction and the load before: what it has left known, its loaders that live on, and going on with it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import asdict, replace
from typing import Any

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

import aws_clients
from data_bucket import plan_key
from dynamo_load.accounting.ledger import PieceLedger, Tally, pieces
from dynamo_load.errors import LoadHasFailed
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Refresh
from errors import AwsUnavailable, InvalidInput
from locks.errors import TableIsBeingLoaded
from locks.table import TableLock
from records.errors import RecordUnreadable
from records.table_state import Generation, Progress, TableState, TableStates
from target.errors import TableNotLoadable
from target.table import KeyAttribute, TargetTable
from tests.unit.outside_calls import (
    ANSWER_LOST,
    KILLED_AFTER,
    KILLED_BEFORE,
    Fault,
    after_each_call,
    without_pauses,
)
from tests.unit.unload.conftest import BUCKET, EXECUTION, LOAD, answer_calls, kept, make_target, prepare
from tests.unit.waiting_task import ACCOUNT, REGION
from unload.errors import LoadNotResumable

EARLIER = EXECUTION.replace("monday", "sunday")
EARLIER_LOAD = "sunday-0f1e2d3c"
PROGRESS = Progress("updated_at", "5f1d", "2026-11-26 03:15:00")
INCREMENTAL = {"incremental": {"column": "updated_at"}}


@pytest.fixture(autouse=True)
def target(aws: None) -> None:
    make_target()


def dynamodb() -> Any:
    return boto3.client("dynamodb", REGION)


def lock(execution: str = EARLIER) -> TableLock:
    return TableLock(dynamodb(), "ledger", "reviews", execution)


def ended() -> None:
    """Let the execution before have ended: Step Functions knows none, and it was not at work for a while."""
    key = {"loadId": {"S": "table#reviews"}, "entry": {"S": "lock"}}
    dynamodb().update_item(
        TableName="ledger",
        Key=key,
        UpdateExpression="SET touchedAt = :at",
        ExpressionAttributeValues={":at": {"N": "1"}},
    )


def made() -> str:
    described = prepare({"dry_run": True})
    return str(described["target"]["made"])


def noted(**changes: Any) -> TableState:
    """Let a load have noted this of the table."""
    state = TableState(made(), "id:S", 1, current=Generation(EARLIER_LOAD, 2), keys=1_000_000, progress=PROGRESS)
    state = replace(state, **changes)
    lock().begin()
    TableStates(dynamodb(), "ledger", "reviews", EARLIER).write(state)
    ended()
    return state


def loader(seconds_left: float = 900, piece: str = "00000", load: str = EARLIER_LOAD) -> PieceLedger:
    return PieceLedger(dynamodb(), "ledger", load, piece, 60, busy_until=time.time() + seconds_left)


class TestKnown:
    @pytest.mark.parametrize("mode", ["changes", "mirror"])
    def test_of_a_table_that_was_not_loaded_so_before_the_rows_are_counted(self, mode: str) -> None:
        prepared = prepare({"mode": mode})
        assert (prepared["known"], prepared["count"]) == ({"buckets": None, "progress": None}, True)

    def test_buckets_follow_from_the_keys_that_are_known(self) -> None:
        noted(keys=1_000_001)
        prepared = prepare({"mode": "changes"})
        assert (prepared["known"]["buckets"], prepared["count"]) == (4, False)

    def test_progress_is_passed_on_and_its_column_looked_at_again(self) -> None:
        noted()
        for mode in ({}, {"mode": "changes"}):
            prepared = prepare(INCREMENTAL | mode)
            assert (prepared["known"]["progress"], prepared["count"]) == (asdict(PROGRESS), True)

    @pytest.mark.parametrize("asked", [{"mode": "changes", "full": True}, {"unique": True}])
    def test_a_load_that_begins_anew_goes_by_nothing(self, asked: Any) -> None:
        noted()
        prepared = prepare(asked)
        assert (prepared["known"], prepared["count"]) == ({"buckets": None, "progress": None}, True)

    @pytest.mark.parametrize("changes", [{"made": "20200101T000000.000000Z"}, {"current": None}])
    def test_nor_does_one_of_a_table_that_was_made_since_or_of_whose_keys_nothing_is_known(self, changes: Any) -> None:
        noted(**changes)
        prepared = prepare({"mode": "changes"})
        assert (prepared["known"]["buckets"], prepared["count"]) == (None, True)

    def test_what_cannot_be_read_fails_the_load_unless_it_goes_by_nothing(self) -> None:
        row = {"loadId": {"S": "table#reviews"}, "entry": {"S": "record"}, "state": {"S": "{}"}, "version": {"N": "1"}}
        dynamodb().put_item(TableName="ledger", Item=row)
        with pytest.raises(RecordUnreadable, match='"full": true'):
            prepare({"mode": "mirror"})
        assert prepare({"mode": "mirror", "full": True})["count"]
        assert not prepare({})["count"]

    @pytest.mark.parametrize("asked", [{"mode": "changes"}, {"unique": True}])
    def test_a_dry_run_that_counts_exactly_takes_the_table(self, asked: Any) -> None:
        prepare(asked | {"dry_run": True})
        with pytest.raises(TableIsBeingLoaded, match=EXECUTION):
            lock().begin()


class TestLoadersThatLiveOn:
    @pytest.fixture(autouse=True)
    def earlier_load(self) -> None:
        lock().begin_load(EARLIER_LOAD)

    @pytest.mark.parametrize("asked", [{}, {"wait": True}])
    def test_they_are_stopped_and_waited_for(self, asked: Any) -> None:
        alive = loader()
        alive.take_over()
        ended()
        assert prepare(asked)["held_by"] == f"loaders of load {EARLIER_LOAD}"
        with pytest.raises(LoadHasFailed):
            alive.record(Tally(next_row=25, written=25))
        assert prepare(asked)["held_by"] == f"loaders of load {EARLIER_LOAD}"
        alive.leave()
        assert prepare(asked)["held_by"] is None

    def test_one_that_says_nothing_more_is_waited_for_until_its_time_is_up(self) -> None:
        loader(seconds_left=-10).take_over()
        ended()
        assert prepare()["held_by"] == f"loaders of load {EARLIER_LOAD}"
        loader(seconds_left=-60, piece="00001", load="other").take_over()
        lock(EXECUTION).begin_load("other")
        assert prepare()["held_by"] is None

    def test_a_load_that_is_complete_is_not_waited_for_nor_touched(self) -> None:
        last = loader()
        last.take_over()
        last.record(Tally(next_row=60, written=60, finished=True))
        last.leave()
        ended()
        assert prepare()["held_by"] is None
        (entry,) = pieces(dynamodb(), "ledger", EARLIER_LOAD)
        assert (entry.finished, entry.stopped) == (True, False)

    def test_the_loaders_of_the_last_load_are_known_to_every_execution_after_it(self) -> None:
        """One that took the table over may end before it has waited for them."""
        loader().take_over()
        ended()
        prepare()
        ended()
        third = EXECUTION.replace("monday", "tuesday")
        assert prepare({}, third)["held_by"] == f"loaders of load {EARLIER_LOAD}"

    def test_it_can_be_killed_at_each_step_and_again(self) -> None:
        alive = loader()
        alive.take_over()
        loader(piece="00001").take_over()
        ended()
        with calls_counted() as calls:
            prepare()
        for step in range(1, len(calls) + 1):
            for _ in range(2):
                with killed_at(step), suppress(AwsUnavailable):
                    prepare()
            assert prepare()["held_by"] == f"loaders of load {EARLIER_LOAD}"
            assert all(entry.stopped for entry in pieces(dynamodb(), "ledger", EARLIER_LOAD))


def test_a_lock_that_is_in_a_transaction_of_another_is_tried_later() -> None:
    answer_calls("dynamodb.UpdateItem", 400, "TransactionConflictException", service="dynamodb")
    with pytest.raises(AwsUnavailable, match="TransactionConflictException"):
        prepare()


class TestResume:
    @pytest.fixture(autouse=True)
    def failed_load(self) -> None:
        self.store(self.plan())
        lock().begin_load(EARLIER_LOAD)
        ended()

    def plan(self, **changes: Any) -> LoadPlan:
        table = TargetTable("reviews", (KeyAttribute("id", "S"),), made=changes.pop("made", None) or made())
        refresh = Refresh(2, "id:S", current=Generation("friday-0f1e2d3c", 2), deletes=True, deletes_allowed=0.1)
        plan = LoadPlan(
            load_id=EARLIER_LOAD,
            bucket=BUCKET,
            pieces_key=f"loads/{EARLIER_LOAD}/pieces.json",
            pieces=2,
            files=2,
            rows=120,
            bytes=12_345,
            mapping=ItemMapping(table),
            limits=LoadLimits(0, 2, 0),
            refresh=refresh,
            progress=PROGRESS,
            mode="mirror",
        )
        return replace(plan, **changes)

    def store(self, plan: LoadPlan) -> None:
        text = json.dumps(asdict(plan)).encode()
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=plan_key(EARLIER_LOAD), Body=text)

    def resume(self, **others: Any) -> dict[str, Any]:
        return prepare({"resume": EARLIER_LOAD, **others})

    def test_it_goes_on_with_the_plan_of_the_load(self) -> None:
        prepared = self.resume()
        plan = self.plan()
        target = replace(plan.mapping.target, capacity=TargetTable.from_json(prepared["target"]).capacity)
        assert LoadPlan.from_json(prepared["resumed"]) == replace(plan, mapping=ItemMapping(target))
        assert (prepared["held_by"], prepared["count"]) == (None, False)
        assert prepared["target"]["name"] == "reviews"

    def test_its_limits_can_be_others(self) -> None:
        limits = {
            "rejects_allowed": 5,
            "loader_concurrency": 7,
            "max_write_units_per_second": 100,
            "headroom": 0.5,
        }
        assert self.resume(**limits)["resumed"]["limits"] == limits
        assert self.resume(rejects_allowed=5)["resumed"]["limits"]["loader_concurrency"] == 2

    def test_it_goes_by_what_the_table_takes_now(self) -> None:
        dynamodb().update_table(
            TableName="reviews",
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 50},
        )
        assert self.resume()["resumed"]["mapping"]["target"]["capacity"]["provisioned"] == 50

    def test_its_loaders_are_waited_for_first(self) -> None:
        alive = loader()
        alive.take_over()
        assert self.resume()["held_by"] == f"loaders of load {EARLIER_LOAD}"
        alive.leave()
        assert self.resume()["held_by"] is None

    def test_a_load_after_which_another_has_begun_is_refused(self) -> None:
        prepare()
        lock(EXECUTION).begin_load(LOAD)
        ended()
        loader(load=LOAD).take_over()
        with pytest.raises(LoadNotResumable, match=f"{EARLIER_LOAD} can't go on, .* is {LOAD}"):
            self.resume()
        (entry,) = pieces(dynamodb(), "ledger", LOAD)
        assert not entry.stopped

    def test_a_load_that_never_began_is_refused(self) -> None:
        key = {"loadId": {"S": "table#reviews"}, "entry": {"S": "lock"}}
        dynamodb().delete_item(TableName="ledger", Key=key)
        with pytest.raises(LoadNotResumable, match="is not known"):
            self.resume()

    def test_a_load_without_a_plan_is_refused(self) -> None:
        with pytest.raises(LoadNotResumable, match=r"there is no s3://data/loads/forgotten/plan\.json"):
            prepare({"resume": "forgotten"})

    @pytest.mark.parametrize("text", ["{}", "", "[]", '{"mapping": {}}'])
    def test_a_plan_of_another_version_is_refused(self, text: str) -> None:
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=plan_key(EARLIER_LOAD), Body=text.encode())
        with pytest.raises(LoadNotResumable, match="not one of this version"):
            self.resume()

    def test_a_load_into_a_table_that_was_made_anew_since_is_refused(self) -> None:
        self.store(self.plan(made="20200101T000000.000000Z"))
        with pytest.raises(LoadNotResumable, match="deleted and made anew"):
            self.resume()

    def test_a_load_into_a_table_that_is_not_loadable_any_more_is_refused(self) -> None:
        plan = self.plan()
        self.store(replace(plan, mapping=ItemMapping(replace(plan.mapping.target, name="sales"))))
        with pytest.raises(TableNotLoadable):
            self.resume()

    def test_a_load_that_runs_is_refused(self) -> None:
        lock().begin()
        with pytest.raises(TableIsBeingLoaded, match=EARLIER):
            self.resume()

    @pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, ANSWER_LOST], ids=str)
    @pytest.mark.parametrize("alive", [False, True], ids=["nobody at work", "loader lives on"])
    def test_one_that_goes_wrong_at_any_call_and_is_tried_again_comes_to_the_same(
        self, monkeypatch: pytest.MonkeyPatch, fault: Fault, *, alive: bool
    ) -> None:
        without_pauses(monkeypatch)

        for piece in ("00000", "00001"):
            at_work = loader(piece=piece)
            at_work.take_over()
            if not alive:
                at_work.leave()
        ended()
        ledger = dynamodb_backends[ACCOUNT][REGION].get_table("ledger")
        before = deepcopy(ledger.items)
        prepared = self.resume()
        undisturbed = kept()
        assert (prepared["held_by"] is None) != alive

        def failed() -> None:
            ledger.items = deepcopy(before)

        def run(_: None) -> None:
            assert self.resume() == prepared

        for _, raised in after_each_call(failed, run, fault):
            if raised:
                run(None)
            assert kept() == undisturbed

    @pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 90, 5])
    def test_what_is_no_name_of_a_load_is_refused(self, name: Any) -> None:
        with pytest.raises(InvalidInput, match="resume"):
            prepare({"resume": name})


@contextmanager
def calls_counted() -> Iterator[list[str]]:
    """What PrepareLoadFunction calls of DynamoDB, in order."""
    calls: list[str] = []

    def count(model: Any, **_: Any) -> None:
        calls.append(model.name)

    events = aws_clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb", count)
    yield calls
    events.unregister("before-call.dynamodb", count)


@contextmanager
def killed_at(step: int) -> Iterator[None]:
    """Let the call of this number, and all after it, reach nobody."""
    calls = 0

    def kill(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls >= step:
            raise AwsUnavailable("killed")

    events = aws_clients.client("dynamodb").meta.events
    events.register("before-call.dynamodb", kill)
    yield
    events.unregister("before-call.dynamodb", kill)
