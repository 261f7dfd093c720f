"""A corrected copy of a load's rejects, loaded by the functions as the state machine calls them."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import begin_load.app
import compare_keys.app
import load_dynamo.app
import prepare_load.app
import redshift_unload_s3_list.app
import verify_load.app
from data_bucket import plan_key, unload_prefix
from dynamo_load.accounting.corrected import corrected_rows
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.encoding.row_faults import RejectedRow
from dynamo_load.errors import CorrectedRowsInvalid, CorrectedRowsMissing, TooManyRejects
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Piece, Refresh, Slice
from dynamo_load.reading.piece_reader import Chunk
from errors import InvalidInput
from records.table_state import Generation, TableState, TableStates
from target.describing import ConfiguredTarget, requested_target
from telemetry import metrics
from tests.unit.dynamo_load.conftest import EXECUTION, not_utf8, set_environment
from tests.unit.dynamo_load.loading.refreshes import hashed
from tests.unit.outside_calls import KILLED_AFTER, after_each_call
from tests.unit.waiting_task import FunctionContext
from unload.errors import LoadNotReplayable
from unload.work_list import as_json

if TYPE_CHECKING:
    from decimal import Decimal

    from tests.unit.dynamo_load.conftest import Stage

CONTEXT = FunctionContext()
KEY_FORM = "id:S"


@dataclass
class Machine:
    """The states of the machine that follow on each other, for one table."""

    stage: Stage
    started: int = 0
    loads: list[str] = field(default_factory=list)

    def load(self, rows: pa.Table, load_id: str = "monday", mode: str = "upsert", rejects_allowed: int = 99) -> Any:
        """Load rows as UNLOAD would have left them; in a mode with records there are two buckets."""
        buckets = 1 if mode == "upsert" else 2
        rows = rows if mode == "upsert" else hashed(rows)
        pieces = []
        for bucket in range(buckets):
            part = rows
            if mode != "upsert":
                part = rows.filter(pa.array([value & 1 == bucket for value in rows["load_hash"].to_pylist()]))
            folder = "" if mode == "upsert" else f"load_bucket={bucket}/"
            written = self.stage.put_file(part, f"{unload_prefix(load_id)}{folder}0000_part_00.parquet")
            slices = (Slice(written["key"], None, written["rows"]),) if written["rows"] else ()
            pieces.append(Piece(f"{bucket:05d}", len(part), slices, None if mode == "upsert" else bucket))
        state = self.state()
        refresh = None
        if mode != "upsert":
            known = state.current if state else None
            refresh = Refresh(2, KEY_FORM, current=known, deletes=mode == "mirror", deletes_allowed=1.0)
        plan = LoadPlan(
            load_id=load_id,
            bucket=self.stage.bucket,
            pieces_key=f"loads/{load_id}/pieces.json",
            pieces=len(pieces),
            files=1,
            rows=len(rows),
            bytes=1,
            mapping=ItemMapping(
                requested_target(self.stage.aws.dynamodb, None, ConfiguredTarget(self.stage.name), []),
                super_columns=("facts",),
                attributes={"colour": "color"} if "colour" in rows.schema.names else {},
                hash_column=None if mode == "upsert" else "load_hash",
            ),
            limits=LoadLimits(0, 2, rejects_allowed),
            refresh=refresh,
            mode=mode,
        )
        for key, body in ((plan.pieces_key, as_json(pieces)), (plan_key(load_id), json.dumps(asdict(plan)).encode())):
            self.stage.aws.s3.put_object(Bucket=self.stage.bucket, Key=key, Body=body)
        return self.run(asdict(plan))

    def run(self, plan: Any) -> Any:
        """Compare Keys, Begin Load, Load Pieces, Verify Load."""
        plan = json.loads(json.dumps(plan))
        self.loads.append(plan["load_id"])
        listed = self.stage.aws.s3.get_object(Bucket=self.stage.bucket, Key=plan["pieces_key"])["Body"].read()
        of_each = [{"plan": plan, "piece": piece, "execution_arn": EXECUTION} for piece in json.loads(listed)]
        if plan["refresh"] and plan["refresh"]["deletes"]:
            for event in of_each:
                compare_keys.app.handler(event, CONTEXT)
        of_load = {"plan": plan, "execution_arn": EXECUTION}
        begin_load.app.handler(of_load, CONTEXT)
        for event in of_each:
            load_dynamo.app.handler(event, CONTEXT)
        return verify_load.app.handler(of_load, CONTEXT)

    def prepare(self, load_id: str, **asked: Any) -> Any:
        """Prepare Load, of an execution that has started a second after the one before."""
        self.started += 1
        start_time = f"2026-11-26T03:00:{self.started:02d}.000Z"
        execution = {"Id": EXECUTION, "Input": {"replay": load_id} | asked, "StartTime": start_time}
        prepared = prepare_load.app.handler({"execution": execution}, CONTEXT)
        assert prepared["replays"]
        assert prepared["held_by"] is None
        return {"execution": execution, "unload": None, "counted": None, **prepared}

    def planned(self, load_id: str, **asked: Any) -> Any:
        """Prepare Load and List Unloaded Files."""
        prepared = json.loads(json.dumps(self.prepare(load_id, **asked)))
        return json.loads(json.dumps(redshift_unload_s3_list.app.handler(prepared, CONTEXT)))

    def replay(self, load_id: str = "monday", **asked: Any) -> Any:
        """The whole of it."""
        return self.run(self.planned(load_id, **({"rejects_allowed": 99} | asked))["plan"])

    def rejects(self, load_id: str = "monday") -> list[Any]:
        """The lines of a load's rejects, read from the bytes that a person downloads."""
        found = self.stage.aws.s3.list_objects_v2(Bucket=self.stage.bucket, Prefix=f"rejects/{load_id}/")
        bodies = [
            self.stage.aws.s3.get_object(Bucket=self.stage.bucket, Key=each["Key"])["Body"].read()
            for each in found.get("Contents", [])
        ]
        return [json.loads(line) for body in bodies for line in body.decode().splitlines()]

    def correct(self, lines: list[Any] | bytes, load_id: str = "monday", name: str = "a.jsonl") -> None:
        """Put a corrected copy into the bucket."""
        body = lines if isinstance(lines, bytes) else "\n".join(map(json.dumps, lines)).encode()
        self.stage.aws.s3.put_object(Bucket=self.stage.bucket, Key=f"corrected/{load_id}/{name}", Body=body)

    def stored(self) -> dict[str, bytes]:
        """All that is in the bucket."""
        s3, bucket = self.stage.aws.s3, self.stage.bucket
        keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def state(self) -> TableState | None:
        """What is noted of the table."""
        return TableStates(self.stage.aws.dynamodb, self.stage.ledger_table, self.stage.name, EXECUTION).read()


