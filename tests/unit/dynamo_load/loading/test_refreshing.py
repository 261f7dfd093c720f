"""A load that knows what the target holds writes what has changed, and nothing else; the target equals the source."""

from __future__ import annotations

import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_bucket import record_key
from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.reading.piece_reader import PieceReader
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour
from records.errors import RecordUnreadable
from records.table_state import Generation
from target.table import KeyAttribute
from tests.unit.dynamo_load.conftest import NO_DEADLINE, near_after, near_when
from tests.unit.dynamo_load.loading.refreshes import MADE, Refreshes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dynamo_load.accounting.ledger import Tally
    from tests.unit.dynamo_load.conftest import LocalAws, Stage
    from tests.unit.dynamo_load.loading.refreshes import RefreshLoad

WRITTEN = {"a": 1, "b": 2, "c": 3}


@pytest.fixture
def table(stage: Stage) -> Refreshes:
    """A table of which nothing is known."""
    return Refreshes(stage)


def rows(values: Mapping[str, int]) -> pa.Table:
    """A row for each key, with its value."""
    return pa.table({"id": pa.array(list(values)), "value": pa.array(values.values(), pa.int64())})


def stored(table: Refreshes) -> dict[str, int]:
    """The value that the target has for each key."""
    return {key: int(item["value"]) for key, item in table.stage.items().items()}


def in_format(record: bytes, number: bytes) -> bytes:
    """The same record with another number of its format."""
    table = pq.read_table(pa.BufferReader(record))
    sink = pa.BufferOutputStream()
    pq.write_table(table.replace_schema_metadata({"format": number}), sink)
    return bytes(sink.getvalue().to_pybytes())


def noted(table: Refreshes) -> set[str]:
    """The records that are stored."""
    listed = table.stage.aws.s3.list_objects_v2(Bucket=table.stage.bucket, Prefix="records/")
    return {found["Key"] for found in listed["Contents"]}


def counts(tally: Tally) -> tuple[int, int, int]:
    """Rows written and unchanged, keys deleted."""
    return tally.written, tally.unchanged, tally.deleted


