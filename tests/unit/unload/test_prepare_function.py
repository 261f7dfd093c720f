"""PrepareLoadFunction: the target as DynamoDB knows it, or a named failure before anything is unloaded."""

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import boto3
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

import aws_clients
from errors import AwsRefused, AwsUnavailable, InvalidInput
from executions.notes import ExecutionNotes, UnderWay
from locks.errors import TableIsBeingLoaded
from locks.table import TableLock
from statements.errors import InvalidIdentifier
from target.errors import TableNotLoadable, TargetTableNotFound, TargetTtlMismatch
from tests.unit.unload.conftest import ENVIRONMENT, EXECUTION, answer_calls, make_target, prepare, set_ttl
from tests.unit.waiting_task import ACCOUNT, REGION
from unload.errors import InvalidQuery

pytestmark = pytest.mark.usefixtures("aws")


def lock(table: str = "reviews") -> dict[str, Any] | None:
    key = {"loadId": {"S": f"table#{table}"}, "entry": {"S": "lock"}}
    found = boto3.client("dynamodb", REGION).get_item(TableName="ledger", Key=key).get("Item")
    return None if found is None else {name: next(iter(value.values())) for name, value in found.items()}


def answer_with(service: Literal["dynamodb", "stepfunctions"], operation: str, said: dict[str, Any]) -> None:
    """Let every call of an operation be answered so."""
    answer = AWSResponse("https://aws", 200, HTTPHeaders(), None)

    def respond(**_: Any) -> Any:
        return answer, said

    aws_clients.client(service).meta.events.register(f"before-call.{service}.{operation}", respond)


def provisioned(units: int) -> dict[str, Any]:
    return {"ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": units}}