@pytest.fixture
def machine(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The functions' environment, as the template sets it."""
    set_environment(
        monkeypatch,
        stage,
        DATA_BUCKET=stage.bucket,
        META_TABLE="tokens",
        TARGET_TABLE=stage.name,
        TTL_ATTRIBUTE="",
        LOADABLE_TABLES="",
        UNLOAD_QUERY="SELECT 1",
        REQUESTS_IN_FLIGHT="4",
        HAND_OVER_SECONDS="1",
        AWS_REGION="us-east-1",
    )
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    for app in (prepare_load.app, redshift_unload_s3_list.app, load_dynamo.app):
        app._settings.cache_clear()
    load_dynamo.app._session.cache_clear()
    return Machine(stage)


def priced(ids: list[str | None], prices: list[float]) -> pa.Table:
    """Rows that are rejected for a price that is no number."""
    return pa.table({"id": pa.array(ids, pa.string()), "price": pa.array(prices, pa.float64())})


NAN = float("nan")


def _bytes_of(column: pa.ChunkedArray) -> list[bytes]:
    """What Arrow holds, as NaN is not itself and dates beyond Python's are none."""
    if pa.types.is_string(column.type):
        return list(column.combine_chunks().view(pa.binary()).to_pylist())
    if pa.types.is_binary(column.type):
        return list(column.to_pylist())
    array = pa.concat_arrays(column.chunks)
    return [array.buffers()[1].to_pybytes()]


class TestACorrectedCopy:
    def test_is_loaded_with_the_same_balance_and_what_is_still_bad_is_rejected_again(self, machine: Machine) -> None:
        assert machine.load(priced(["a", "b", None, "c"], [1.0, NAN, 3.0, NAN]))["rows_rejected"] == 3
        first, second, third = machine.rejects()
        first["row"]["price"] = 2.5
        second["row"]["id"] = "new"
        machine.correct([first, second, third])

        figures = machine.replay()

        assert (figures["mode"], figures["rows_unloaded"]) == ("replay", 3)
        assert (figures["rows_written"], figures["rows_rejected"], figures["rows_superseded"]) == (2, 1, 0)
        assert {key: item["price"] for key, item in machine.stage.items().items()} == {"a": 1, "b": 2.5, "new": 3}
        (still,) = machine.rejects(figures["load_id"])
        assert (still["row"], still["reason"]) == (third["row"], third["reason"])

    def test_is_loaded_once_however_often_it_is_replayed(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))
        (line,) = machine.rejects()
        line["row"]["price"] = 7
        machine.correct([line])
        first, second = machine.replay(), machine.replay()
        assert (first["rows_written"], second["rows_written"]) == (1, 1)
        assert first["load_id"] != second["load_id"]
        assert [item["price"] for item in machine.stage.items().values()] == [7]

    def test_an_attempt_that_is_tried_again_plans_the_very_same_load(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))
        machine.correct(machine.rejects())
        prepared = machine.prepare("monday")
        plans = [redshift_unload_s3_list.app.handler(prepared, CONTEXT)["plan"] for _ in range(2)]
        assert plans[0] == plans[1]

    def test_planning_that_is_killed_at_any_call_and_tried_again_comes_to_the_same(self, machine: Machine) -> None:
        machine.load(priced(["a", "b"], [NAN, NAN]))
        machine.correct(machine.rejects())
        before = machine.stored()
        prepared = machine.prepare("monday")
        plan = redshift_unload_s3_list.app.handler(prepared, CONTEXT)
        undisturbed, state = machine.stored(), machine.state()

        def anew() -> None:
            for key in machine.stored().keys() - before.keys():
                machine.stage.aws.s3.delete_object(Bucket=machine.stage.bucket, Key=key)

        def run(_: None) -> None:
            redshift_unload_s3_list.app.handler(prepared, CONTEXT)

        for _ in after_each_call(anew, run, KILLED_AFTER):
            assert redshift_unload_s3_list.app.handler(prepared, CONTEXT) == plan
            assert (machine.stored(), machine.state()) == (undisturbed, state)

    def test_the_rejects_of_a_replay_can_be_replayed_in_turn(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))
        machine.correct(machine.rejects())
        again = machine.replay()["load_id"]
        (line,) = machine.rejects(again)
        line["row"]["price"] = 9
        machine.correct([line], again)
        assert machine.replay(again)["rows_written"] == 1
        assert machine.replay("monday")["rows_rejected"] == 1

    def test_more_than_are_allowed_fail_it_though_the_others_are_written(self, machine: Machine) -> None:
        machine.load(priced(["a", "b"], [NAN, NAN]))
        first, second = machine.rejects()
        first["row"]["price"] = 1
        machine.correct([first, second])
        with pytest.raises(TooManyRejects):
            machine.replay(rejects_allowed=0)

    def test_every_type_comes_back_as_it_was(self, machine: Machine) -> None:
        """An uncorrected line is rejected for the very reason that it was, and says the very same of the row."""
        moments = {"us": 253_402_300_800_000_000, "days": 3_000_000}
        rows = pa.table(
            {
                "id": pa.array([None] * 2, pa.string()),
                "text": pa.chunked_array([pa.array(["ä\n\\udcff"]), not_utf8(b"a\xff\xfeb")]),
                "facts": pa.array(['{"a": [1.50]}', None]),
                "exact": pa.array(["12345678901234567890.12", None], pa.string()).cast(pa.decimal128(38, 2)),
                "near": pa.array([0.1, NAN], pa.float64()),
                "nearer": pa.array([0.1, float("-inf")], pa.float32()),
                "whole": pa.array([-(2**63), 2**63 - 1], pa.int64()),
                "small": pa.array([1, None], pa.int16()),
                "truth": pa.array([True, None], pa.bool_()),
                "day": pa.array([0, moments["days"]], pa.date32()),
                "moment": pa.array([1, moments["us"]], pa.timestamp("us")),
                "zoned": pa.array([1, None], pa.timestamp("us", "UTC")),
                "time": pa.array([1, 86_399_999_999], pa.time64("us")),
                "bytes": pa.array([b"\x00\xff", None], pa.binary()),
            }
        )
        machine.load(rows)
        before = machine.rejects()
        machine.correct(before)
        after = machine.rejects(machine.replay()["load_id"])
        kept = ("reason", "detail", "row")
        assert [[line[name] for name in kept] for line in after] == [[line[name] for name in kept] for line in before]
        # Row by row as they were read, so also what the bad text was made of.
        assert before[1]["row"]["text"] == "a\udcff\udcfeb"

    @given(
        texts=st.lists(st.binary(max_size=6), min_size=1, max_size=4),
        whole=st.integers(-(2**63), 2**63 - 1),
        days=st.integers(-(2**31), 2**31 - 1),
        near=st.floats(allow_nan=False),
        exact=st.decimals(-(10**20), 10**20, places=3, allow_nan=False),
    )
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_whatever_a_row_holds_its_line_holds_it_whole(
        self, stage: Stage, texts: list[bytes], whole: int, days: int, near: float, exact: Decimal
    ) -> None:
        count = len(texts)
        rows = pa.table(
            {
                "text": pa.array(texts, pa.binary()).view(pa.string()),
                "bytes": pa.array(texts, pa.binary()),
                "whole": pa.array([whole] * count, pa.int64()),
                "day": pa.array([days] * count, pa.date32()),
                "moment": pa.array([whole] * count, pa.timestamp("us")),
                "near": pa.array([near] * count, pa.float64()),
                "exact": pa.array([exact] * count, pa.decimal128(38, 3)),
            }
        )
        load_id = uuid.uuid4().hex
        chunk = Chunk(0, "unload/x/0", 0, rows.to_batches()[0])
        faults = [RejectedRow(row, "key_missing", "no key") for row in range(count)]
        RejectedRows(stage.aws.s3, stage.bucket, load_id, "00000").keep(chunk, faults)
        lines = Machine(stage).rejects(load_id)
        Machine(stage).correct(lines, load_id)

        read = corrected_rows(stage.aws.s3, stage.bucket, load_id).rows(rows.schema, None)

        for name in rows.schema.names:
            as_bytes = [_bytes_of(table[name]) for table in (read, rows)]
            assert as_bytes[0] == as_bytes[1], name

    def test_corrected_values_of_every_type_become_what_a_load_makes_of_them(self, machine: Machine) -> None:
        columns = {
            "id": pa.array([None, "b"], pa.string()),
            "exact": pa.array([None, None], pa.decimal128(38, 2)),
            "day": pa.array([None, None], pa.date32()),
            "moment": pa.array([None, None], pa.timestamp("us")),
            "facts": pa.array([None, None], pa.string()),
            "colour": pa.array([None, None], pa.string()),
            "gone": pa.array(["x", "y"], pa.string()),
        }
        machine.load(pa.table(columns))
        (line,) = machine.rejects()
        corrected = {
            "id": "a",
            "exact": "12345678901234567890.12",
            "day": "2026-11-26",
            "moment": "2026-11-26T03:15:00.5",
            "facts": '{"a": [1.50]}',
            "colour": "blue",
        }
        machine.correct(b"\xef\xbb\xbf" + json.dumps(line | {"row": corrected}).encode() + b"\r\n\r\n")
        assert machine.replay(verify_sample=1)["rows_written"] == 1
        item = machine.stage.items()["a"]
        assert item.pop("color") == "blue"
        assert {name: str(value) for name, value in item.items()} == {
            "id": "a",
            "exact": "12345678901234567890.12",
            "day": "2026-11-26",
            "moment": "2026-11-26T03:15:00.500000",
            "facts": "{'a': [Decimal('1.50')]}",
        }

    def test_rows_that_stand_in_two_objects_alike_count_once(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))
        for name in ("a.jsonl", "b.jsonl"):
            machine.correct(machine.rejects(), name=name)
        assert machine.replay()["rows_unloaded"] == 1

    def test_a_dry_run_says_how_many_would_still_be_rejected_and_takes_no_table(self, machine: Machine) -> None:
        machine.load(priced(["a", "b"], [NAN, NAN]))
        first, second = machine.rejects()
        first["row"]["price"] = 1
        machine.correct([first, second])
        listed = machine.planned("monday", dry_run=True)
        assert listed["plan"] is None
        assert (listed["report"]["sampled_rows"], listed["report"]["sampled_rejects"]) == (2, 1)
        assert machine.stage.items() == {}


