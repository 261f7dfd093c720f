"""Pieces of a table with a sort key are written in rounds of its partition keys, and no row is lost on the way."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from collections import Counter
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import given
from hypothesis import strategies as st

from dynamo_load import loading
from dynamo_load.accounting.ledger import Tally, pieces
from dynamo_load.encoding.items import ENCODER, EncodedRows
from dynamo_load.encoding.row_faults import RejectedRow
from dynamo_load.errors import ItemsDiffer
from dynamo_load.ordering import MANY_ROWS, ORDER, WINDOW_BYTES, Rounds, Stretch
from dynamo_load.writing.batches import Delivery, RefusedRow, Throttling
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour
from target.table import KeyAttribute
from tests.unit.dynamo_load.conftest import Stage, near_when
from tests.unit.dynamo_load.loading.refreshes import Refreshes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dynamo_load.loading import PieceBatch
    from dynamo_load.plan import Piece
    from tests.unit.dynamo_load.conftest import LocalAws

IN_FLIGHT = 6
EVERY = 1_000
TOO_LARGE = ("ValidationException", "Item collection is too large")


@pytest.fixture
def stage(local_aws: LocalAws) -> Stage:
    """A target table with the keys `id` and `at`."""
    stage = Stage(local_aws, key=(KeyAttribute("id", "S"), KeyAttribute("at", "N")))
    stage.create()
    return stage


def table_of(keys: Sequence[str | None], first: int = 0) -> pa.Table:
    """Rows with these partition keys, each with its number as sort key, and as value."""
    numbers = pa.array(range(first, first + len(keys)), pa.int64())
    return pa.table({"id": pa.array(keys, pa.string()), "at": numbers, "value": numbers})


def in_rounds(keys: Sequence[str | None]) -> list[int]:
    """The rows with these keys by how many rows of the same key come before each."""
    met: Counter[str | None] = Counter()
    rounds = []
    for key in keys:
        rounds.append(met[key])
        met[key] += 1
    return sorted(range(len(keys)), key=rounds.__getitem__)


class KilledError(BaseException):
    """Stands for the end of a process: nothing of the loader handles it."""


class MemoryTransport:
    """Writes batches to a dictionary, a few at once and done in any order; those with a refused `at` leave it out.

    After so many batches it stops pulling, as at a deadline, or dies with those that are in flight.
    """

    throttling = Throttling(rows=3, seconds=0.5)

    def __init__(self, seed: int = 0, refused: frozenset[int] = frozenset()) -> None:
        self.requests: list[list[tuple[str, int]]] = []
        """The keys of each request, as they were sent."""
        self.of_few_keys: list[bool] = []
        """Whether each request is said to be of few partition keys."""
        self.target: dict[tuple[str, int], int] = {}
        self.times: Counter[tuple[str, int]] = Counter()
        """How often each was written."""
        self.stops_after = self.dies_after = 1_000_000
        self._refused, self._chance = refused, random.Random(seed)

    def send(
        self,
        batches: Iterator[PieceBatch],
        on_done: Callable[[Delivery[PieceBatch]], None],
        meanwhile: Callable[[], None],
    ) -> None:
        in_flight: list[Delivery[PieceBatch]] = []
        for number, batch in enumerate(itertools.islice(batches, self.stops_after)):
            in_flight.append(self._written(batch))
            if number == self.dies_after:
                raise KilledError
            while len(in_flight) > self._chance.randrange(IN_FLIGHT):
                on_done(in_flight.pop(self._chance.randrange(len(in_flight))))
            meanwhile()
        self._chance.shuffle(in_flight)
        for delivery in in_flight:
            on_done(delivery)

    def _written(self, batch: PieceBatch) -> Delivery[PieceBatch]:
        self.of_few_keys.append(batch.few_keys)
        done = Delivery(batch, write_units=batch.write_units)
        requests = json.loads(f"[{batch.body_items.decode()}]")
        keys = [_key(request) for request in requests]
        assert len(set(keys)) == len(keys) == batch.rows
        self.requests.append(keys)
        for row, (request, key) in enumerate(zip(requests, keys, strict=True)):
            if batch.deletes:
                self.target.pop(key, None)
            elif key[1] in self._refused:
                text = json.dumps(request, separators=(",", ":"))
                done.refused.append(RefusedRow(row, len(text) + 1, "no"))
                done.write_units -= 1
            else:
                self.target[key] = int(request["PutRequest"]["Item"]["value"]["N"])
            self.times[key] += 1
        return done

    @property
    def rows(self) -> list[int]:
        """The `at` of each row, in the order of sending."""
        return [at for keys in self.requests for _, at in keys]


def _key(request: dict[str, Any]) -> tuple[str, int]:
    ((_, what),) = request.items()
    key = what.get("Item") or what["Key"]
    (partition,) = key["id"].values()
    return partition, int(key["at"]["N"])


def stored(stage: Stage) -> dict[tuple[str, int], int]:
    """The value that the target table has for each key."""
    read = TypeDeserializer().deserialize
    pages = stage.aws.dynamodb.get_paginator("scan").paginate(TableName=stage.name)
    items = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
    return {(item["id"], int(item["at"])): int(item["value"]) for item in items}


def recorded(stage: Stage) -> Tally:
    """What the ledger says of the only piece."""
    (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
    return entry.tally


def begun_in(stage: Stage, order: str, load_id: str) -> None:
    """Let the ledger say that the piece was begun in another order."""
    stage.aws.dynamodb.update_item(
        TableName=stage.ledger_table,
        Key={"loadId": {"S": load_id}, "entry": {"S": "piece#00000"}},
        UpdateExpression="SET encoder = :another",
        ExpressionAttributeValues={":another": {"S": order}},
    )


SORTED = [f"key-{number:02}" for number in range(30) for _ in range(150)]
HOT = "hot"


class TestRounds:
    def test_rows_sorted_by_partition_key_go_round_over_row_groups_and_files(self, stage: Stage) -> None:
        rows = table_of(SORTED)
        piece = stage.piece(
            stage.put_file(rows.slice(0, 1_700), "unload/0000", row_group_rows=400),
            stage.put_file(rows.slice(1_700), "unload/0001"),
        )
        transport = MemoryTransport()
        stage.load(piece, transport=transport)

        assert transport.rows == in_rounds(SORTED)
        assert all(len({key for key, _ in request}) == 25 for request in transport.requests)
        assert transport.target == {(key, row): row for row, key in enumerate(SORTED)}

    def test_a_key_with_half_of_all_rows_is_alone_when_the_others_are_done(self, stage: Stage) -> None:
        others = [f"key-{number:02}" for number in range(60) for _ in range(5)]
        keys = [*others[:100], *[HOT] * 300, *others[100:]]
        transport = MemoryTransport()
        stage.load(stage.piece_of(table_of(keys), row_group_rows=130), transport=transport)

        mixed = [{key for key, _ in request} for request in transport.requests]
        hot_rows = np.cumsum([sum(key == HOT for key, _ in request) for request in transport.requests])
        last_other = max(number for number, request in enumerate(mixed) if request != {HOT})
        assert hot_rows[last_other] < 150
        assert all(request == {HOT} for request in mixed[last_other + 1 :])
        assert transport.of_few_keys == [request == {HOT} for request in mixed]
        assert transport.rows == in_rounds(keys)

    @pytest.mark.parametrize(("window_bytes", "rows"), [(1, 600), (60_000, 1_200)])
    def test_windows_follow_one_another_where_a_piece_is_too_large_for_one(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch, window_bytes: int, rows: int
    ) -> None:
        monkeypatch.setattr(loading, "WINDOW_BYTES", window_bytes)
        transport = MemoryTransport()
        stage.load(stage.piece_of(table_of(SORTED), row_group_rows=600), transport=transport)

        windows = [range(begin, min(begin + rows, len(SORTED))) for begin in range(0, len(SORTED), rows)]
        assert transport.rows == [
            window[row] for window in windows for row in in_rounds(SORTED[window.start : window.stop])
        ]

    @pytest.mark.parametrize(("rows_per_key", "mixed"), [(MANY_ROWS, False), (MANY_ROWS + 1, True)])
    def test_a_piece_whose_keys_have_few_rows_is_written_as_it_stands(
        self, stage: Stage, rows_per_key: int, *, mixed: bool
    ) -> None:
        keys = [key for key in ("a", "b", "c") for _ in range(rows_per_key)]
        transport = MemoryTransport()
        stage.load(stage.piece_of(table_of(keys)), transport=transport)
        assert transport.rows == (in_rounds(keys) if mixed else list(range(len(keys))))

    @pytest.mark.parametrize("arrow_type", [pa.int64(), pa.float64(), pa.decimal128(21, 2)])
    def test_numbers_go_round_too(self, stage: Stage, arrow_type: pa.DataType) -> None:
        stage.key = (KeyAttribute("id", "N"), stage.key[1])
        keys = [number for number in range(-2, 3) for _ in range(120)]
        rows = table_of([""] * 600).set_column(0, "id", pa.array(keys, pa.int64()).cast(arrow_type))
        transport = MemoryTransport()
        assert stage.load(stage.piece_of(rows, row_group_rows=170), transport=transport).written == 600
        assert transport.rows == in_rounds([str(key) for key in keys])

    @pytest.mark.parametrize("has_sort_key", [False, True])
    def test_a_table_without_a_sort_key_costs_no_look_at_its_keys_and_keeps_the_order(
        self, stage: Stage, columns_read: list[list[str]], *, has_sort_key: bool
    ) -> None:
        stage.key = stage.key[: 1 + has_sort_key]
        keys = ["a"] * 150 + [f"key-{number}" for number in range(50)]
        transport = MemoryTransport()
        stage.load(stage.piece_of(table_of(keys)), transport=transport)

        key_columns = [key.name for key in stage.key]
        assert columns_read == [["id"]] * has_sort_key + [key_columns, ["id", "at", "value"]]
        assert transport.rows == (in_rounds(keys) if has_sort_key else list(range(149, 200)))

    @pytest.fixture
    def columns_read(self, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
        """The columns of each look at a row group since the test began."""
        columns: list[list[str]] = []
        reading: Callable[..., Iterator[pa.RecordBatch]] = pq.ParquetFile.iter_batches

        def noted(file: pq.ParquetFile, *arguments: Any, **options: Any) -> Iterator[pa.RecordBatch]:
            columns.append(options["columns"])
            return reading(file, *arguments, **options)

        monkeypatch.setattr(pq.ParquetFile, "iter_batches", noted)
        return columns


def unruly() -> tuple[list[str | None], pa.Table]:
    """Partition keys, some missing, and rows in which later ones replace some; a third is of one key."""
    keys: list[str | None] = [HOT if row % 3 == 0 else f"key-{row // 60:02}" for row in range(600)]
    for row in range(7, 600, 29):
        keys[row] = None
    rows = table_of(keys)
    # Of two rows with one key the first one is replaced, in whichever file or window they are.
    at = rows["at"].to_pylist()
    for row in range(300, 600, 30):
        at[row] = at[row - 300]
    return keys, rows.set_column(1, "at", pa.array(at, pa.int64()))


REFUSED = frozenset(range(5, 600, 50))


class TestGoingOn:
    """Whoever goes on at a checkpoint means the same places as the one before."""

    @pytest.fixture
    def piece(self, stage: Stage) -> Piece:
        _, rows = unruly()
        return stage.piece(
            stage.put_file(rows.slice(0, 250), "unload/0000", row_group_rows=100),
            stage.put_file(rows.slice(250), "unload/0001", row_group_rows=200),
        )

    @pytest.fixture(autouse=True)
    def often_recorded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a second passes from look to look at the clock."""
        clock = itertools.count(0.0, 0.5)
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def assert_right(self, stage: Stage, tally: Tally, transport: MemoryTransport, *, begun_anew: bool = False) -> None:
        keys, rows = unruly()
        at = rows["at"].to_pylist()
        last = {(key, at[row]): row for row, key in enumerate(keys) if key is not None}
        good = {key: row for key, row in last.items() if key[1] not in REFUSED}
        refused = {row for key, row in last.items() if key[1] in REFUSED}
        without_key = {row for row, key in enumerate(keys) if key is None}
        assert len(refused) > 5
        assert transport.target == good
        assert (tally.next_row, tally.rows, tally.written) == (600, 600, len(good))
        assert tally.rejected == len(without_key | refused)
        assert tally.superseded == 600 - len(without_key) - len(last) > 0
        assert tally.write_units == tally.written
        assert tally.finished
        assert recorded(stage) == tally
        kept = stage.rejects()
        assert {reject["piece_row"] for reject in kept} == without_key | refused
        # In another order another batch has the row, and keeps it in a file of its own.
        if not begun_anew:
            assert len(kept) == len(without_key | refused)
        assert all(reject["row"]["value"] == reject["piece_row"] for reject in kept)

    @pytest.mark.parametrize("window_bytes", [1, 15_000, WINDOW_BYTES])
    def test_over_many_hand_overs_every_row_is_sent_once(
        self, stage: Stage, piece: Piece, monkeypatch: pytest.MonkeyPatch, window_bytes: int
    ) -> None:
        monkeypatch.setattr(loading, "WINDOW_BYTES", window_bytes)
        transport = MemoryTransport(window_bytes, REFUSED)
        reached = [0]
        for batches in itertools.chain((1, 2, 5, 3, 1, 4), itertools.repeat(1_000)):
            transport.stops_after = batches
            tally = stage.load(piece, transport=transport)
            assert tally.rows == tally.next_row > reached[-1]
            reached.append(tally.next_row)
            if tally.finished:
                break
        assert set(transport.times.values()) == {1}
        assert len(reached) == 8
        self.assert_right(stage, tally, transport)

    @pytest.mark.parametrize("seed", range(3))
    def test_killed_anywhere_no_row_is_lost_or_counted_twice(
        self, stage: Stage, piece: Piece, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        chance = random.Random(seed)
        monkeypatch.setattr(loading, "WINDOW_BYTES", chance.choice([1, 10_000, 25_000, WINDOW_BYTES]))
        transport = MemoryTransport(seed, REFUSED)
        for _ in range(6):
            transport.dies_after = chance.randrange(1, 10)
            before = recorded(stage).next_row if transport.requests else 0
            with suppress(KilledError):
                stage.load(piece, transport=transport)
            tally = recorded(stage)
            assert tally.rows == tally.next_row >= before
        transport.dies_after = 1_000
        self.assert_right(stage, stage.load(piece, transport=transport), transport)

    def test_a_piece_that_was_begun_in_rounds_and_needs_none_any_more_begins_anew(self, stage: Stage) -> None:
        keys = [f"key-{number % 50:02}" for number in range(500)]
        piece, transport = stage.piece_of(table_of(keys)), MemoryTransport()
        transport.stops_after = 8
        stage.load(piece, transport=transport)
        begun_in(stage, ORDER, stage.name)

        transport.stops_after = 1_000
        tally = stage.load(piece, transport=transport)
        assert (tally.written, tally.finished) == (500, True)
        assert transport.rows[200:] == list(range(500))

    @pytest.mark.parametrize(("order", "dies"), [(ENCODER, False), ("another", True)])
    def test_a_piece_that_was_begun_in_another_order_begins_anew(
        self, stage: Stage, piece: Piece, monkeypatch: pytest.MonkeyPatch, order: str, *, dies: bool
    ) -> None:
        """As one that was begun before there were rounds: a place was a row then."""
        transport = MemoryTransport(3, REFUSED)
        with monkeypatch.context() as then:
            then.setattr(loading, "WINDOW_BYTES", 1)
            transport.stops_after = 12
            first = stage.load(piece, transport=transport)
        begun_in(stage, order, stage.name)
        transport.stops_after = 4
        if dies:
            transport.dies_after = 0
            with pytest.raises(KilledError):
                stage.load(piece, transport=transport)
            transport.dies_after = 1_000
        second = stage.load(piece, transport=transport)
        transport.stops_after = 1_000

        assert first.encoder == second.encoder == ORDER
        assert 0 < second.next_row == second.rows < first.next_row < 600
        sent = len(transport.requests)
        third = stage.load(piece, transport=transport)
        assert third.seconds > second.seconds > first.seconds
        assert (third.rows_throttled, third.throttled_seconds) == (9, 1.5)
        # What the second and the third have sent is all there is: nothing relies on the first.
        anew = list(itertools.chain(*transport.requests[sent - 4 :]))
        assert len(set(anew)) == len(anew) == len(set(transport.times))
        self.assert_right(stage, third, transport, begun_anew=True)


class TestRefusedRows:
    def test_rows_of_one_request_from_several_chunks_and_files_are_kept_whole(self, stage: Stage) -> None:
        keys = [key for key in ("a", "b", "c", "d") for _ in range(110)]
        rows = table_of(keys)
        piece = stage.piece(
            stage.put_file(rows.slice(0, 200), "unload/0000", row_group_rows=60),
            stage.put_file(rows.slice(200), "unload/0001", row_group_rows=60),
        )
        # Four that go together, two of one chunk that go apart, the last two of all.
        refused = {3, 113, 223, 333, 50, 438, 439}
        behaviour = SinkBehaviour(
            tls=False, key="at", refusal=TOO_LARGE, refused_keys=tuple(str(row) for row in refused)
        )
        with DynamoDbSink(behaviour) as sink:
            tally = stage.load(piece, sink=sink)
            assert sink.stored() == {str(row): 1 for row in set(range(440)) - refused}

        assert (tally.next_row, tally.written, tally.rejected) == (440, 433, 7)
        assert sorted(stage.rejects(), key=lambda kept: kept["piece_row"]) == [
            {
                "file": f"unload/000{row // 200 if row < 400 else 1}",
                "file_row": row if row < 200 else row - 200,
                "piece_row": row,
                "reason": "refused_by_dynamodb",
                "detail": ": ".join(TOO_LARGE),
                "row": {"id": keys[row], "at": row, "value": row},
            }
            for row in sorted(refused)
        ]


ROWS_OF_HOT = 150
HOT_AND_OTHERS = [HOT] * ROWS_OF_HOT + [f"key-{number:02}" for number in range(20) for _ in range(3)]
LAST_KEY_ROW = 207
"""Its place is the 21st."""


def counts(tally: Tally) -> tuple[int, int, int]:
    """Rows written and unchanged, keys deleted."""
    return tally.written, tally.unchanged, tally.deleted


class TestRefreshes:
    @pytest.fixture
    def table(self, stage: Stage) -> Refreshes:
        """A table of which nothing is known."""
        return Refreshes(stage)

    def test_what_has_changed_is_written_and_what_has_vanished_deleted(self, table: Refreshes) -> None:
        rows = table_of(HOT_AND_OTHERS)
        assert counts(table.load(rows)) == (210, 0, 0)
        changed = [-row if row % 10 == 4 else row for row in range(210)]
        rows = rows.set_column(2, "value", pa.array(changed, pa.int64()))
        assert counts(table.load(rows)) == (21, 189, 0)
        left = [row for row in range(210) if row < 120 or row % 3]
        assert counts(table.load(rows.take(left), deletes=True)) == (0, len(left), 210 - len(left))
        assert counts(table.load(rows, deletes=True)) == (210 - len(left), len(left), 0)
        assert stored(table.stage) == {(key, row): changed[row] for row, key in enumerate(HOT_AND_OTHERS)}

    def test_mirrors_that_are_killed_and_gone_on_with_end_as_the_source(
        self, table: Refreshes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(loading, "WINDOW_BYTES", 12_000)
        clock = itertools.count(0.0, 0.5)
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        transport, chance = MemoryTransport(), random.Random(8)
        rows = table_of(HOT_AND_OTHERS)
        for version in range(4):
            left = sorted(chance.sample(range(210), 190))
            source = rows.take(left)
            values = [row if chance.random() < 0.5 else -version for row in left]
            source = source.set_column(2, "value", pa.array(values, pa.int64()))
            load = table.begin(source, deletes=True)
            for _ in range(3):
                transport.dies_after, transport.stops_after = chance.choice([(2, 9), (9, 2), (1, 9)])
                with suppress(KilledError):
                    load.run(transport=transport)
            transport.dies_after = transport.stops_after = 1_000
            total = load.run(transport=transport)
            load.succeed()
            assert (total.finished, total.rows) == (True, len(left))
            assert transport.target == {
                (HOT_AND_OTHERS[row], row): value for row, value in zip(left, values, strict=True)
            }
            sent = len(transport.requests)
            again = table.begin(source, deletes=True)
            assert counts(again.run(transport=transport)) == (0, len(left), 0)
            again.succeed()
            assert len(transport.requests) == sent

    def test_a_row_that_was_refused_early_in_the_order_is_written_again_wherever_it_stands(
        self, table: Refreshes
    ) -> None:
        rows = table_of(HOT_AND_OTHERS)
        behaviour = SinkBehaviour(tls=False, key="at", refusal=TOO_LARGE, refused_keys=(str(LAST_KEY_ROW),))
        with DynamoDbSink(behaviour) as sink:
            table.sink = sink
            load = table.begin(rows)
            before = load.run(near_when(lambda: sink.report().rows_stored > 60))
            assert before.rejected == 1
            assert 60 < before.rows < LAST_KEY_ROW
            assert load.run().finished
            load.succeed()
            table.sink = None
            assert counts(table.load(rows)) == (before.rows, 210 - before.rows, 0)
        assert (HOT_AND_OTHERS[LAST_KEY_ROW], LAST_KEY_ROW) in stored(table.stage)

    def test_what_was_begun_in_another_order_is_known_when_all_is_written_anew(self, table: Refreshes) -> None:
        rows, transport = table_of(HOT_AND_OTHERS), MemoryTransport()
        load = table.begin(rows)
        transport.stops_after = 4
        assert not load.run(transport=transport).finished
        begun_in(table.stage, "another", load.plan.load_id)
        transport.stops_after = 1_000
        assert load.run(transport=transport).written == 210
        load.succeed()
        assert counts(table.load(rows)) == (0, 210, 0)


class TestSample:
    def test_items_are_read_back_whoever_wrote_them(self, stage: Stage) -> None:
        piece = stage.piece_of(table_of(HOT_AND_OTHERS), row_group_rows=50)
        first = stage.load(piece, deadline=near_when(lambda: len(stored(stage)) > 60), sample=EVERY)
        assert 60 < first.next_row < 210
        assert stage.load(piece, sample=EVERY).written == 210

    def test_one_that_another_has_changed_is_named(self, stage: Stage) -> None:
        piece = stage.piece_of(table_of(HOT_AND_OTHERS), row_group_rows=50)
        stage.load(piece, deadline=near_when(lambda: len(stored(stage)) > 60), sample=EVERY)
        stage.aws.dynamodb.delete_item(TableName=stage.name, Key={"id": {"S": HOT}, "at": {"N": "0"}})
        with pytest.raises(ItemsDiffer, match=r"1 of 210 items .* such as id=hot, at=0:"):
            stage.load(piece, sample=EVERY)


def stretch_of(first_row: int, fates: Sequence[str]) -> Stretch:
    """A stretch of rows that are to be written, rejected, replaced or unchanged; each item's text is its row."""
    rows = np.array([row for row, fate in enumerate(fates) if fate == "written"], np.int64)
    texts = [b"%d," % (first_row + row) for row in rows.tolist()]
    items = EncodedRows(
        memoryview(b"".join(texts)),
        np.cumsum([0, *map(len, texts)]).astype(np.int64),
        rows,
        rows + first_row + 1,
        [RejectedRow(row, "", str(first_row + row)) for row, fate in enumerate(fates) if fate == "rejected"],
    )
    unchanged = np.array([first_row + row if fate == "unchanged" else 0 for row, fate in enumerate(fates)], np.int64)
    return Stretch(first_row, items, np.array([fate == "replaced" for fate in fates], np.bool_), unchanged)


FATES = st.sampled_from(["written", "rejected", "replaced", "unchanged"])


class TestOrder:
    @given(
        st.lists(st.lists(st.tuples(st.integers(0, 5), FATES), min_size=1, max_size=20), min_size=1, max_size=4),
        st.integers(0, 3),
    )
    def test_it_goes_round_the_keys_and_takes_with_each_row_what_is_known_of_it(
        self, chunks: list[list[tuple[int, str]]], before: int
    ) -> None:
        keys = [key for chunk in chunks for key, _ in chunk]
        fates = [fate for chunk in chunks for _, fate in chunk]
        starts = [before, *(before + start for start in itertools.accumulate(map(len, chunks)))]
        stretches = [
            stretch_of(start, [fate for _, fate in chunk]) for start, chunk in zip(starts, chunks, strict=False)
        ]
        stretch = Rounds(np.array([0] * before + keys, np.uint64)).order(stretches)

        assert stretch.first_row == before
        assert stretch.order is not None
        order = stretch.order.tolist()
        # A permutation, within a key as in the file, and round after round.
        assert order == in_rounds([str(key) for key in keys])
        items = stretch.items
        ends = items.offsets.tolist()
        texts = [bytes(items.text[begin : end - 1]) for begin, end in itertools.pairwise(ends)]
        assert [int(text) for text in texts] == [before + row for row in order if fates[row] == "written"]
        assert stretch.item_rows() == [order[place] for place in items.rows.tolist()]
        assert [before + row for row in stretch.item_rows()] == [int(text) for text in texts]
        assert items.write_units.tolist() == [int(text) + 1 for text in texts]
        assert {int(reject.detail) for reject in items.rejects} == {
            before + row for row, fate in enumerate(fates) if fate == "rejected"
        }
        assert all(before + order[reject.row] == int(reject.detail) for reject in items.rejects)
        assert stretch.replaced.tolist() == [fates[row] == "replaced" for row in order]
        assert stretch.units_saved.tolist() == [before + row if fates[row] == "unchanged" else 0 for row in order]
        for place in range(len(order) + before + 2):
            assert stretch.rows_before(place).tolist() == [before + row for row in order[: max(0, place - before)]]

    def test_whoever_changes_a_rows_place_raises_the_version(self) -> None:
        """A new version gets a new digest, which the failing test tells."""
        fates = ["written"] * 300
        partitions = np.array([row * row % 7 for row in range(300)], np.uint64)
        order = Rounds(partitions).order([stretch_of(0, fates)]).order
        assert order is not None
        digest = hashlib.sha256(json.dumps([MANY_ROWS, WINDOW_BYTES, order.tolist()]).encode()).hexdigest()
        assert f"{ENCODER} order 1" == ORDER
        assert digest == "0847fb87449f3da88c6127937853eb502812e481774c5c0b84342703c4fa6cdc"