def on_demand(maximum: int | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"}}
    if maximum is not None:
        said["OnDemandThroughput"] = {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": maximum}
    return said


def warm(units: int) -> dict[str, Any]:
    return {"WarmThroughput": {"ReadUnitsPerSecond": 1, "WriteUnitsPerSecond": units, "Status": "ACTIVE"}}


class TestTarget:
    def test_the_configured_table_is_described(self) -> None:
        make_target([("id", "S")], global_indexes=[[("author", "S")]])
        prepared = prepare()
        assert re.fullmatch(r"\d{8}T\d{6}\.\d{6}Z", prepared["target"].pop("made"))
        assert prepared == {
            "target": {
                "name": "reviews",
                "key": [{"name": "id", "type": "S"}],
                "ttl_attribute": None,
                "ttl_required": False,
                "index_keys": [{"name": "author", "type": "S", "max_bytes": 2048}],
                "local_indexes": [],
                "capacity": {"provisioned": None, "on_demand_maximum": None, "warm": 4000},
            },
            "held_by": None,
            "timeout_seconds": 7200,
            "known": {"buckets": None, "progress": None},
            "count": False,
            "resumed": None,
            "replays": False,
        }

    def test_the_input_says_how_long_to_wait_for_a_statement(self) -> None:
        make_target()
        assert prepare({"timeout_seconds": 60})["timeout_seconds"] == 60

    def test_one_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(TargetTableNotFound, match="table reviews does not exist"):
            prepare()

    @pytest.mark.parametrize("key", [[("ID", "S")], [("id", "N")], [("id", "S"), ("stars", "N")]])
    def test_its_key_is_whatever_it_is(self, key: list[tuple[str, str]]) -> None:
        make_target(key)
        assert [(part["name"], part["type"]) for part in prepare()["target"]["key"]] == key

    @pytest.mark.parametrize("execution_input", [{}, {"target_table": "reviews"}])
    def test_items_must_expire_by_the_configured_attribute(
        self, execution_input: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TTL_ATTRIBUTE", "until")
        make_target()
        with pytest.raises(TargetTtlMismatch, match="items don't expire"):
            prepare(execution_input)
        set_ttl("Until")
        with pytest.raises(TargetTtlMismatch, match="'Until'"):
            prepare(execution_input)
        assert lock() is None
        set_ttl("Until", enabled=False)
        set_ttl("until")
        target = prepare(execution_input)["target"]
        assert (target["ttl_attribute"], target["ttl_required"]) == ("until", True)

    def test_a_time_to_live_that_nobody_asked_for_is_the_tables_own(self) -> None:
        make_target(ttl="until")
        target = prepare()["target"]
        assert (target["ttl_attribute"], target["ttl_required"]) == ("until", False)

    @pytest.mark.parametrize(("status", "attribute"), [("ENABLING", "until"), ("DISABLING", None)])
    def test_a_time_to_live_that_is_being_switched_on_counts_and_one_that_is_being_switched_off_does_not(
        self, status: str, attribute: str | None
    ) -> None:
        make_target()
        said = {"TimeToLiveDescription": {"TimeToLiveStatus": status, "AttributeName": "until"}}
        answer_with("dynamodb", "DescribeTimeToLive", said)
        assert prepare()["target"]["ttl_attribute"] == attribute

    @pytest.mark.parametrize(
        ("operation", "status", "code", "error"),
        [
            ("DescribeTable", 400, "AccessDeniedException", AwsRefused),
            ("DescribeTimeToLive", 400, "AccessDeniedException", AwsRefused),
            ("DescribeTable", 500, "InternalServerError", AwsUnavailable),
            ("DescribeTimeToLive", 400, "ThrottlingException", AwsUnavailable),
        ],
    )
    def test_a_failure_has_a_name_that_says_whether_it_may_pass(
        self, operation: str, status: int, code: str, error: type[Exception]
    ) -> None:
        make_target()
        answer_calls(f"dynamodb.{operation}", status, code, service="dynamodb")
        with pytest.raises(error, match=f"{operation}.*{code}"):
            prepare()


class TestCapacity:
    @pytest.mark.parametrize(
        ("table", "index", "expected"),
        [
            ({}, {}, {}),
            (provisioned(700), provisioned(900), {"provisioned": 700}),
            (provisioned(700), provisioned(90) | warm(95), {"provisioned": 90, "warm": 95}),
            (on_demand() | warm(9_000), provisioned(0), {"warm": 9_000}),
            (on_demand() | warm(9_000), warm(12_000), {"warm": 9_000}),
            (on_demand() | warm(9_000), warm(6_000), {"warm": 6_000}),
            (on_demand(20_000), on_demand(-1), {"on_demand_maximum": 20_000}),
            (on_demand(20_000), on_demand(300), {"on_demand_maximum": 300}),
            (on_demand(-1), on_demand(-1), {}),
            # What is left of another billing mode says nothing.
            (on_demand() | provisioned(5), {}, {}),
            (provisioned(5) | {"OnDemandThroughput": {"MaxWriteRequestUnits": 3}}, {}, {"provisioned": 5}),
        ],
    )
    def test_a_table_takes_no_more_than_its_indexes(
        self, table: dict[str, Any], index: dict[str, Any], expected: dict[str, int]
    ) -> None:
        make_target(global_indexes=[[("author", "S")]])

        def describe(parsed: dict[str, Any], **_: Any) -> None:
            (described,) = parsed["Table"]["GlobalSecondaryIndexes"]
            for part, said in ((parsed["Table"], table), (described, index)):
                for field in ("BillingModeSummary", "ProvisionedThroughput", "OnDemandThroughput", "WarmThroughput"):
                    part.pop(field, None)
                part.update(said)

        aws_clients.client("dynamodb").meta.events.register("after-call.dynamodb.DescribeTable", describe)
        nothing = {"provisioned": None, "on_demand_maximum": None, "warm": None}
        assert prepare()["target"]["capacity"] == nothing | expected


class TestAnotherTable:
    def test_its_keys_are_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOADABLE_TABLES", "audits,sales-*")
        make_target([("shop", "S"), ("at", "N")], name="sales-2026", ttl="until")
        target = prepare({"target_table": "sales-2026"})["target"]
        assert (target["name"], [key["name"] for key in target["key"]]) == ("sales-2026", ["shop", "at"])
        assert (target["ttl_attribute"], target["ttl_required"]) == ("until", False)

    @pytest.mark.parametrize(
        ("loadable", "table"), [("", "sales"), ("sale", "sales"), ("sales-*", "sales"), ("a,b.c", "bxc"), ("*s", "sal")]
    )
    def test_one_outside_the_loadable_tables_is_refused_before_it_is_looked_at(
        self, loadable: str, table: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOADABLE_TABLES", loadable)
        answer_calls("dynamodb.DescribeTable", 400, "AccessDeniedException", service="dynamodb")
        with pytest.raises(TableNotLoadable, match=rf"add {table} to .*reviews"):
            prepare({"target_table": table})

    @pytest.mark.parametrize("variable", ["LEDGER_TABLE", "META_TABLE"])
    @pytest.mark.parametrize("as_target", [False, True])
    def test_the_stacks_own_accounts_are_never_loaded_whatever_the_patterns(
        self, variable: str, as_target: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        own = ENVIRONMENT[variable]
        monkeypatch.setenv("LOADABLE_TABLES", "*")
        monkeypatch.setenv("TARGET_TABLE", own if as_target else "reviews")
        answer_calls("dynamodb.DescribeTable", 400, "AccessDeniedException", service="dynamodb")
        with pytest.raises(TableNotLoadable, match=rf"another table: in {own} "):
            prepare({} if as_target else {"target_table": own})

    @pytest.mark.parametrize("name", [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/reviews", "a", "x" * 256, "a/b", 5])
    def test_a_name_that_no_table_has_is_refused(self, name: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOADABLE_TABLES", "*")
        make_target()
        with pytest.raises(InvalidInput, match="target_table"):
            prepare({"target_table": name})


@pytest.mark.parametrize(
    ("execution_input", "error"),
    [
        ({"tabel": "t"}, InvalidInput),
        ("text", InvalidInput),
        ({"wait": 5}, InvalidInput),
        ({"query": "DROP TABLE t"}, InvalidQuery),
        ({"table": "a b"}, InvalidIdentifier),
    ],
)
def test_a_bad_input_is_named_and_takes_nothing(execution_input: Any, error: type[Exception]) -> None:
    make_target()
    with pytest.raises(error):
        prepare(execution_input)
    assert lock() is None


class Executions:
    """Executions of a state machine that waits, as other loads."""

    def __init__(self) -> None:
        self._steps = boto3.client("stepfunctions", REGION)
        waiting = {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
        self._machine = self._steps.create_state_machine(
            name="load", definition=json.dumps(waiting), roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine"
        )["stateMachineArn"]

    def start(self, name: str) -> str:
        return self._steps.start_execution(stateMachineArn=self._machine, name=name)["executionArn"]

    def stop(self, arn: str) -> None:
        self._steps.stop_execution(executionArn=arn)
        deadline = time.monotonic() + 10
        while self._steps.describe_execution(executionArn=arn)["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def ended(self, arn: str, status: str, seconds_ago: float = 0) -> None:
        """Let Step Functions say that an execution ended in some way."""
        stopped = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        said = {"executionArn": arn, "status": status, "stopDate": stopped}
        answer_with("stepfunctions", "DescribeExecution", said)


@pytest.fixture
def executions() -> Executions:
    make_target()
    return Executions()


@pytest.fixture
def touched(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let the lock have been touched so many seconds ago."""

    def age(seconds: float) -> None:
        boto3.client("dynamodb", REGION).update_item(
            TableName="ledger",
            Key={"loadId": {"S": "table#reviews"}, "entry": {"S": "lock"}},
            UpdateExpression="SET touchedAt = :at",
            ExpressionAttributeValues={":at": {"N": str(time.time() - seconds)}},
        )

    return age


class TestOneLoadPerTable:
    def test_an_execution_takes_the_table_and_keeps_it(self, executions: Executions) -> None:
        first = executions.start("first")
        prepare({}, first)
        prepare({}, first)
        found = lock()
        assert found
        assert (found["holder"], found["version"]) == (first, "2")
        assert "expiresAt" not in found

    @pytest.mark.parametrize("execution_input", [{}, {"target_table": "reviews"}])
    def test_the_second_load_is_refused_and_told_which_is_the_first(
        self, executions: Executions, execution_input: Any
    ) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        with pytest.raises(TableIsBeingLoaded, match=f"{first} .*table reviews.*wait"):
            prepare(execution_input, second)

    def test_another_table_is_not_held(self, executions: Executions, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LOADABLE_TABLES", "audits")
        make_target(name="audits")
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        prepare({"target_table": "audits"}, second)
        assert (lock() or {})["holder"] == first
        assert (lock("audits") or {})["holder"] == second

    def test_a_dry_run_takes_nothing_and_is_not_held_up(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({"dry_run": True}, first)
        assert lock() is None
        prepare({}, second)
        assert prepare({"dry_run": True}, first)["held_by"] is None
        assert (lock() or {})["holder"] == second

    def test_a_load_that_may_wait_is_told_for_whom(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        assert prepare({"wait": True}, second)["held_by"] == first
        executions.stop(first)
        assert prepare({"wait": True}, second)["held_by"] is None

    def test_waiting_ends(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        started_at = datetime.now(UTC) - timedelta(hours=10)
        with pytest.raises(TableIsBeingLoaded, match="waited 10 hours"):
            prepare({"wait": True}, second, started_at)

    def test_whoever_stops_the_execution_finds_its_table(self, executions: Executions) -> None:
        first = executions.start("first")
        prepare({}, first)
        notes = ExecutionNotes(aws_clients.client("dynamodb"), "ledger", first)
        assert notes.stop(0) == UnderWay(frozenset(), "reviews")

    def test_a_redrive_or_another_load_takes_the_table_without_the_mark_of_a_stop(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        for taker in (first, second):
            prepare({}, first)
            TableLock(aws_clients.client("dynamodb"), "ledger", "reviews", first).stop(0)
            assert "stoppedRedrives" in (lock() or {})
            if taker == second:
                executions.stop(first)
            prepare({}, taker)
            assert "stoppedRedrives" not in (lock() or {})

    def test_what_a_stopped_execution_has_left_behind_keeps_nobody_waiting(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        executions.stop(first)
        held = TableLock(aws_clients.client("dynamodb"), "ledger", "reviews", first)
        held.begin()
        held.stop(0)
        assert prepare({}, second)["held_by"] is None

    def test_a_holder_that_was_aborted_holds_nothing(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        executions.stop(first)
        assert prepare({}, second)["held_by"] is None
        assert (lock() or {})["holder"] == second

    @pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
    def test_nor_does_one_that_has_ended_otherwise(self, executions: Executions, status: str) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        executions.ended(first, status)
        prepare({}, second)
        assert (lock() or {})["holder"] == second

    def test_one_that_will_run_again_does(self, executions: Executions, touched: Callable[[float], None]) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        touched(3600)
        executions.ended(first, "PENDING_REDRIVE")
        with pytest.raises(TableIsBeingLoaded):
            prepare({}, second)

    def test_one_that_was_at_work_after_its_end_may_run_again(
        self, executions: Executions, touched: Callable[[float], None]
    ) -> None:
        """Step Functions' answer can be older than a redrive."""
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        executions.ended(first, "FAILED", seconds_ago=7200)
        with pytest.raises(TableIsBeingLoaded):
            prepare({}, second)
        touched(61)
        prepare({}, second)

    def test_a_holder_that_does_not_exist_holds_nothing_once_it_would_be_known(
        self, executions: Executions, touched: Callable[[float], None]
    ) -> None:
        """Step Functions may not know yet what was started a moment ago."""
        prepare({}, EXECUTION.replace("monday", "forgotten"))
        second = executions.start("second")
        with pytest.raises(TableIsBeingLoaded, match="forgotten"):
            prepare({}, second)
        touched(61)
        prepare({}, second)
        assert (lock() or {})["holder"] == second

    def test_of_two_that_find_a_table_free_one_gets_it(self, executions: Executions) -> None:
        """Both ask about the same ended holder before either writes."""
        ended, second, third = (executions.start(name) for name in ("ended", "second", "third"))
        prepare({}, ended)
        executions.stop(ended)
        self.meanwhile(lambda: prepare({}, third))
        with pytest.raises(TableIsBeingLoaded, match=third):
            prepare({}, second)
        assert (lock() or {})["holder"] == third

    def test_a_holder_that_goes_on_while_it_is_asked_about_keeps_the_table(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        executions.stop(first)
        self.meanwhile(lambda: prepare({}, first))
        with pytest.raises(TableIsBeingLoaded, match=first):
            prepare({}, second)

    def meanwhile(self, happens: Callable[[], Any]) -> None:
        """Let something happen after the next execution has asked Step Functions, and before it writes."""
        asked: list[bool] = []

        def once(**_: Any) -> None:
            if not asked:
                asked.append(True)
                happens()

        aws_clients.client("stepfunctions").meta.events.register("after-call.stepfunctions.DescribeExecution", once)

    def test_a_question_that_step_functions_refuses_is_named(self, executions: Executions) -> None:
        first, second = executions.start("first"), executions.start("second")
        prepare({}, first)
        answer_calls("stepfunctions.DescribeExecution", 400, "AccessDeniedException", service="stepfunctions")
        with pytest.raises(AwsRefused, match="DescribeExecution"):
            prepare({}, second)
        assert (lock() or {})["holder"] == first