class TestATableWithARecord:
    @pytest.mark.parametrize("mode", ["changes", "mirror"])
    def test_knows_what_a_replay_has_written(self, machine: Machine, mode: str) -> None:
        rows = priced([f"r{number}" for number in range(20)], [NAN, NAN, *range(18)])
        machine.load(rows, mode=mode)
        first, second = machine.rejects()
        first["row"]["price"] = 100
        machine.correct([first, second])
        figures = machine.replay()
        assert (figures["rows_written"], figures["rows_rejected"]) == (1, 1)
        state = machine.state()
        assert state
        assert (state.current, state.begun, state.digests_hold) == (Generation(figures["load_id"], 2), (), True)
        assert state.keys == 19

        # Corrected in Redshift as by hand, the other one gone: all that is left to do is to leave alone and to delete.
        corrected = rows.set_column(1, "price", pa.array([100.0, 0.0, *range(18)])).take([0, *range(2, 20)])
        after = machine.load(corrected, "tuesday", mode)
        assert (after["rows_unchanged"], after["rows_written"], after["rows_deleted"]) == (19, 0, 0)
        if mode == "mirror":
            gone = machine.load(corrected.slice(1), "wednesday", mode)
            assert (gone["rows_deleted"], first["row"]["id"] in machine.stage.items()) == (1, False)

    def test_finds_a_second_replay_unchanged(self, machine: Machine) -> None:
        machine.load(priced(["a", "b"], [NAN, 1.0]), mode="changes")
        (line,) = machine.rejects()
        line["row"]["price"] = 7
        machine.correct([line])
        assert [machine.replay()["rows_unchanged"] for _ in range(2)] == [0, 1]

    def test_takes_no_digest_for_certain_after_a_key_was_corrected(self, machine: Machine) -> None:
        machine.load(priced([None, "b"], [1.0, 2.0]), mode="changes")
        (line,) = machine.rejects()
        line["row"]["id"] = "b"
        machine.correct([line])
        assert machine.replay()["rows_written"] == 1
        state = machine.state()
        assert state
        assert (state.current, state.digests_hold) == (Generation("monday", 2), False)
        assert "load_hash" not in machine.stage.items()["b"]

    @pytest.mark.parametrize("changed", [{"made": "20200101T000000.000000Z"}, {"key_form": "id:N"}])
    def test_is_written_without_one_where_the_hashes_of_the_rejects_mean_nothing(
        self, machine: Machine, changed: Any
    ) -> None:
        machine.load(priced(["a"], [NAN]), mode="changes")
        state = machine.state()
        assert state
        states = TableStates(machine.stage.aws.dynamodb, machine.stage.ledger_table, machine.stage.name, EXECUTION)
        states.read()
        states.write(replace(state, **changed))
        machine.correct(machine.rejects())
        assert machine.planned("monday")["plan"]["refresh"] is None

    def test_the_hash_of_a_key_is_not_for_people_to_correct(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]), mode="mirror")
        (line,) = machine.rejects()
        line["row"] |= {"price": 1, "load_hash": line["row"]["load_hash"] ^ 1}
        machine.correct([line])
        assert machine.replay()["rows_written"] == 1
        # Noted in another bucket, the item would be deleted as one that has vanished from there.
        after = machine.load(priced(["a"], [1.0]), "tuesday", "mirror")
        assert (after["rows_unchanged"], after["rows_deleted"]) == (1, 0)


