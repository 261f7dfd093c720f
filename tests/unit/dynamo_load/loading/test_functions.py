"""LoadDynamoFunction and VerifyLoadFunction as the state machine calls them."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

import aws_clients
import begin_load.app
import load_dynamo.app
import locks.table
import verify_load.app
from dynamo_load import loading
from dynamo_load.accounting.ledger import pieces
from dynamo_load.errors import (
    CorruptParquetFile,
    LoadHasFailed,
    MissingFile,
    PlanOfAnotherVersion,
    RowsUnaccounted,
    TooManyRejects,
)
from dynamo_load.writing.budget import WriteBudget
from dynamo_load.writing.transport import BatchTransport
from locks.errors import LoadStopped, TableIsBeingLoaded
from locks.execution_lock import ExecutionLock, Standing
from locks.table import LoaderHold, TableLock
from records.table_state import Progress, TableStates
from target.table import WriteCapacity
from telemetry import metrics
from tests.unit.dynamo_load.conftest import EXECUTION, numbered, set_environment, with_keys
from tests.unit.outside_calls import KILLED_AFTER, KILLED_BEFORE, KilledError, OutsideCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.dynamo_load.conftest import Stage

FUNCTIONS = Path(__file__).parents[4] / "functions"


@dataclass(frozen=True)
class Context:
    """What the functions read of a Lambda context."""

    milliseconds_left: int = 60_000
    function_name: str = "function"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id: str = "request"
    on_look: Callable[[], None] = lambda: None

    def get_remaining_time_in_millis(self) -> int:
        self.on_look()
        return self.milliseconds_left


@dataclass(frozen=True)
class Load:
    """A load of files that are in the bucket, one piece for each."""

    stage: Stage
    files: list[dict[str, Any]]
    rejects_allowed: int = 0
    budget: int = 0
    ttl_attribute: str | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    headroom: float = 0.0
    capacity: WriteCapacity = field(default_factory=WriteCapacity)
    of_version: Callable[[dict[str, Any]], dict[str, Any]] = lambda plan: plan

    @property
    def plan(self) -> dict[str, Any]:
        """What RedshiftUnloadS3ListFunction returns, as another version of it would."""
        plan = {
            "load_id": self.stage.name,
            "bucket": self.stage.bucket,
            "pieces_key": f"loads/{self.stage.name}/pieces.json",
            "pieces": len(self.files),
            "files": len(self.files),
            "rows": sum(file["rows"] for file in self.files),
            "bytes": 12_345,
            "mapping": {
                "target": {
                    "name": self.stage.name,
                    "key": [{"name": "id", "type": "S"}],
                    "ttl_attribute": self.ttl_attribute,
                    "ttl_required": True,
                    "index_keys": [{"name": "author", "type": "S", "max_bytes": 2048}],
                    "local_indexes": [{"sort_key": "author", "projected": ["facts"]}],
                    "made": self.stage.made,
                    "capacity": asdict(self.capacity),
                },
                "super_columns": ["facts"],
                "char_columns": ["code"],
                "attributes": self.attributes,
                "hash_column": None,
                "short_columns": ["code"],
            },
            "limits": {
                "max_write_units_per_second": self.budget,
                "rejects_allowed": self.rejects_allowed,
                "loader_concurrency": 2,
                "headroom": self.headroom,
            },
            "refresh": None,
            "dry_run": False,
            "verify_sample": 0,
            "progress": None,
        }
        return self.of_version(plan)

    def run(
        self, number: int, milliseconds_left: int = 60_000, on_look: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Invoke LoadDynamoFunction for a piece; something is done whenever it looks at the time."""
        file = self.files[number]
        event = {
            "plan": self.plan,
            "piece": {"name": f"{number:05}", "rows": file["rows"], "slices": [file], "bucket": None},
            "execution_arn": EXECUTION,
        }
        result: dict[str, Any] = load_dynamo.app.handler(
            json.loads(json.dumps(event)), Context(milliseconds_left, on_look=on_look)
        )
        return result

    def verify(self) -> dict[str, Any]:
        """Invoke VerifyLoadFunction."""
        event = {"plan": self.plan, "execution_arn": EXECUTION}
        result: dict[str, Any] = verify_load.app.handler(json.loads(json.dumps(event)), Context())
        return dict(json.loads(json.dumps(result)))