class TestChanges:
    def test_a_first_load_writes_every_row_and_a_second_one_none(self, table: Refreshes) -> None:
        assert counts(table.load(rows(WRITTEN))) == (3, 0, 0)
        again = table.load(rows(WRITTEN))
        assert counts(again) == (0, 3, 0)
        assert (again.units_saved, again.write_units, again.recorded_keys) == (3, 0, 3)
        assert stored(table) == WRITTEN

    def test_new_and_different_rows_are_written(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        assert counts(table.load(rows({"a": 1, "b": 5, "d": 4}))) == (2, 1, 0)
        assert stored(table) == {"a": 1, "b": 5, "c": 3, "d": 4}

    def test_all_rows_changed(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        assert counts(table.load(rows({key: -value for key, value in WRITTEN.items()}))) == (3, 0, 0)

    def test_a_row_that_was_not_returned_once_is_still_known(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.load(rows({"a": 1}))
        table.load(rows({}))
        assert counts(table.load(rows(WRITTEN))) == (0, 3, 0)

    def test_a_column_that_is_added_or_null_makes_another_item(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        wider = rows(WRITTEN).append_column("more", pa.array([1, None, None], pa.int64()))
        assert counts(table.load(wider)) == (1, 2, 0)

    @pytest.mark.parametrize("buckets", [(1, 4), (4, 1), (2, 8)])
    def test_buckets_may_become_more_or_fewer(self, table: Refreshes, buckets: tuple[int, int]) -> None:
        many = {f"key-{number}": number for number in range(100)}
        table.load(rows(many), buckets=buckets[0])
        changed = many | {"key-7": -1}
        assert counts(table.load(rows(changed), buckets=buckets[1], deletes=True)) == (1, 99, 0)

    def test_the_last_of_rows_with_one_key_counts_wherever_it_stands(self, table: Refreshes) -> None:
        keys = [f"key-{number % 50}" for number in range(150)]
        many = pa.table({"id": keys, "value": pa.array(range(150), pa.int64())})
        assert table.load(many, buckets=2).superseded == 100
        assert stored(table) == {f"key-{number}": number + 100 for number in range(50)}

    @pytest.mark.parametrize(
        ("column", "arrow_type", "values"),
        [
            ("S", pa.string(), ["", "x" * 3000]),
            ("N", pa.int64(), [None, None]),
        ],
    )
    def test_rows_without_a_valid_key_are_rejects_and_no_entries(
        self, table: Refreshes, column: Any, arrow_type: pa.DataType, values: list[Any]
    ) -> None:
        table.stage.key = (KeyAttribute("id", column),)
        tally = table.load(pa.table({"id": pa.array(values, arrow_type), "value": [1, 2]}))
        assert (tally.rejected, tally.recorded_keys, tally.written) == (2, 0, 0)


class TestMirror:
    def test_what_has_vanished_is_deleted_and_counted_apart(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        assert counts(table.load(rows({"a": 1, "d": 4}), deletes=True)) == (1, 1, 2)
        assert stored(table) == {"a": 1, "d": 4}
        assert counts(table.load(rows({"a": 1, "d": 4}), deletes=True)) == (0, 2, 0)

    def test_an_empty_result_empties_the_table(self, table: Refreshes) -> None:
        many = {f'key "{number}"\n\\': number for number in range(60)}
        table.load(rows(many), buckets=2)
        assert counts(table.load(rows({}), buckets=2, deletes=True)) == (0, 0, 60)
        assert stored(table) == {}
        assert counts(table.load(rows(many), buckets=2, deletes=True)) == (60, 0, 0)

    def test_the_key_of_a_rejected_row_is_not_deleted_and_its_old_item_stays_known(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        unfit = pa.table({"id": ["a", "b", "c"], "value": pa.array([1.0, float("nan"), 3.0])})
        tally = table.load(unfit, deletes=True)
        assert (tally.rejected, tally.deleted) == (1, 0)
        assert stored(table) == WRITTEN
        assert counts(table.load(unfit.set_column(1, "value", pa.array([1.0, 2.5, 3.0])), deletes=True))[2] == 0

    def test_a_row_that_was_a_reject_is_written_when_it_is_good(self, table: Refreshes) -> None:
        floats = pa.table({"id": ["a", "b"], "value": pa.array([1.5, 2.5])})
        table.load(floats)
        table.load(floats.set_column(1, "value", pa.array([1.5, float("inf")])), deletes=True)
        assert counts(table.load(floats, deletes=True)) == (0, 2, 0)
        assert counts(table.load(floats.set_column(1, "value", pa.array([1.5, 3.5])), deletes=True)) == (1, 1, 0)

    def test_zero_and_minus_zero_are_one_key(self, stage: Stage) -> None:
        stage.key = (KeyAttribute("number", "N"),)
        table = Refreshes(stage)
        zero = pa.table({"id": ["x"], "number": pa.array([0.0])})
        minus = pa.table({"id": ["x"], "number": pa.array([-0.0])})
        stage.aws.dynamodb.delete_table(TableName=stage.name)
        stage.aws.dynamodb.create_table(
            TableName=stage.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "number", "AttributeType": "N"}],
            KeySchema=[{"AttributeName": "number", "KeyType": "HASH"}],
        )
        table.load(zero)
        assert table.load(minus, deletes=True).deleted == 0


class TestAfterFailures:
    """What the target may hold after a load that has not succeeded is one of several; each is thought of."""

    def test_rows_that_went_back_to_their_old_values_are_written(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.begin(rows({"a": 9, "b": 2, "c": 3})).run()
        assert stored(table)["a"] == 9
        assert counts(table.load(rows(WRITTEN)))[0] >= 1
        assert stored(table) == WRITTEN

    def test_a_load_that_never_began_with_a_bucket_costs_nothing(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.begin(rows({"a": 9}))
        assert counts(table.load(rows(WRITTEN))) == (0, 3, 0)

    def test_keys_that_a_failed_load_wrote_are_deleted(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.begin(rows(WRITTEN | {"d": 4})).run()
        assert counts(table.load(rows(WRITTEN), deletes=True))[2] == 1
        assert stored(table) == WRITTEN

    def test_what_a_failed_mirror_has_deleted_is_written_again(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.begin(rows({"a": 1}), deletes=True).run()
        table.load(rows(WRITTEN))
        assert stored(table) == WRITTEN

    def test_a_key_that_is_carried_over_has_no_digest_where_two_loads_differ(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        table.begin(rows({"a": 9})).run()
        table.load(rows({"b": 2}))
        table.load(rows({"a": 1}))
        assert stored(table) == WRITTEN

    def test_without_digests_that_hold_every_row_is_written_and_nothing_carried_over_with_one(
        self, table: Refreshes
    ) -> None:
        table.load(rows(WRITTEN))
        table.digests_hold = False
        assert counts(table.load(rows({"a": 1}))) == (1, 0, 0)
        assert counts(table.load(rows(WRITTEN))) == (2, 1, 0)

    def test_the_first_load_of_a_table_fails(self, table: Refreshes) -> None:
        table.begin(rows({"a": 9})).run()
        assert counts(table.load(rows({"b": 2}), deletes=True)) == (1, 0, 1)
        assert stored(table) == {"b": 2}

    @pytest.mark.parametrize("damage", ["missing", "empty", "cut short", "newer"])
    def test_a_record_that_cannot_be_read_is_never_taken_for_nothing(self, table: Refreshes, damage: str) -> None:
        table.load(rows(WRITTEN))
        stage, key = table.stage, record_key(table.stage.name, MADE, "load-1", 0)
        record = stage.aws.s3.get_object(Bucket=stage.bucket, Key=key)["Body"].read()
        if damage == "missing":
            stage.aws.s3.delete_object(Bucket=stage.bucket, Key=key)
        else:
            newer = in_format(record, b"2")
            body = {"empty": b"", "cut short": record[:-20], "newer": newer}[damage]
            assert body != record
            stage.aws.s3.put_object(Bucket=stage.bucket, Key=key, Body=body)
        with pytest.raises(RecordUnreadable, match='give "full": true'):
            table.load(rows(WRITTEN))

    def test_the_record_of_a_begun_load_is_missed_too(self, table: Refreshes) -> None:
        table.begun = (Generation("load-0", 1),)
        with pytest.raises(RecordUnreadable, match="is missing"):
            table.load(rows(WRITTEN))


class TestLoadersAfterOneAnother:
    def test_keys_that_an_unfinished_load_wrote_are_deleted(self, table: Refreshes) -> None:
        many = {f"key-{number:03}": number for number in range(500)}
        assert 0 < table.begin(rows(many)).run(near_after(10)).written < 500
        table.load(rows({}), deletes=True)
        assert stored(table) == {}

    def test_one_that_is_late_takes_nothing_from_the_record_of_the_next(self, table: Refreshes) -> None:
        load = table.begin(rows(WRITTEN))
        late = load.refresh_of_its_bucket()
        reader = PieceReader(table.stage.aws.s3, table.stage.bucket, load.pieces[0])
        comparison = late.compare(reader, ItemEncoder(reader.schema, load.plan.mapping))
        load.run()
        late.begin(comparison)
        load.succeed()
        assert counts(table.load(rows(WRITTEN))) == (0, 3, 0)


class TestRefusedByDynamoDb:
    """Whether such a row is in the table, from an earlier attempt, nobody knows."""

    @pytest.fixture
    def refusing(self) -> Iterator[DynamoDbSink]:
        refusal = ("ValidationException", "Item collection is too large")
        with DynamoDbSink(SinkBehaviour(tls=False, key="id", refusal=refusal, refused_keys=("key-003",))) as sink:
            yield sink

    def test_its_item_is_not_known_any_more(self, table: Refreshes, refusing: DynamoDbSink) -> None:
        many = {f"key-{number:03}": number for number in range(30)}
        table.load(rows(many))
        table.sink = refusing
        refused = many | {"key-003": -3}
        assert table.load(rows(refused)).rejected == 1
        table.sink = None
        assert counts(table.load(rows(refused))) == (1, 29, 0)
        assert stored(table) == refused

    def test_before_a_checkpoint_nothing_is_known_of_the_rows(self, table: Refreshes, refusing: DynamoDbSink) -> None:
        many = {f"key-{number:03}": number for number in range(500)}
        table.sink = refusing
        load = table.begin(rows(many))
        before = load.run(near_when(lambda: refusing.report().rows_stored > 50))
        assert 0 < before.rows < 500
        assert before.rejected == 1
        load.run()
        load.succeed()
        table.sink = None
        assert counts(table.load(rows(many))) == (before.rows, 500 - before.rows, 0)


class TestGoingOn:
    def test_a_loader_that_goes_on_records_the_rows_before_its_checkpoint_too(self, table: Refreshes) -> None:
        many = {f"key-{number:03}": number for number in range(500)}
        table.load(rows(many))
        changed = {key: -value for key, value in many.items()}
        load = table.begin(rows(changed))
        assert 0 < load.run(near_after(10)).written < 500
        assert load.run().finished
        load.succeed()
        assert stored(table) == changed
        assert counts(table.load(rows(changed))) == (0, 500, 0)

    def test_rows_that_another_encoder_has_written_are_not_known(self, table: Refreshes) -> None:
        many = {f"key-{number:03}": number for number in range(500)}
        load = table.begin(rows(many))
        before = load.run(near_after(10))
        assert 0 < before.written < 500
        stage = table.stage
        stage.aws.dynamodb.update_item(
            TableName=stage.ledger_table,
            Key={"loadId": {"S": load.plan.load_id}, "entry": {"S": "piece#00000"}},
            UpdateExpression="SET encoder = :another",
            ExpressionAttributeValues={":another": {"S": "another"}},
        )
        load.run()
        load.succeed()
        assert counts(table.load(rows(many))) == (before.written, 500 - before.written, 0)

    def test_a_dry_run_counts_and_changes_nothing(self, table: Refreshes) -> None:
        table.load(rows(WRITTEN))
        for _ in range(2):
            tally = table.load(rows({"a": 1, "b": 5, "d": 4}), deletes=True, dry_run=True)
            assert counts(tally) == (2, 1, 1)
            assert (tally.write_units, tally.units_saved) == (3, 1)
        assert stored(table) == WRITTEN
        assert noted(table) == {record_key(table.stage.name, MADE, "load-1", 0)}

    def test_deletions_go_on_where_they_were_left(self, table: Refreshes) -> None:
        many = {f"key-{number:03}": number for number in range(500)}
        table.load(rows(many))
        load = table.begin(rows({}), deletes=True)
        assert 0 < load.run(near_after(10)).deleted < 500
        assert load.run().deleted == 500
        assert stored(table) == {}


class Killed(BaseException):
    """The loader's process is gone: nothing of it runs any more."""


class Reaper:
    """Kills a loader after so many moments: before and after each call, and whenever it looks at the time."""

    def __init__(self, aws: LocalAws) -> None:
        self._events = [aws.s3.meta.events, aws.dynamodb.meta.events]
        self._left = 0

    def seconds_left(self) -> float:
        """The loader looks at the time."""
        self.pass_moment()
        return NO_DEADLINE

    def pass_moment(self, **_: Any) -> None:
        """Let a moment pass, or be the last one."""
        self._left -= 1
        if self._left < 0:
            raise Killed

    @contextmanager
    def after(self, moments: int) -> Iterator[None]:
        """Let so many moments pass."""
        self._left = moments
        names = [(events, name) for events in self._events for name in ("before-call", "after-call")]
        for events, name in names:
            events.register(name, self.pass_moment)
        try:
            yield
        finally:
            for events, name in names:
                events.unregister(name, self.pass_moment)


def kill(load: RefreshLoad, moments: int) -> bool:
    """Run a load's loaders, until they are killed or at their end; return whether they were killed."""
    reaper = Reaper(load.table.stage.aws)
    try:
        with reaper.after(moments):
            load.run(reaper.seconds_left)
    except Killed:
        return True
    return False


def source_after(source: dict[str, int], chance: random.Random) -> dict[str, int]:
    """Some rows gone, some changed, some back to a small set of values, some new."""
    kept = {key: value for key, value in source.items() if chance.random() > 0.15}
    changed = {key: chance.randrange(3) for key in kept if chance.random() < 0.2}
    new = {f"key-{chance.randrange(120):03}": chance.randrange(3) for _ in range(chance.randrange(25))}
    return kept | changed | new


@pytest.mark.parametrize("deletes", [False, True], ids=["changes", "mirror"])
def test_a_load_that_is_killed_a_hundred_times_and_resumed(table: Refreshes, *, deletes: bool) -> None:
    chance = random.Random(f"one load, deletes {deletes}")
    before = {f"key-{number:03}": 9 for number in range(250)}
    source = source_after(before, chance)
    source |= {key: 3 for key in source if chance.random() < 0.7}
    table.load(rows(before))
    load = table.begin(rows(source), deletes=deletes)
    assert all(kill(load, chance.randrange(1, 30)) for _ in range(100))
    total = load.run()
    load.succeed()
    assert (total.finished, total.rows) == (True, len(source))
    assert stored(table) == (source if deletes else before | source)
    assert counts(table.load(rows(source), deletes=deletes)) == (0, len(source), 0)


@pytest.mark.parametrize("deletes", [False, True], ids=["changes", "mirror"])
def test_after_any_loads_and_failures_the_target_equals_the_source(table: Refreshes, *, deletes: bool) -> None:
    chance = random.Random(f"deletes {deletes}")
    source: dict[str, int] = {}
    for _ in range(15):
        source = source_after(source, chance)
        load = table.begin(rows(source), buckets=chance.choice([1, 2]), deletes=deletes)
        if kill(load, chance.randrange(1, 60)) and chance.random() < 0.5:
            # Nobody goes on with this load: what it has changed stays.
            continue
        total = load.run()
        load.succeed()
        assert (total.finished, total.rows) == (True, len(source))
        assert {key: value for key, value in stored(table).items() if deletes or key in source} == source