class TestWhatIsNoCorrectedCopy:
    @pytest.fixture(autouse=True)
    def rejected(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))

    def test_nothing(self, machine: Machine) -> None:
        with pytest.raises(CorrectedRowsMissing, match="corrected/monday/"):
            machine.planned("monday")

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            (b"Jane Doe", "line 1 of s3://.*a.jsonl is not JSON"),
            (b'\n{"row": {}}', "line 2 of .* lacks file"),
            (b"[1]", "lacks file"),
            (b"\xff", "not UTF-8"),
        ],
    )
    def test_what_is_no_line_of_rejects(self, machine: Machine, body: bytes, says: str) -> None:
        machine.correct(body)
        with pytest.raises(CorrectedRowsInvalid, match=says) as failure:
            machine.planned("monday")
        assert "Jane Doe" not in str(failure.value)

    @pytest.mark.parametrize("place", [{"file": "unload/sunday/0"}, {"file_row": 5}])
    def test_the_rejects_of_another_load(self, machine: Machine, place: Any) -> None:
        (line,) = machine.rejects()
        machine.correct([line | place])
        with pytest.raises(CorrectedRowsInvalid, match="load monday rejected no row"):
            machine.planned("monday")

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({"price": "Jane Doe"}, "line 1 .* the value of 'price' is none of the type double"),
            ({"price": True}, "'price'"),
            ({"id": 5}, "'id'"),
            ({"prize": 5}, "no column 'prize'"),
        ],
    )
    def test_values_that_a_column_cannot_have(self, machine: Machine, row: Any, says: str) -> None:
        (line,) = machine.rejects()
        machine.correct([line | {"row": row}])
        with pytest.raises(CorrectedRowsInvalid, match=says) as failure:
            machine.planned("monday")
        assert "Jane Doe" not in str(failure.value)

    def test_two_versions_of_a_row(self, machine: Machine) -> None:
        (line,) = machine.rejects()
        machine.correct([line, line | {"row": {"id": "a", "price": 1}}])
        with pytest.raises(CorrectedRowsInvalid, match=r"line 2 .* another version of line 1"):
            machine.planned("monday")

    def test_an_object_of_another_kind(self, machine: Machine) -> None:
        machine.correct(machine.rejects(), name="a.json")
        with pytest.raises(CorrectedRowsInvalid, match=r"a\.json .*end in \.jsonl"):
            machine.planned("monday")