@pytest.fixture
def functions(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The functions' environment, as the template sets it."""
    set_environment(
        monkeypatch,
        stage,
        HAND_OVER_SECONDS="10",
        AWS_REGION="us-east-1",
    )
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    for cached in (load_dynamo.app._settings, load_dynamo.app._session):
        cached.cache_clear()
    return stage


def test_a_load_ends_with_its_figures(functions: Stage) -> None:
    keys = ["a", "b", None, "a"]
    load = Load(
        functions,
        [functions.put_file(numbered(60), "unload/0"), functions.put_file(with_keys(keys), "unload/1")],
        rejects_allowed=1,
    )

    assert load.run(0) == {"piece": "00000", "finished": True, "next_row": 60}
    assert load.run(1) == {"piece": "00001", "finished": True, "next_row": 4}
    figures = load.verify()

    assert figures.pop("seconds") > 0
    assert figures.pop("rows_per_second") > 0
    assert figures.pop("write_units") > 0
    assert figures == {
        "load_id": functions.name,
        "table": functions.name,
        "mode": "upsert",
        "rows_unloaded": 64,
        "rows_written": 62,
        "rows_unchanged": 0,
        "rows_deleted": 0,
        "write_units_saved": 0,
        "full_load_because": None,
        "rows_throttled": 0,
        "throttled_seconds": 0,
        "rows_rejected": 1,
        "rows_superseded": 1,
        "bytes_unloaded": 12_345,
        "rejects": f"s3://{functions.bucket}/rejects/{functions.name}/",
    }


def test_a_verified_load_is_counted_and_one_that_failed_is_not(
    functions: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = ["a", "b", None, None, None, "a", "a"]
    load = Load(functions, [functions.put_file(with_keys(keys), "unload/0")], rejects_allowed=3)
    with pytest.raises(RowsUnaccounted):
        load.verify()
    load.run(0)
    assert "RowsWritten" not in capsys.readouterr().out

    figures = load.verify()

    (counted,) = [
        json.loads(line) for line in capsys.readouterr().out.splitlines() if "RowsWritten" in json.loads(line)
    ]
    assert {name: counted[name] for name in ("RowsWritten", "RowsRejected", "RowsSuperseded")} == {
        "RowsWritten": [2.0],
        "RowsRejected": [3.0],
        "RowsSuperseded": [2.0],
    }
    assert counted["WriteUnits"] == [figures["write_units"]]
    assert counted["LoadSeconds"] == [figures["seconds"]]


def test_a_loader_stops_for_more_rejects_than_its_load_allows(functions: Stage) -> None:
    load = Load(functions, [functions.put_file(with_keys(["a", None, None]), "unload/0")], rejects_allowed=1)

    with pytest.raises(TooManyRejects, match=r"load: 1\."):
        load.run(0)


def test_a_load_without_a_ceiling_has_no_budget(functions: Stage) -> None:
    Load(functions, [functions.put_file(numbered(25), "unload/0")]).run(0)

    entries = functions.aws.dynamodb.scan(TableName=functions.ledger_table)["Items"]
    assert {entry["entry"]["S"] for entry in entries} == {"lock", "piece#00000"}


@pytest.mark.parametrize(
    ("headroom", "budget", "capacity", "expected_budget", "expected_headroom", "expected_rate"),
    [
        (0.0, 0, WriteCapacity(provisioned=1_000, warm=4_000), None, 0.0, None),
        (0.0, 300, WriteCapacity(), 300, 0.0, None),
        (0.2, 0, WriteCapacity(provisioned=1_000, warm=4_000), 800, 0.0, None),
        (0.9, 0, WriteCapacity(provisioned=1_000), 100, 0.0, None),
        (0.9, 0, WriteCapacity(provisioned=1), 1, 0.0, None),
        (0.2, 300, WriteCapacity(provisioned=1_000), 300, 0.0, None),
        (0.2, 900, WriteCapacity(on_demand_maximum=1_000, warm=4_000), 800, 0.0, None),
        (0.2, 0, WriteCapacity(warm=6_000), None, 0.2, 3_000.0),
        (0.2, 300, WriteCapacity(warm=6_000), 300, 0.2, 3_000.0),
        (0.2, 0, WriteCapacity(), None, 0.2, 2_000.0),
    ],
)
def test_headroom_is_left_by_the_budget_where_the_tables_limit_is_known_and_else_by_the_loaders(
    functions: Stage,
    monkeypatch: pytest.MonkeyPatch,
    headroom: float,
    budget: int,
    capacity: WriteCapacity,
    expected_budget: int | None,
    expected_headroom: float,
    expected_rate: float | None,
) -> None:
    budgets, transports = [], []

    class SeenBudget(WriteBudget):
        def __init__(self, *given: Any, **named: Any) -> None:
            budgets.append(given[-1])
            super().__init__(*given, **named)

    class SeenTransport(BatchTransport[Any]):
        def __init__(self, **named: Any) -> None:
            transports.append((named["headroom"], named["first_rate"]))
            super().__init__(**named)

    monkeypatch.setattr(load_dynamo.app, "WriteBudget", SeenBudget)
    monkeypatch.setattr(load_dynamo.app, "BatchTransport", SeenTransport)
    files = [functions.put_file(numbered(1), f"unload/{number}") for number in range(3)]

    Load(functions, files, budget=budget, headroom=headroom, capacity=capacity).run(0)

    assert budgets == ([] if expected_budget is None else [expected_budget])
    assert transports == [(expected_headroom, expected_rate)]


def test_a_load_of_one_piece_begins_with_all_that_the_table_takes_at_once(
    functions: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = []

    class SeenTransport(BatchTransport[Any]):
        def __init__(self, **named: Any) -> None:
            rates.append(named["first_rate"])
            super().__init__(**named)

    monkeypatch.setattr(load_dynamo.app, "BatchTransport", SeenTransport)
    load = Load(functions, [functions.put_file(numbered(1), "unload/0")], headroom=0.5)

    load.run(0)

    assert rates == [4_000.0]


def test_a_load_of_no_rows_is_a_success(functions: Stage) -> None:
    figures = Load(functions, []).verify()

    assert (figures["rows_unloaded"], figures["rows_written"], figures["seconds"]) == (0, 0, 0.0)
    assert figures["rejects"] is None


def test_a_loader_without_time_hands_the_piece_over(functions: Stage) -> None:
    load = Load(functions, [functions.put_file(numbered(60), "unload/0")])

    assert load.run(0, milliseconds_left=10_000) == {"piece": "00000", "finished": False, "next_row": 0}
    assert load.run(0) == {"piece": "00000", "finished": True, "next_row": 60}


def test_a_budget_does_not_keep_a_load_from_finishing(functions: Stage) -> None:
    load = Load(functions, [functions.put_file(numbered(100), "unload/0")], budget=1_000)

    load.run(0)

    assert load.verify()["rows_written"] == 100


def test_all_pieces_of_a_load_draw_on_one_budget(functions: Stage) -> None:
    files = [functions.put_file(numbered(25, first=25 * n), f"unload/{n}") for n in range(2)]
    load = Load(functions, files, budget=25)
    began_at = time.time()

    load.run(0)
    load.run(1)

    entries = functions.aws.dynamodb.scan(TableName=functions.ledger_table)["Items"]
    (budget,) = [entry for entry in entries if entry["entry"]["S"] == "budget"]
    assert budget["loadId"]["S"] == functions.name
    assert float(budget["reservedUntil"]["N"]) >= began_at + 2, "50 units take two seconds"


def test_super_columns_become_maps_and_lists(functions: Stage) -> None:
    rows = with_keys(["a"]).append_column("facts", [['{"colours": ["red", "blue"]}']])
    Load(functions, [functions.put_file(rows, "unload/0")]).run(0)

    assert functions.items()["a"]["facts"] == {"colours": ["red", "blue"]}


def test_the_plan_says_which_columns_are_char_and_which_have_another_name(functions: Stage) -> None:
    rows = with_keys(["a"]).append_column("code", [["x   "]])
    Load(functions, [functions.put_file(rows, "unload/0")], attributes={"code": "Code"}).run(0)

    assert functions.items()["a"] == {"id": "a", "number": 0, "Code": "x"}


def test_text_is_read_as_dictionaries_unless_the_plan_says_that_it_is_short(
    functions: Stage, read_as_dictionaries: set[str]
) -> None:
    rows = with_keys(["a"]).append_column("code", [["x"]]).append_column("text", [["y"]])
    Load(functions, [functions.put_file(rows, "unload/0")]).run(0)

    assert read_as_dictionaries == {"id", "text"}


def test_a_row_too_large_with_its_entry_in_a_local_index_is_rejected(functions: Stage) -> None:
    rows = (
        with_keys(["a", "b"])
        .append_column("author", [["me", None]])
        .append_column("facts", [[f'"{"x" * 210_000}"'] * 2])
    )
    load = Load(functions, [functions.put_file(rows, "unload/0")], rejects_allowed=1)
    load.run(0)

    assert load.verify()["rows_rejected"] == 1
    assert set(functions.items()) == {"b"}


def test_a_row_that_an_index_would_not_take_is_rejected(functions: Stage) -> None:
    rows = with_keys(["a", "b", "c"]).append_column("author", [["", "me", None]])
    load = Load(functions, [functions.put_file(rows, "unload/0")], rejects_allowed=1)
    load.run(0)

    figures = load.verify()
    assert (figures["rows_written"], figures["rows_rejected"]) == (2, 1)
    assert set(functions.items()) == {"b", "c"}


def test_the_ttl_attribute_is_written_as_epoch_seconds(functions: Stage) -> None:
    rows = with_keys(["a"]).append_column("expires", [[date(2030, 1, 1)]])
    Load(functions, [functions.put_file(rows, "unload/0")], ttl_attribute="expires").run(0)

    assert functions.items()["a"]["expires"] == 1_893_456_000


class TestPlanOfAnotherVersion:
    """The stack may be updated between the function that plans a load and those that go by the plan."""

    def before(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan as the first version had it. Whoever adds a field gives it a default, and leaves this as it is."""
        known = {"load_id", "bucket", "pieces_key", "pieces", "files", "rows", "bytes", "mapping", "limits"}
        target, limits = plan["mapping"]["target"], plan["limits"]
        known_of_target = ("name", "key", "ttl_attribute", "ttl_required", "index_keys", "local_indexes", "made")
        known_of_limits = ("max_write_units_per_second", "loader_concurrency", "rejects_allowed")
        mapping = {
            **{name: plan["mapping"][name] for name in ("super_columns", "char_columns", "attributes", "hash_column")},
            "target": {name: target[name] for name in known_of_target},
        }
        limits = {name: limits[name] for name in known_of_limits}
        return {name: plan[name] for name in known} | {"mapping": mapping, "limits": limits}

    def test_a_load_that_the_version_before_has_planned_is_loaded_and_verified(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(60), "unload/0")], of_version=self.before)

        begin_load.app.handler({"plan": load.plan, "execution_arn": EXECUTION}, Context())
        file = load.files[0]
        piece = {"name": "00000", "rows": file["rows"], "slices": [file]}
        event = {"plan": load.plan, "piece": piece, "execution_arn": EXECUTION}
        assert load_dynamo.app.handler(event, Context())["finished"]

        assert load.verify()["rows_written"] == 60
        assert len(functions.items()) == 60

    def test_one_that_a_later_version_has_planned_waits_for_its_functions_and_writes_nothing(
        self, functions: Stage
    ) -> None:
        plans: list[Callable[[dict[str, Any]], dict[str, Any]]] = [
            lambda plan: {**plan, "writes_twice": True},
            lambda plan: {**plan, "limits": {**plan["limits"], "later": 1}},
            lambda plan: {name: value for name, value in plan.items() if name != "mapping"},
        ]
        for of_version in plans:
            load = Load(functions, [functions.put_file(numbered(1), "unload/0")], of_version=of_version)
            with pytest.raises(PlanOfAnotherVersion, match="when the stack's update is complete"):
                load.run(0)
            with pytest.raises(PlanOfAnotherVersion):
                load.verify()
            with pytest.raises(PlanOfAnotherVersion):
                begin_load.app.handler({"plan": load.plan, "execution_arn": EXECUTION}, Context())
        assert functions.items() == {}


class TestLock:
    """The target table is this load's alone, or its loaders stop."""

    def take(self, functions: Stage, execution: str) -> None:
        """Let an execution take the target table."""
        functions.aws.dynamodb.update_item(
            TableName=functions.ledger_table,
            Key={"loadId": {"S": f"table#{functions.name}"}, "entry": {"S": "lock"}},
            UpdateExpression="SET #holder = :holder, touchedAt = :now ADD #version :one",
            ExpressionAttributeNames={"#holder": "holder", "#version": "version"},
            ExpressionAttributeValues={":holder": {"S": execution}, ":now": {"N": "1"}, ":one": {"N": "1"}},
        )

    def verify(self, load: Load) -> None:
        """Nothing is counted, and whoever verifies the load is told the same."""
        (entry,) = pieces(load.stage.aws.dynamodb, load.stage.ledger_table, load.stage.name)
        assert (entry.tally.next_row, (entry.failure or "").partition(":")[0]) == (0, "TableIsBeingLoaded")
        with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
            load.verify()

    def test_a_loader_of_the_holder_shows_that_it_is_at_work(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        self.take(functions, EXECUTION)
        load.run(0)

        (row,) = (
            entry
            for entry in functions.aws.dynamodb.scan(TableName=functions.ledger_table)["Items"]
            if entry["entry"]["S"] == "lock"
        )
        assert (row["loadId"]["S"], row["holder"]["S"], row["version"]["N"]) == (
            f"table#{functions.name}",
            EXECUTION,
            "2",
        )
        assert abs(float(row["touchedAt"]["N"]) - time.time()) < 60

    def test_a_loader_whose_table_another_load_has_taken_writes_nothing_and_says_so(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        self.take(functions, f"{EXECUTION}-again")

        with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
            load.run(0)

        assert functions.items() == {}
        self.verify(load)

    def test_a_loader_whose_table_is_taken_while_it_writes_stops_and_counts_no_more(self, functions: Stage) -> None:
        file = functions.put_file(numbered(60), "unload/0")
        load = Load(functions, [file])

        def taken_meanwhile() -> float:
            self.take(functions, f"{EXECUTION}-again")
            return 60.0

        with pytest.raises(TableIsBeingLoaded):
            functions.load(functions.piece(file), deadline=taken_meanwhile)

        self.verify(load)


class TestStop:
    """The execution was stopped: its loaders stop, and go on only if it was redriven since."""

    def stop(self, functions: Stage, redrives: int = 0) -> None:
        """Do to the table's lock what StopExecutionFunction does."""
        TableLock(functions.aws.dynamodb, functions.ledger_table, functions.name, EXECUTION).stop(redrives)

    def redriven(self, redrives: int) -> None:
        """Let Step Functions say how often the execution was redriven."""
        described = {"redriveCount": redrives, "status": "RUNNING", "ResponseMetadata": {"HTTPStatusCode": 200}}
        answer = AWSResponse("https://aws", 200, HTTPHeaders(), None)
        events: Any = aws_clients.client("stepfunctions").meta.events
        events.register("before-call.stepfunctions.DescribeExecution", lambda **_: (answer, described))

    def loaded(self, functions: Stage) -> Load:
        """A load of two files, of which the first is loaded when it is stopped."""
        load = Load(functions, [functions.put_file(numbered(25), f"unload/{number}") for number in (0, 1)])
        load.run(0)
        self.stop(functions)
        return load

    def test_a_loader_that_only_starts_writes_nothing(self, functions: Stage) -> None:
        load = self.loaded(functions)
        functions.aws.dynamodb.delete_item(TableName=functions.name, Key={"id": {"S": "row-1"}})
        left = functions.items()
        self.redriven(0)
        with pytest.raises(LoadStopped, match=EXECUTION):
            load.run(1)
        assert functions.items() == left

    def test_a_stop_while_a_loader_shows_that_it_begins_is_not_lost(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        TableLock(functions.aws.dynamodb, functions.ledger_table, functions.name, EXECUTION).begin()
        self.redriven(0)

        def stop(params: dict[str, Any], **_: Any) -> None:
            if "touchedAt" in params["UpdateExpression"]:
                self.stop(functions)

        events: Any = aws_clients.client("dynamodb").meta.events
        events.register("provide-client-params.dynamodb.UpdateItem", stop)
        with pytest.raises(LoadStopped):
            load.run(0)

    def test_a_loader_at_work_stops_at_its_next_checkpoint(self, functions: Stage) -> None:
        file = functions.put_file(numbered(60), "unload/0")
        self.redriven(0)
        states = aws_clients.client("stepfunctions")
        hold = LoaderHold(functions.aws.dynamodb, functions.ledger_table, functions.name, EXECUTION, states)

        def stopped_meanwhile() -> float:
            self.stop(functions)
            return 60.0

        with pytest.raises(LoadStopped):
            functions.load(functions.piece(file), deadline=stopped_meanwhile, lock=hold)
        (entry,) = pieces(functions.aws.dynamodb, functions.ledger_table, functions.name)
        assert entry.tally.next_row == 0

    @pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "FAILED", "RUNNING", "throttled"])
    def test_a_loader_whose_stop_is_lost_asks_for_itself_and_stops(
        self, functions: Stage, monkeypatch: pytest.MonkeyPatch, status: str
    ) -> None:
        file = functions.put_file(numbered(60), "unload/0")
        asked: list[bytes] = []

        def described(params: dict[str, Any], **_: Any) -> Any:
            asked.append(params["body"])
            if status == "throttled":
                error = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
                return AWSResponse("https://aws", 400, HTTPHeaders(), None), error
            answer = {"status": status, "ResponseMetadata": {"HTTPStatusCode": 200}}
            return AWSResponse("https://aws", 200, HTTPHeaders(), None), answer

        states = aws_clients.client("stepfunctions")
        events: Any = states.meta.events
        events.register("before-call.stepfunctions.DescribeExecution", described)
        clock = itertools.count(0.0, 100.0)
        monkeypatch.setattr(locks.table, "time", SimpleNamespace(monotonic=lambda: next(clock)))
        hold = LoaderHold(functions.aws.dynamodb, functions.ledger_table, functions.name, EXECUTION, states)
        hold.check()
        assert asked == []
        if status in ("RUNNING", "throttled"):
            assert functions.load(functions.piece(file), lock=hold).finished
        else:
            with pytest.raises(LoadStopped, match="has ended"):
                functions.load(functions.piece(file), lock=hold)
        assert len(asked) == 1
        assert EXECUTION.encode() in asked[0]

    def test_after_a_redrive_what_is_left_is_loaded_and_what_is_done_is_not(self, functions: Stage) -> None:
        load = self.loaded(functions)
        self.redriven(1)
        functions.aws.dynamodb.delete_item(TableName=functions.name, Key={"id": {"S": "row-0"}})
        written = functions.items()
        assert load.run(0)["finished"]
        assert functions.items() == written
        assert load.run(1)["finished"]
        assert len(functions.items()) == 25
        # The stop, told once more, is that of the run before.
        self.stop(functions)
        assert load.run(1)["finished"]

    def test_a_second_stop_holds_until_a_second_redrive(self, functions: Stage) -> None:
        load = self.loaded(functions)
        self.redriven(1)
        load.run(1)
        self.stop(functions, redrives=1)
        load.files.append(functions.put_file(numbered(25), "unload/2"))
        with pytest.raises(LoadStopped):
            load.run(2)

    def test_a_table_that_another_execution_has_taken_is_not_stopped(self, functions: Stage) -> None:
        lock = ExecutionLock(functions.aws.dynamodb, functions.ledger_table, f"table#{functions.name}", "arn:other")
        lock.touch()
        self.stop(functions)
        assert lock.standing() == Standing(other=None, stopped=None)


class TestKilled:
    """A loader may die before and after each of its calls, and whenever it looks at the time."""

    @pytest.fixture(autouse=True)
    def often_recorded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Half a second passes from look to look at the clock."""
        clock = itertools.count(0.0, 0.5)
        monkeypatch.setattr(loading, "time", SimpleNamespace(monotonic=lambda: next(clock)))

    def test_a_hundred_times_every_row_is_loaded_and_counted_once(self, functions: Stage) -> None:
        """By an incremental upsert: of both its loaders do the same."""
        chance, progress = random.Random("killed"), {"column": "at", "query": "q", "highest": "9"}
        keys = [None if n % 70 == 7 else f"row-{n % 2_900}" for n in range(3_000)]
        load = Load(
            functions,
            [functions.put_file(with_keys(keys), "unload/0", row_group_rows=150)],
            rejects_allowed=100,
            of_version=lambda plan: {**plan, "progress": progress},
        )
        begin_load.app.handler({"plan": load.plan, "execution_arn": EXECUTION}, Context())
        for number in range(100):
            fault = chance.choice([KILLED_BEFORE, KILLED_AFTER])
            with pytest.raises(KilledError), OutsideCalls(fault, chance.randrange(15 if number % 5 else 60)) as calls:
                load.run(0, on_look=calls.pass_moment)
        (entry,) = pieces(functions.aws.dynamodb, functions.ledger_table, functions.name)
        assert 0 < entry.tally.next_row < 3_000
        assert load.run(0)["finished"]
        figures = load.verify()

        last = {key: number for number, key in enumerate(keys) if key}
        assert {key: int(item["number"]) for key, item in functions.items().items()} == last
        assert (figures["rows_written"], figures["rows_rejected"]) == (len(last), keys.count(None))
        assert figures["rows_superseded"] == 3_000 - len(last) - keys.count(None) > 0
        kept = [reject["piece_row"] for reject in functions.rejects()]
        assert kept == [number for number, key in enumerate(keys) if key is None]
        state = TableStates(functions.aws.dynamodb, functions.ledger_table, functions.name, EXECUTION).read()
        assert state
        assert state.progress == Progress(**progress)


def count_too_much(functions: Stage, rows: int, piece: str = "00000") -> None:
    """Let the ledger say of a piece that so many more rows were written."""
    functions.aws.dynamodb.update_item(
        TableName=functions.ledger_table,
        Key={"loadId": {"S": functions.name}, "entry": {"S": f"piece#{piece}"}},
        UpdateExpression="ADD written :rows",
        ExpressionAttributeValues={":rows": {"N": str(rows)}},
    )


@pytest.mark.parametrize(("tracing_disabled", "imported"), [("true", set()), ("false", {"aws_xray_sdk.core"})])
def test_a_loader_imports_no_more_than_it_uses(tracing_disabled: str, imported: set[str]) -> None:
    """Neither pandas, which pyarrow would import, nor awswrangler; both are in its layer. X-Ray's SDK only to trace.

    Nor does Arrow bring a heap of its own.
    """
    listing = (
        "import sys, load_dynamo.app, pyarrow as pa\n"
        "pa.array([True, None]).is_valid().to_numpy(zero_copy_only=False)\n"
        "print(pa.default_memory_pool().backend_name, *sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": str(FUNCTIONS), "POWERTOOLS_TRACE_DISABLED": tracing_disabled}
    loader = subprocess.run(
        [sys.executable, "-B", "-c", listing], env=environment, capture_output=True, text=True, check=True
    )
    heap, *modules = loader.stdout.split()
    assert heap == "system"
    unwelcome = {"pandas", "awswrangler", "pydantic", "aws_xray_sdk.core"}
    assert unwelcome & set(modules) == imported


class TestVerification:
    """Nothing but complete ledgers passes."""

    def test_a_piece_that_never_ran_is_missed(self, functions: Stage) -> None:
        files = [functions.put_file(numbered(25, first=25 * n), f"unload/{n}") for n in range(3)]
        load = Load(functions, files)
        load.run(0)
        load.run(2)

        with pytest.raises(
            RowsUnaccounted, match=r"75 rows were unloaded; 50 written.*leave 25 unaccounted.*2 of 3 pieces"
        ):
            load.verify()

    def test_an_unfinished_piece_is_named_with_its_failure(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        functions.aws.s3.delete_object(Bucket=functions.bucket, Key="unload/0")
        with pytest.raises(MissingFile):
            load.run(0)

        with pytest.raises(RowsUnaccounted, match=r"1 of them not finished: 00000 at row 0 of 25, MissingFile: "):
            load.verify()

    def test_the_words_of_a_failure_end_no_sentence_of_their_own(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        functions.aws.s3.put_object(Bucket=functions.bucket, Key="unload/0", Body=b"")
        with pytest.raises(CorruptParquetFile):
            load.run(0)

        with pytest.raises(RowsUnaccounted, match=r"CorruptParquetFile: .*: unload it again\. See the entries"):
            load.verify()

    def test_loaders_at_work_when_their_load_fails_stop_and_count_no_more(self, functions: Stage) -> None:
        file = functions.put_file(numbered(60), "unload/0")
        load = Load(functions, [file])

        def fails_meanwhile() -> float:
            with pytest.raises(RowsUnaccounted):
                load.verify()
            return 60.0

        with pytest.raises(LoadHasFailed, match="piece 00000 of load"):
            functions.load(functions.piece(file), deadline=fails_meanwhile)
        # Nor does one begin that comes late, or is tried again.
        with pytest.raises(LoadHasFailed, match="piece 00000 of load"):
            load.run(0)

        with pytest.raises(RowsUnaccounted, match="00000 at row 0 of 60"):
            load.verify()

    def test_rows_counted_too_often_do_not_pass(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        load.run(0)
        count_too_much(functions, 1)

        with pytest.raises(RowsUnaccounted, match="leave -1 unaccounted"):
            load.verify()

    def test_rows_counted_too_often_do_not_make_up_for_missing_ones(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25, first=25 * n), f"unload/{n}") for n in range(2)])
        load.run(0)
        count_too_much(functions, 25)

        with pytest.raises(RowsUnaccounted, match="1 of 2 pieces"):
            load.verify()

    def test_a_piece_without_rows_that_never_ran_is_missed(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(rows), f"unload/{rows}") for rows in (25, 0)])
        load.run(0)

        with pytest.raises(RowsUnaccounted, match=r"leave 0 unaccounted for\. 1 of 2 pieces"):
            load.verify()

    def test_more_rows_than_were_unloaded_do_not_pass(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        load.run(0)

        with pytest.raises(RowsUnaccounted, match=r"leave -1 unaccounted for\. 1 of 1 pieces were begun, 0 of them"):
            verify_load.app.handler({"plan": {**load.plan, "rows": 24}, "execution_arn": EXECUTION}, Context())

    @pytest.mark.parametrize(
        "change", ["SET nextRow = nextRow - :one", "SET nextRow = nextRow + :one", "SET finished = :no"]
    )
    def test_a_piece_is_finished_when_its_loader_says_so_after_its_last_row(
        self, functions: Stage, change: str
    ) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        load.run(0)
        functions.aws.dynamodb.update_item(
            TableName=functions.ledger_table,
            Key={"loadId": {"S": functions.name}, "entry": {"S": "piece#00000"}},
            UpdateExpression=change,
            ExpressionAttributeValues={":no": {"BOOL": False}} if ":no" in change else {":one": {"N": "1"}},
        )

        with pytest.raises(RowsUnaccounted, match=r"leave 0 unaccounted for.* 1 of them not finished"):
            load.verify()

    def test_a_row_too_many_in_one_piece_does_not_make_up_for_one_that_another_lacks(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25, first=25 * n), f"unload/{n}") for n in range(2)])
        load.run(0)
        load.run(1)
        count_too_much(functions, 1)
        count_too_much(functions, -1, piece="00001")

        with pytest.raises(RowsUnaccounted, match="2 of them not finished"):
            load.verify()

    def test_more_rejects_than_allowed_fail_the_load(self, functions: Stage) -> None:
        files = [functions.put_file(with_keys(["a", None]), f"unload/{n}") for n in range(2)]
        load = Load(functions, files, rejects_allowed=1)
        load.run(0)
        load.run(1)

        with pytest.raises(TooManyRejects, match=r"rejected: 2 of 4 rows, allowed: 1\. See s3://.*/rejects/"):
            load.verify()

    def test_another_loads_ledger_does_not_count(self, functions: Stage) -> None:
        load = Load(functions, [functions.put_file(numbered(25), "unload/0")])
        load.run(0)
        plan = {**load.plan, "load_id": f"{functions.name}-again"}

        with pytest.raises(RowsUnaccounted, match="0 of 1 pieces"):
            verify_load.app.handler({"plan": plan, "execution_arn": EXECUTION}, Context())
