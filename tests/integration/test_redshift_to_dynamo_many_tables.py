"""Many tables loaded through the one deployed stack, each by one execution at a time."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from local import executions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.data_api import DataApi
    from local.executions import Execution
    from local.stack import LocalAws

TABLES: dict[str, list[tuple[str, str]]] = {
    "local-orders": [("orderId", "N")],
    "local-visits": [("shop", "S"), ("at", "N")],
    "local-sessions": [("id", "S")],
}
QUERIES = {
    "local-orders": "SELECT 7 AS orderid, 'Bonn' AS city UNION ALL SELECT 8, 'Jena'",
    "local-visits": "SELECT 'Bonn' AS shop, 1 AS at, 'a' AS who UNION ALL SELECT 'Bonn', 2, 'b'",
    "local-sessions": "SELECT 'x' AS id, TIMESTAMP '2030-01-01 00:00:00' AS expires",
}
ITEMS: dict[str, list[dict[str, Any]]] = {
    "local-orders": [
        {"orderId": {"N": "7"}, "city": {"S": "Bonn"}},
        {"orderId": {"N": "8"}, "city": {"S": "Jena"}},
    ],
    "local-visits": [
        {"shop": {"S": "Bonn"}, "at": {"N": "1"}, "who": {"S": "a"}},
        {"shop": {"S": "Bonn"}, "at": {"N": "2"}, "who": {"S": "b"}},
    ],
    "local-sessions": [{"id": {"S": "x"}, "Expires": {"N": "1893456000"}}],
}


class Loads:
    """Loads of the deployed stack, and the locks they take."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str]) -> None:
        self.states, self.dynamodb = aws.client("stepfunctions"), aws.client("dynamodb")
        self.machine, self._ledger = outputs["RedshiftToDynamoStateMachineArn"], outputs["LedgerTableName"]

    def start(self, table: str, **more: Any) -> str:
        return executions.start(self.states, self.machine, {"target_table": table, "query": QUERIES[table], **more})

    def start_slow(self, name: str) -> str:
        """Start a load of sessions with this name, and return when its loader waits for its write budget for long."""
        query = f"SELECT '{name}' || n AS id FROM public.numbers_to_500"
        arn = self.start("local-sessions", query=query, max_write_units_per_second=1)

        def look() -> None:
            if any(item["id"]["S"].startswith(name) for item in self.items("local-sessions")):
                raise SeenError

        with pytest.raises(SeenError):
            executions.wait(self.states, arn, while_running=look)
        return arn

    def wait(self, arn: str) -> Execution:
        return executions.wait(self.states, arn)

    def run(self, table: str, **more: Any) -> Execution:
        return self.wait(self.start(table, **more))

    def items(self, table: str) -> list[dict[str, Any]]:
        found = self.dynamodb.scan(TableName=table)["Items"]
        return sorted(found, key=lambda item: [value for name in sorted(item) for value in item[name].values()])

    def hold(self, table: str, execution_arn: str, touched_at: str) -> None:
        """Write a lock's row, as an execution leaves it."""
        self.dynamodb.put_item(
            TableName=self._ledger,
            Item={
                "loadId": {"S": f"table#{table}"},
                "entry": {"S": "lock"},
                "holder": {"S": execution_arn},
                "version": {"N": "1"},
                "touchedAt": {"N": touched_at},
            },
        )

    def lock(self, table: str) -> dict[str, Any]:
        """The row of a table's lock; empty if there is none."""
        key = {"loadId": {"S": f"table#{table}"}, "entry": {"S": "lock"}}
        return dict(self.dynamodb.get_item(TableName=self._ledger, Key=key, ConsistentRead=True).get("Item", {}))

    def holder(self, table: str) -> str | None:
        row = self.lock(table)
        return row["holder"]["S"] if row else None

    def stop(self, table: str, arn: str) -> None:
        """Stop the execution that loads a table, and wait until its loaders are told."""
        self.states.stop_execution(executionArn=arn)
        deadline = time.monotonic() + 30
        while "stoppedRedrives" not in self.lock(table):
            assert time.monotonic() < deadline, "nobody stopped the load"
            time.sleep(0.1)


class SeenError(Exception):
    """What was waited for has happened while the execution runs."""