class TestALoadThatCannotBeReplayed:
    def test_one_that_is_not_there(self, machine: Machine) -> None:
        with pytest.raises(LoadNotReplayable, match="15 days"):
            machine.prepare("monday")

    def test_one_that_is_not_done(self, machine: Machine) -> None:
        with pytest.raises(TooManyRejects):
            machine.load(priced(["a"], [NAN]), rejects_allowed=0)
        with pytest.raises(LoadNotReplayable, match='"resume" first'):
            machine.prepare("monday")

    def test_a_dry_run(self, machine: Machine) -> None:
        machine.load(priced(["a"], [NAN]))
        stored = machine.stage.aws.s3.get_object(Bucket=machine.stage.bucket, Key=plan_key("monday"))["Body"].read()
        plan = json.dumps(json.loads(stored) | {"dry_run": True})
        machine.stage.aws.s3.put_object(Bucket=machine.stage.bucket, Key=plan_key("monday"), Body=plan.encode())
        with pytest.raises(LoadNotReplayable, match="dry run"):
            machine.prepare("monday")

    def test_one_after_which_others_have_changed_the_table_unless_they_may_be_written_over(
        self, machine: Machine
    ) -> None:
        machine.load(priced(["a"], [NAN]))
        machine.load(priced(["a"], [8.0]), "tuesday")
        (line,) = machine.rejects()
        line["row"]["price"] = 7
        machine.correct([line])
        with pytest.raises(LoadNotReplayable, match="tuesday has changed table"):
            machine.prepare("monday")
        assert machine.replay(write_over=True)["rows_written"] == 1

    @pytest.mark.parametrize("more", [{"mode": "mirror"}, {"table": "t"}, {"resume": "x"}, {"keep_statement": True}])
    def test_what_the_load_was_is_not_asked_for_again(self, machine: Machine, more: Any) -> None:
        with pytest.raises(InvalidInput, match="leave out"):
            machine.prepare("monday", **more)
