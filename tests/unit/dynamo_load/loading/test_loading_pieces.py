"""A piece becomes items, whatever its shape; the ledger knows what became of every row."""

from __future__ import annotations

import itertools
import math
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from dynamo_load import loading
from dynamo_load.accounting.ledger import pieces
from dynamo_load.errors import (
    CorruptParquetFile,
    DynamoDbRefused,
    LedgerUnavailable,
    MissingKeyColumn,
    PieceTakenOver,
    RejectsNotStored,
    TooManyRejects,
)
from dynamo_load.reading.piece_reader import CHUNK_ROWS
from errors import AwsRefused
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour
from target.table import KeyAttribute
from tests.unit.dynamo_load.conftest import NO_DEADLINE, Stage, not_utf8, numbered, passes_after, with_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from dynamo_load.accounting.ledger import Tally


def counts(tally: Tally) -> tuple[int, int, int, int]:
    """Rows read, written, rejected and superseded."""
    return tally.next_row, tally.written, tally.rejected, tally.superseded


def recorded(stage: Stage) -> dict[str, Tally]:
    """What the ledger says of each piece."""
    return {entry.piece: entry.tally for entry in pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)}


@pytest.mark.parametrize("rows", [0, 1, 24, 25, 26])
def test_every_row_of_a_piece_becomes_an_item(stage: Stage, rows: int) -> None:
    tally = stage.load(stage.piece_of(numbered(rows)))

    assert {key: item["number"] for key, item in stage.items().items()} == {f"row-{n}": n for n in range(rows)}
    assert counts(tally) == (rows, rows, 0, 0)
    assert counts(recorded(stage)["00000"]) == (rows, rows, 0, 0)


def test_many_small_files_make_one_piece(stage: Stage) -> None:
    slices = [stage.put_file(numbered(3, first=3 * file), f"unload/{file:04}") for file in range(40)]

    tally = stage.load(stage.piece(*slices))

    assert set(stage.items()) == {f"row-{n}" for n in range(120)}
    assert counts(tally) == (120, 120, 0, 0)


def test_a_piece_loads_its_row_groups_and_no_others(stage: Stage) -> None:
    file = stage.put_file(numbered(100), "unload/0000", row_group_rows=30)

    tally = stage.load(stage.piece({**file, "row_groups": [1, 3], "rows": 40}))

    assert set(stage.items()) == {f"row-{n}" for n in [*range(30, 60), *range(90, 100)]}
    assert counts(tally) == (40, 40, 0, 0)


def test_the_ledger_holds_the_figures_of_what_was_written(stage: Stage) -> None:
    with DynamoDbSink(SinkBehaviour(tls=False)) as sink:
        stage.load(stage.piece_of(numbered(1_000)), sink=sink)

        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert (entry.piece, entry.rows, entry.finished, entry.failure) == ("00000", 1_000, True, None)
        assert entry.tally.write_units == 1_000
        assert 0 < entry.tally.item_bytes < sink.report().request_bytes
        assert 0 < entry.tally.seconds <= entry.updated_at - entry.started_at + 1


def test_no_row_is_lost_or_counted_twice_when_requests_fail_in_every_way(stage: Stage) -> None:
    unkind = SinkBehaviour(
        key="id",
        unprocessed_share=0.3,
        throttled_share=0.05,
        error_share=0.05,
        reset_share=0.02,
        lost_answer_share=0.02,
        bad_crc_share=0.02,
    )
    with DynamoDbSink(unkind) as sink:
        tally = stage.load(stage.piece_of(numbered(5_000), row_group_rows=700), sink=sink)

        assert counts(tally) == (5_000, 5_000, 0, 0)
        assert sink.stored().keys() == {f"row-{n}" for n in range(5_000)}
        assert sink.report().violations == []