@pytest.fixture(scope="module")
def loads(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> Loads:
    """The deployed pipeline, and three tables that are none of its own."""
    redshift.query("CREATE TABLE IF NOT EXISTS public.numbers_to_500 (n INTEGER)")
    redshift.query("INSERT INTO public.numbers_to_500 VALUES " + ", ".join(f"({n})" for n in range(500)))
    made = Loads(aws, outputs)
    for table, key in TABLES.items():
        made.dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in key],
            KeySchema=[
                {"AttributeName": name, "KeyType": "RANGE" if number else "HASH"}
                for number, (name, _) in enumerate(key)
            ],
        )
    made.dynamodb.update_time_to_live(
        TableName="local-sessions", TimeToLiveSpecification={"AttributeName": "Expires", "Enabled": True}
    )
    return made


def test_tables_with_other_keys_a_sort_key_and_a_time_to_live_are_loaded_by_one_stack(loads: Loads) -> None:
    """At the same time, too: each has a lock of its own."""
    started = {table: loads.start(table) for table in TABLES}
    for table, arn in started.items():
        execution = loads.wait(arn)
        assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
        assert (execution.output["table"], execution.output["rows_written"]) == (table, len(ITEMS[table]))
        assert loads.items(table) == ITEMS[table]
        assert loads.holder(table) == arn


def test_a_table_that_is_not_loadable_is_refused_by_name(loads: Loads) -> None:
    execution = executions.run(
        loads.states, loads.machine, {"target_table": "redshift-statement-tokens", "query": "SELECT 'x' AS id"}
    )
    assert (execution.status, execution.error) == ("FAILED", "TableNotLoadable")
    assert "redshift-statement-tokens" in execution.cause


def test_of_two_executions_started_in_the_same_second_one_loads_and_the_other_names_it(loads: Loads) -> None:
    started = [loads.start("local-orders") for _ in range(2)]
    ended = [loads.wait(arn) for arn in started]
    (loaded,) = (execution for execution in ended if execution.status == "SUCCEEDED")
    (refused,) = (execution for execution in ended if execution.status == "FAILED")
    assert refused.error == "TableIsBeingLoaded"
    assert loaded.arn in refused.cause
    assert loads.holder("local-orders") == loaded.arn


def test_the_table_of_an_execution_that_was_aborted_can_be_loaded_again(loads: Loads) -> None:
    slow = loads.start_slow("aborted")
    assert loads.run("local-sessions").error == "TableIsBeingLoaded"

    loads.stop("local-sessions", slow)

    # The loader may still be at work for a moment, which the next load waits for.
    with a_second_between_looks(loads):
        execution = loads.run("local-sessions")
    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert loads.holder("local-sessions") == execution.arn


def test_the_table_of_an_execution_that_no_longer_exists_can_be_loaded(loads: Loads) -> None:
    gone = f"{loads.machine.replace(':stateMachine:', ':execution:')}:{uuid.uuid4()}"
    loads.hold("local-visits", gone, touched_at="1700000000.0")
    execution = loads.run("local-visits")
    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert loads.holder("local-visits") == execution.arn


def test_a_load_waits_for_its_table_if_it_may(loads: Loads) -> None:
    with a_second_between_looks(loads):
        slow = loads.start_slow("waited-for")
        waiting = loads.start("local-sessions", wait=True)

        def stop_when_it_waits() -> None:
            events = loads.states.get_execution_history(executionArn=waiting)["events"]
            if any(event["type"] == "WaitStateEntered" for event in events):
                raise SeenError

        with pytest.raises(SeenError):
            executions.wait(loads.states, waiting, while_running=stop_when_it_waits)
        loads.states.stop_execution(executionArn=slow)

        execution = loads.wait(waiting)
    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert loads.holder("local-sessions") == waiting


@contextmanager
def a_second_between_looks(loads: Loads) -> Iterator[None]:
    """Let a load that waits ask again after a second."""
    text = loads.states.describe_state_machine(stateMachineArn=loads.machine)["definition"]
    definition = json.loads(text)
    definition["States"]["Wait For The Table"]["Seconds"] = 1
    loads.states.update_state_machine(stateMachineArn=loads.machine, definition=json.dumps(definition))
    try:
        yield
    finally:
        loads.states.update_state_machine(stateMachineArn=loads.machine, definition=text)