def test_a_column_that_parquet_calls_json_is_super_whatever_the_manifest_says(stage: Stage) -> None:
    documents = pa.array(['{"tags":["a","b"],"price":1.10}', None], pa.string()).cast(pa.json_())
    piece = stage.piece_of(pa.table({"id": ["a", "b"], "doc": documents}))

    stage.load(piece)

    assert stage.items() == {
        "a": {"id": "a", "doc": {"tags": ["a", "b"], "price": Decimal("1.1")}},
        "b": {"id": "b"},
    }


def test_timestamps_of_96_bits_keep_years_that_nanoseconds_cannot_count(stage: Stage) -> None:
    always = pa.array([datetime(9999, 12, 31), datetime(1, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001
    rows = pa.table({"id": ["a", "b"], "valid_to": always})

    stage.load(stage.piece(stage.put_file(rows, "unload/0000", use_deprecated_int96_timestamps=True)))

    assert {name: item["valid_to"] for name, item in stage.items().items()} == {
        "a": "9999-12-31T00:00:00.000000",
        "b": "0001-01-01T00:00:00.000000",
    }


def test_an_item_that_fills_a_request_by_itself_goes_alone(stage: Stage) -> None:
    large = pa.table({"id": [f"row-{n}" for n in range(10)], "text": ["\x01" * 350_000] * 10})
    with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
        tally = stage.load(stage.piece_of(large), sink=sink)

        assert counts(tally) == (10, 10, 0, 0)
        assert sink.report().requests == 10


class TestHandOver:
    """A loader whose time is up leaves the rest of the piece to the next."""

    def test_the_next_loader_goes_on_at_the_checkpoint(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(4_000), row_group_rows=500)
        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            first = stage.load(piece, sink=sink, deadline=passes_after(60))
            rest = stage.load(piece, sink=sink)

            assert 0 < first.next_row < 4_000
            assert counts(first) == (first.next_row, first.next_row, 0, 0)
            assert counts(rest) == (4_000, 4_000, 0, 0)
            assert sink.stored().keys() == {f"row-{n}" for n in range(4_000)}
            assert sink.report().rows_stored < 4_000 + 1_000
            assert rest.seconds > first.seconds

    def test_rejected_and_superseded_rows_count_once_over_many_hand_overs(self, stage: Stage) -> None:
        keys = [None if n % 7 == 0 else f"row-{n % 1_500}" for n in range(2_000)]
        piece = stage.piece_of(with_keys(keys), row_group_rows=300)
        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            tallies = [
                stage.load(piece, sink=sink, deadline=passes_after(looks)) for looks in (12, 25, 40, 60, 100_000)
            ]

            with_key = [key for key in keys if key]
            items = set(with_key)
            assert counts(tallies[-1]) == (2_000, len(items), keys.count(None), len(with_key) - len(items))
            assert sink.stored().keys() == items
        assert [reject["piece_row"] for reject in stage.rejects()] == list(range(0, 2_000, 7))

    def test_a_finished_piece_is_not_loaded_again(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(30))
        with DynamoDbSink(SinkBehaviour(tls=False)) as sink:
            first = stage.load(piece, sink=sink)
            again = stage.load(piece, sink=sink)

            assert again == first
            assert sink.report().rows_received == 30

    def test_a_deadline_that_has_passed_leaves_the_piece_as_it_was(self, stage: Stage) -> None:
        tally = stage.load(stage.piece_of(numbered(30)), deadline=lambda: 0.0)

        assert counts(tally) == (0, 0, 0, 0)
        assert stage.items() == {}


class KilledError(BaseException):
    """Stands for the end of a process: nothing of the loader handles it."""


class TestDeathAndDoubles:
    """A loader may die anywhere, or live on beside the one that took its place."""

    def test_a_retry_after_a_kill_counts_every_row_once(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([f"row-{n % 3_000}" for n in range(4_000)]), row_group_rows=500)

        def kill_after(looks: int) -> float:
            if next(seen) > looks:
                raise KilledError
            return 60.0

        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            checkpoint = stage.load(piece, sink=sink, deadline=passes_after(50))
            for looks in (30, 60):
                seen = itertools.count()
                with pytest.raises(KilledError):
                    stage.load(piece, sink=sink, deadline=lambda looks=looks: kill_after(looks))  # type: ignore[misc]
                assert counts(recorded(stage)["00000"]) == counts(checkpoint)
            tally = stage.load(piece, sink=sink)

            assert 0 < checkpoint.next_row < 4_000
            assert counts(tally) == (4_000, 3_000, 0, 1_000)
            assert tally.write_units == 3_000
            assert sink.stored().keys() == {f"row-{n}" for n in range(3_000)}

    def test_what_was_done_until_two_seconds_before_a_kill_is_kept(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        piece = stage.piece_of(numbered(4_000), row_group_rows=500)
        looks = itertools.count()
        clock = itertools.count(0.0, 0.25)
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(clock)))

        def deadline() -> float:
            if next(looks) == 100:
                raise KilledError
            return NO_DEADLINE

        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            with pytest.raises(KilledError):
                stage.load(piece, sink=sink, deadline=deadline)
            kept = recorded(stage)["00000"]
            assert 0 < kept.next_row < 4_000
            assert counts(kept) == (kept.next_row, kept.next_row, 0, 0)

            assert counts(stage.load(piece, sink=sink)) == (4_000, 4_000, 0, 0)
            assert sink.stored().keys() == {f"row-{n}" for n in range(4_000)}

    def test_a_loader_that_lives_on_counts_nothing_and_stops(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(2_000), row_group_rows=500)
        looks = itertools.count()
        successor: list[Tally] = []

        def deadline() -> float:
            if next(looks) == 30:
                successor.append(stage.load(piece, sink=sink))
            return 60.0

        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            with pytest.raises(PieceTakenOver, match="piece 00000"):
                stage.load(piece, sink=sink, deadline=deadline)

            assert counts(successor[0]) == (2_000, 2_000, 0, 0)
            assert recorded(stage)["00000"] == successor[0]
            assert sink.stored().keys() == {f"row-{n}" for n in range(2_000)}


class TestDuplicates:
    """Of several rows with one key the last one of the piece is written."""

    def test_the_last_row_wins_across_chunks_files_and_row_groups(self, stage: Stage) -> None:
        keys = [f"row-{n % 50}" for n in range(170)]
        rows = with_keys(keys)
        piece = stage.piece(
            stage.put_file(rows.slice(0, 90), "unload/0000", row_group_rows=40),
            stage.put_file(rows.slice(90), "unload/0001"),
        )

        tally = stage.load(piece)

        assert {key: item["number"] for key, item in stage.items().items()} == {
            key: number for number, key in enumerate(keys)
        }
        assert counts(tally) == (170, 50, 0, 120)

    def test_no_request_holds_a_key_twice(self, stage: Stage) -> None:
        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            stage.load(stage.piece_of(with_keys(["same"] * 60)), sink=sink)

            assert sink.stored() == {"same": 1}

    def test_rows_that_differ_in_the_sort_key_are_not_duplicates(self, stage: Stage) -> None:
        stage.key = (KeyAttribute("id", "S"), KeyAttribute("number", "N"))
        with DynamoDbSink(SinkBehaviour(tls=False, key="number")) as sink:
            tally = stage.load(stage.piece_of(with_keys(["same"] * 60)), sink=sink)

            assert counts(tally) == (60, 60, 0, 0)
            assert len(sink.stored()) == 60


class TestRejects:
    """A row that DynamoDB can never accept is kept whole, and costs no other row."""

    def test_rejected_rows_are_kept_with_reason_and_place(self, stage: Stage) -> None:
        piece = stage.piece(
            stage.put_file(with_keys(["a", None, "b"]), "unload/0000"),
            stage.put_file(with_keys(["c", "", "k" * 3_000, "d"]), "unload/0001", row_group_rows=2),
        )

        tally = stage.load(piece)

        assert set(stage.items()) == {"a", "b", "c", "d"}
        assert counts(tally) == (7, 4, 3, 0)
        assert [
            (kept["file"], kept["file_row"], kept["piece_row"], kept["reason"], kept["row"]) for kept in stage.rejects()
        ] == [
            ("unload/0000", 1, 1, "key_missing", {"id": None, "number": 1}),
            ("unload/0001", 1, 4, "key_empty", {"id": "", "number": 1}),
            ("unload/0001", 2, 5, "key_too_long", {"id": "k" * 3_000, "number": 2}),
        ]

    def test_a_key_that_is_not_utf8_costs_its_own_row_and_no_other(self, stage: Stage) -> None:
        keys = pa.chunked_array([["a"], not_utf8(b"Jane Doe\xff"), ["b", "a"]])
        tally = stage.load(stage.piece_of(pa.table({"id": keys})))

        assert set(stage.items()) == {"a", "b"}
        assert counts(tally) == (4, 2, 1, 1)
        assert [(kept["reason"], kept["row"]) for kept in stage.rejects()] == [
            ("not_utf8", {"id": "Jane Doe\udcff"}),
        ]

    @pytest.mark.parametrize("bad", ["", "k" * 2_049, None])
    def test_rows_whose_key_can_never_be_one_are_each_a_reject(self, stage: Stage, bad: str | None) -> None:
        tally = stage.load(stage.piece_of(with_keys([bad, "a", bad, "a", bad, bad, bad])))

        assert counts(tally) == (7, 1, 5, 1)
        assert [(kept["piece_row"], kept["row"]["id"]) for kept in stage.rejects()] == [
            (row, bad) for row in (0, 2, 4, 5, 6)
        ]

    def test_rows_whose_key_is_not_utf8_are_each_a_reject(self, stage: Stage) -> None:
        tally = stage.load(stage.piece_of(pa.table({"id": pa.chunked_array([not_utf8(b"\xff")] * 3)})))

        assert counts(tally) == (3, 0, 3, 0)
        assert len(stage.rejects()) == 3

    def test_rows_whose_sort_key_can_never_be_one_are_each_a_reject(self, stage: Stage) -> None:
        stage.key = (KeyAttribute("id", "S"), KeyAttribute("at", "N"))
        at = [math.nan, math.nan, 1.0, 1.0, 1e300, 1e300]
        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            tally = stage.load(stage.piece_of(pa.table({"id": ["a"] * 6, "at": at})), sink=sink)

        assert counts(tally) == (6, 1, 4, 1)
        assert [kept["piece_row"] for kept in stage.rejects()] == [0, 1, 4, 5]

    def test_a_rejected_row_keeps_values_of_every_kind(self, stage: Stage) -> None:
        rows = pa.table(
            {
                "id": pa.array([None], pa.string()),
                "price": pa.array([Decimal("12345678901234567890.123456789012345678")], pa.decimal128(38, 18)),
                "day": pa.array([2_932_897], pa.int32()).cast(pa.date32()),
                "at": pa.array([1_234_567_890_123_456], pa.timestamp("us")),
                "instant": pa.array([1_234_567_890_123_456], pa.timestamp("us", tz="UTC")),
                "document": pa.array(["[1.10]"]).cast(pa.json_()),
                "ratio": [math.nan],
                "picture": [b"\x00\xff"],
                "text": not_utf8(b"\xff"),
                "vine": [True],
                "nothing": pa.array([None], pa.int16()),
            }
        )

        stage.load(stage.piece_of(rows))

        assert stage.rejects()[0]["row"] == {
            "id": None,
            "price": "12345678901234567890.123456789012345678",
            "day": "10000-01-01",
            "at": "2009-02-13 23:31:30.123456",
            "instant": "2009-02-13 23:31:30.123456",
            "document": "[1.10]",
            "ratio": "nan",
            "picture": "AP8=",
            "text": "\udcff",
            "vine": True,
            "nothing": None,
        }

    def test_loading_again_keeps_each_reject_once(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([None, "a", None] * 100), row_group_rows=70)
        with DynamoDbSink(SinkBehaviour(tls=False)) as sink:
            stage.load(piece, sink=sink, deadline=passes_after(5))
            stage.load(piece, sink=sink)

        assert [kept["piece_row"] for kept in stage.rejects()] == [n for n in range(300) if n % 3 != 1]

    def test_a_piece_of_nothing_but_rejects_is_finished(self, stage: Stage) -> None:
        tally = stage.load(stage.piece_of(with_keys([None] * 60)))

        assert counts(tally) == (60, 0, 60, 0)
        assert len(stage.rejects()) == 60

    def test_rows_that_need_no_request_are_handed_over_in_time_as_well(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([None] * 600), row_group_rows=30)

        first = stage.load(piece, deadline=passes_after(10))
        rest = stage.load(piece)

        assert 0 < first.next_row < 600
        assert counts(rest) == (600, 0, 600, 0)

    def test_a_piece_with_more_rejects_than_the_load_allows_fails(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([None, "a", None, "b"]))

        with pytest.raises(TooManyRejects, match=f"rejected: 2 .*load: 1.*s3://{stage.bucket}/rejects/{stage.name}/"):
            stage.load(piece, rejects_allowed=1)

    def test_rows_are_not_counted_as_rejected_unless_they_are_stored(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([None, "a"]))
        refusing = replace(stage, bucket_for_rejects="no-such-bucket")

        with pytest.raises(AwsRefused, match=r"PutObject was refused \(NoSuchBucket\)"):
            refusing.load(piece)

        assert counts(recorded(stage)["00000"]) == (0, 0, 0, 0)

    def test_rejects_that_cannot_be_stored_now_are_worth_another_try(self, stage: Stage) -> None:
        piece = stage.piece_of(with_keys([None, "a"]))

        with throttled(stage.aws.s3, "PutObject"), pytest.raises(RejectsNotStored, match=r"PutObject was throttled"):
            stage.load(piece)
        assert counts(recorded(stage)["00000"]) == (0, 0, 0, 0)

        stage.load(piece)
        assert counts(recorded(stage)["00000"]) == (2, 1, 1, 0)

    POISON: ClassVar[dict[str, tuple[str, dict[str, Any]]]] = {
        "without a key": ("key_missing", {"id": None}),
        "empty key": ("key_empty", {"id": b""}),
        "long key": ("key_too_long", {"id": b"k" * 2_049}),
        "key that is no text": ("not_utf8", {"id": b"\xff"}),
        "text that is none": ("not_utf8", {"text": b"caf\xe9"}),
        "no number": ("number_not_finite", {"number": math.nan}),
        "infinity": ("number_not_finite", {"number": math.inf}),
        "number out of range": ("number_out_of_range", {"number": 1e300}),
        "large item": ("item_too_large", {"text": b"x" * 409_600}),
        "no document": ("super_not_json", {"document": b"{"}),
        "refused by DynamoDB": ("refused_by_dynamodb", {"id": b"refused"}),
    }

    @pytest.mark.parametrize("kind", POISON)
    def test_a_poison_row_at_any_place_of_a_batch_costs_that_row_alone(self, stage: Stage, kind: str) -> None:
        reason, poison = self.POISON[kind]
        places = [(25 + 1) * batch for batch in range(25)]
        rows: list[dict[str, Any]] = [
            {"id": b"row-%d" % row, "number": 0.5, "text": b"t", "document": b"{}"} for row in range(625)
        ]
        for place in places:
            rows[place] |= poison
            if poison.get("id") == b"refused":
                rows[place]["id"] = b"refused-%d" % place
        columns = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
        table = pa.table({name: each if name == "number" else each.view(pa.string()) for name, each in columns.items()})
        refused = tuple(f"refused-{place}" for place in places)
        sink = SinkBehaviour(tls=False, key="id", refusal=("ValidationException", "no"), refused_keys=refused)
        with DynamoDbSink(sink) as running:
            tally = stage.load(stage.piece_of(table), sink=running, super_columns=("document",))

            good = {row["id"].decode() for number, row in enumerate(rows) if number not in places}
            assert running.stored() == dict.fromkeys(good, 1)
        assert counts(tally) == (625, 600, 25, 0)
        assert sorted(kept["piece_row"] for kept in stage.rejects()) == places
        assert {kept["reason"] for kept in stage.rejects()} == {reason}


@contextmanager
def throttled(client: S3Client | DynamoDBClient, operation: str) -> Iterator[None]:
    """Let every call of an operation end in throttling."""
    answer = AWSResponse("https://aws", 400, HTTPHeaders(), None)
    parsed = {"Error": {"Code": "ThrottlingException", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    event = f"before-call.{client.meta.service_model.service_name}.{operation}"

    def throttling(**_: Any) -> Any:
        return answer, parsed

    client.meta.events.register(event, throttling, "throttled")
    yield
    client.meta.events.unregister(event, unique_id="throttled")


def refusing(*numbers: int, message: str = "Item size has exceeded the maximum allowed size") -> SinkBehaviour:
    """A sink that refuses requests with these of the rows that `numbered` makes."""
    keys = tuple(f"row-{number}" for number in numbers)
    return SinkBehaviour(tls=False, key="id", refusal=("ValidationException", message), refused_keys=keys)


class TestRefusedByDynamoDb:
    """What DynamoDB refuses though nothing was wrong with it that is known here costs that row alone."""

    @pytest.mark.parametrize("row_group_rows", [30, 1_000_000])
    def test_a_refused_row_is_kept_whole_and_counted_and_costs_no_other(
        self, stage: Stage, row_group_rows: int
    ) -> None:
        """In small row groups the refused row's chunk is long gone when the row is found."""
        rows = numbered(2_000).append_column("nothing", pa.nulls(2_000, pa.string()))
        piece = stage.piece(
            stage.put_file(numbered(50, first=5_000).append_column("nothing", [[""] * 50]), "unload/0000"),
            stage.put_file(rows, "unload/0001", row_group_rows=row_group_rows),
        )
        with DynamoDbSink(refusing(7, 8, 1_999, message="Too large: row-7, row-8 or row-1999")) as sink:
            tally = stage.load(piece, sink=sink)

            assert sink.stored().keys() == {f"row-{n}" for n in [*range(2_000), *range(5_000, 5_050)]} - {
                "row-7",
                "row-8",
                "row-1999",
            }
        assert counts(tally) == (2_050, 2_047, 3, 0)
        assert counts(recorded(stage)["00000"]) == counts(tally)
        assert tally.write_units == 2_047
        assert sorted(stage.rejects(), key=lambda kept: kept["piece_row"]) == [
            {
                "file": "unload/0001",
                "file_row": n,
                "piece_row": 50 + n,
                "reason": "refused_by_dynamodb",
                "detail": f"ValidationException: Too large: {words}",
                "row": {"id": f"row-{n}", "number": n, "nothing": None},
            }
            for n, words in [
                (7, "…, row-8 or row-1999"),
                (8, "row-7, … or row-1999"),
                (1_999, "row-7, row-8 or …"),
            ]
        ]

    def test_the_bytes_of_refused_items_are_not_counted_as_written(self, stage: Stage) -> None:
        with DynamoDbSink(SinkBehaviour(tls=False)) as sink:
            without = stage.load(stage.piece_of(numbered(9)), sink=sink)
        again = Stage(stage.aws)
        again.create()
        with DynamoDbSink(refusing(9)) as sink:
            assert again.load(again.piece_of(numbered(10)), sink=sink).item_bytes == without.item_bytes

    def test_refused_rows_among_rejected_and_superseded_ones_are_told_apart(self, stage: Stage) -> None:
        keys = [None if n % 7 == 0 else f"row-{n % 150}" for n in range(400)]
        with DynamoDbSink(refusing(1, 52, 148)) as sink:
            tally = stage.load(stage.piece_of(with_keys(keys), row_group_rows=90), sink=sink)

            items = {key for key in keys if key}
            assert sink.stored().keys() == items - {"row-1", "row-52", "row-148"}
        nulls = keys.count(None)
        assert counts(tally) == (400, len(items) - 3, nulls + 3, 400 - nulls - len(items))
        last = {key: n for n, key in enumerate(keys)}
        refused = {kept["piece_row"] for kept in stage.rejects() if kept["reason"] == "refused_by_dynamodb"}
        assert refused == {last["row-1"], last["row-52"], last["row-148"]}

    def test_refused_rows_count_once_however_often_loaders_die_and_hand_over(self, stage: Stage) -> None:
        refused = range(3, 600, 40)
        piece = stage.piece_of(numbered(600), row_group_rows=70)

        def dies_after(looks: int) -> Callable[[], float]:
            seen = itertools.count()

            def seconds_left() -> float:
                if next(seen) > looks:
                    raise KilledError
                return 60.0

            return seconds_left

        with DynamoDbSink(refusing(*refused)) as sink:
            # How far a loader comes until its clock was looked at so often depends on the machine; one may even finish.
            for looks in (20, 45, 70):
                with suppress(KilledError):
                    stage.load(piece, sink=sink, deadline=dies_after(looks))
                stage.load(piece, sink=sink, deadline=passes_after(looks))
            tally = stage.load(piece, sink=sink)

            assert sink.stored().keys() == {f"row-{n}" for n in range(600)} - {f"row-{n}" for n in refused}
        assert counts(tally) == (600, 600 - len(refused), len(refused), 0)
        assert sorted(kept["piece_row"] for kept in stage.rejects()) == list(refused)

    def test_a_refused_row_is_not_counted_unless_it_is_stored(self, stage: Stage) -> None:
        with DynamoDbSink(refusing(3)) as sink, pytest.raises(AwsRefused, match=r"PutObject.*NoSuchBucket"):
            replace(stage, bucket_for_rejects="no-such-bucket").load(stage.piece_of(numbered(10)), sink=sink)

        assert counts(recorded(stage)["00000"]) == (0, 0, 0, 0)

    @pytest.fixture
    def stopped_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No time passes, so no record is due for the time since the last."""
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: 0.0))

    @pytest.mark.usefixtures("stopped_clock")
    def test_a_load_ends_early_when_more_is_refused_than_it_allows(self, stage: Stage) -> None:
        everything = SinkBehaviour(tls=False, refusal=("ValidationException", "no"))
        with DynamoDbSink(everything) as sink:
            with pytest.raises(TooManyRejects, match=r"load: 30\."):
                stage.load(stage.piece_of(numbered(2_000)), sink=sink, rejects_allowed=30)

            assert sink.report().requests < 1_000
        assert recorded(stage)["00000"].rejected > 30

    @pytest.mark.usefixtures("stopped_clock")
    def test_rejects_found_here_end_a_load_early_too(self, stage: Stage) -> None:
        keys = [None if n < 5 else f"row-{n}" for n in range(20_000)]
        with DynamoDbSink(SinkBehaviour(tls=False)) as sink:
            with pytest.raises(TooManyRejects, match=r"rejected: 5 .*load: 4\."):
                stage.load(stage.piece_of(with_keys(keys)), sink=sink, rejects_allowed=4)

            assert sink.report().rows_stored < 1_000


class TestFailures:
    """What is wrong has a name, is noted in the ledger, and shows before a row is written where it can be known."""

    def test_rows_without_the_key_column_are_refused_before_any_is_written(self, stage: Stage) -> None:
        piece = stage.piece_of(pa.table({"identity": ["a"]}))

        with pytest.raises(MissingKeyColumn, match="'id'"):
            stage.load(piece)

        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert entry.failure is not None
        assert entry.failure.startswith("MissingKeyColumn: ")
        assert stage.items() == {}

    def test_one_bad_file_of_many_is_refused_before_any_row_is_written(self, stage: Stage) -> None:
        good = stage.put_file(numbered(CHUNK_ROWS), "unload/0000")
        stage.aws.s3.put_object(Bucket=stage.bucket, Key="unload/0001", Body=b"PAR1 not really PAR1")

        with pytest.raises(CorruptParquetFile, match="unload/0001"):
            stage.load(stage.piece(good, {"key": "unload/0001", "row_groups": None, "rows": 1}))

        assert stage.items() == {}

    def test_a_table_that_is_gone_ends_the_load_with_its_name(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(30))
        stage.aws.dynamodb.delete_table(TableName=stage.name)

        with pytest.raises(DynamoDbRefused, match=stage.name):
            stage.load(piece)

        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert (entry.failure or "").startswith("DynamoDbRefused: ResourceNotFoundException")
        assert counts(entry.tally) == (0, 0, 0, 0)

    @pytest.mark.parametrize(
        "refusal",
        [
            ("ResourceNotFoundException", "Requested resource not found"),
            ("AccessDeniedException", "KMS key is disabled"),
        ],
        ids=lambda refusal: refusal[0],
    )
    def test_a_table_that_is_lost_half_way_ends_the_load_by_name_and_a_retry_goes_on(
        self, stage: Stage, refusal: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = itertools.count(0.0, 3.0)
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        piece = stage.piece_of(numbered(1_000))
        half_way = SinkBehaviour(tls=False, key="id", refusal=refusal, refused_keys=("row-600",))
        with DynamoDbSink(half_way) as sink, pytest.raises(DynamoDbRefused, match=refusal[0]):
            stage.load(piece, sink=sink)
        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert 0 < entry.tally.next_row <= 600
        assert entry.tally.written == entry.tally.next_row
        assert (entry.failure or "").startswith(f"DynamoDbRefused: {refusal[0]}")

        with DynamoDbSink(SinkBehaviour(tls=False, key="id")) as sink:
            assert counts(stage.load(piece, sink=sink)) == (1_000, 1_000, 0, 0)
            assert sink.stored().keys() == {f"row-{n}" for n in range(entry.tally.next_row, 1_000)}

    def test_a_failure_without_a_name_of_ours_is_noted_without_its_words(self, stage: Stage) -> None:
        def broken_clock() -> float:
            raise RuntimeError("Jane Doe")

        with pytest.raises(RuntimeError):
            stage.load(stage.piece_of(numbered(30)), deadline=broken_clock)

        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert entry.failure == "RuntimeError"

    def test_a_retry_that_succeeds_takes_the_failure_back(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(30))
        refusing = SinkBehaviour(tls=False, refusal=("AccessDeniedException", "not yours"))
        with DynamoDbSink(refusing) as sink, pytest.raises(DynamoDbRefused, match="AccessDenied"):
            stage.load(piece, sink=sink)
        stage.load(piece)

        (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
        assert (entry.finished, entry.failure) == (True, None)

    def test_a_ledger_that_fails_is_worth_another_try(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(30))

        throttling = throttled(stage.aws.dynamodb, "UpdateItem")
        with throttling, pytest.raises(LedgerUnavailable, match="UpdateItem was throttled"):
            stage.load(piece)
        assert stage.items() == {}

        stage.load(piece)
        assert counts(recorded(stage)["00000"]) == (30, 30, 0, 0)

    def test_without_a_ledger_nothing_is_written(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(30))
        stage.aws.dynamodb.delete_table(TableName=stage.ledger_table)

        with pytest.raises(AwsRefused, match=r"UpdateItem was refused \(ResourceNotFoundException\)"):
            stage.load(piece)

        assert stage.items() == {}
