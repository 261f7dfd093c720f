"""`make soak`: many executions of both kinds at once, while all that can go wrong does, by chance.

Requests and answers get lost between functions and AWS, AWS throttles and fails, at times a whole service for a minute,
functions are killed, completion events get lost or come twice, executions are aborted, told or untold, and redriven or
started anew. Then everything becomes kind again, and all must have ended as it should: each procedure ran once, the
tables hold what they should, row by row, and nothing is left behind. What has not is told with all that is known of it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local import executions
from local.data_api import DataApi
from local.stack import LocalAws, deploy
from tests.under_quotas import Stack, wait
from tests.unkind_network import ANSWERED, UnkindNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

SHARE = 0.01
"""Of the requests that meet each fault of the network."""
EXECUTION_SECONDS = 1_200.0
# So long a row has to be unfinished for the watchdog to look at it.
_OVERDUE_SECONDS = 61
# A stop that fails comes again after this, as if the minute were over.
_STOP_AGAIN_SECONDS = 10
# A table whose loader was killed is free when the loader's time would have been up, which is not to take 15 minutes.
_LOADER_SECONDS = 90
_SERVICES = ("dynamodb", "redshift-data", "s3", "states")
_TABLE_KEYS = 120
_UNTOLD = 0.5
"""Of the executions that are aborted, those whose status event is lost."""
_FATES = ("aborted and redriven", "left alone", "aborted and loaded anew", "left alone")
_PROCEDURE = (
    "CREATE OR REPLACE PROCEDURE public.sp_soak(p_message varchar(50)) AS $$ BEGIN PERFORM pg_sleep({seconds});"
    " INSERT INTO public.soak_log VALUES (p_message); END; $$ LANGUAGE plpgsql"
)
_RUNNING = """
SELECT pid, query FROM pg_stat_activity
WHERE query LIKE '%sp_soak%' AND state = 'active' AND pid <> pg_backend_pid()
"""


@dataclass
class Figures:
    """What a soak came to."""

    executions: int = 0
    statements: int = 0
    rows: int = 0
    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        faults = ", ".join(f"{name}: {number}" for name, number in self.faults.most_common())
        return (
            f"{self.faults.total()} faults in {self.requests:,} requests of functions ({faults}); "
            f"{self.executions} executions, {self.statements} statements, {self.rows:,} rows; nothing was lost."
        )


@dataclass(frozen=True)
class Measure:
    """How much trouble there is: one every `pause_seconds`, so many `kills` and `outages`, each of these so long."""

    kills: int
    outages: int
    outage_seconds: tuple[float, float]
    pause_seconds: float = 1.0


class Trouble(threading.Thread):
    """Kills functions, loses completion events and repeats them, takes services out, in turn, until `end`.

    The watchdog looks each time, as if minutes had passed.
    """

    def __init__(
        self, aws: LocalAws, network: UnkindNetwork, prefix: str, tokens: str, measure: Measure, seed: int
    ) -> None:
        super().__init__()
        self._aws, self._network, self._prefix, self._tokens = aws, network, prefix, tokens
        self._chance, self._pause_seconds = random.Random(seed), measure.pause_seconds
        self._kills_left, self._outages_left = measure.kills, measure.outages
        self._outage_seconds = measure.outage_seconds
        self._events, self._functions, self._dynamodb = (aws.client(name) for name in ("events", "lambda", "dynamodb"))
        self._ended, self._kind = threading.Event(), threading.Event()
        self.met: Counter[str] = Counter()
        self.failure: Exception | None = None

    def become_kind(self) -> None:
        """From now on only the watchdog looks."""
        self._kind.set()

    def end(self) -> None:
        """Stop, and raise what has gone wrong with the trouble itself."""
        self._ended.set()
        self.join()
        if self.failure:
            raise self.failure

    def run(self) -> None:
        """Make trouble."""
        kinds = self._kinds()
        try:
            while not self._ended.wait(self._pause_seconds):
                if not self._kind.is_set():
                    next(kinds)()
                self._watch()
        except Exception as failure:  # noqa: BLE001 - raised again by whoever ends this thread
            self.failure = failure

    def _kinds(self) -> Iterator[Callable[[], None]]:
        """All kinds of trouble, again and again, each time in another order."""
        kinds = [self._kill_function, self._lose_events, self._repeat_event, self._take_a_service_out]
        while True:
            yield from self._chance.sample(kinds, len(kinds))

    def _take_a_service_out(self) -> None:
        if self._outages_left and not self._network.outages:
            self._outages_left -= 1
            service, fault = self._chance.choice(_SERVICES), self._chance.choice(ANSWERED)
            self._network.take_out(service, fault, self._chance.uniform(*self._outage_seconds))

    def _kill_function(self) -> None:
        workers = _processes(f"{self._aws.directory}/tmp/ministack-lambda-{self._prefix}-")
        if workers and self._kills_left:
            self._kills_left -= 1
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(workers), signal.SIGKILL)
                self.met["function killed"] += 1

    def _lose_events(self) -> None:
        rule = f"{self._prefix}-EventBridgeRedshiftEvent"
        self._events.disable_rule(Name=rule)
        self._ended.wait(self._chance.random())
        self._events.enable_rule(Name=rule)
        self.met["events lost for a moment"] += 1

    def _repeat_event(self) -> None:
        rows = [row for row in _rows(self._dynamodb, self._tokens) if "statementId" in row]
        if rows:
            row = self._chance.choice(rows)
            detail = {name: row[name]["S"] for name in ("statementName", "statementId")}
            event = json.dumps({"time": "2026-11-22T03:00:00Z", "detail": detail})
            self._functions.invoke(
                FunctionName=f"{self._prefix}-StepFunctionCallBack", InvocationType="Event", Payload=event
            )
            self.met["event repeated"] += 1

    def _watch(self) -> None:
        overdue = int(time.time()) - _OVERDUE_SECONDS
        for row in _rows(self._dynamodb, self._tokens):
            if "unfinishedSince" in row and int(row["unfinishedSince"]["N"]) > overdue:
                with suppress(self._dynamodb.exceptions.ConditionalCheckFailedException):
                    self._dynamodb.update_item(
                        TableName=self._tokens,
                        Key={"statementName": row["statementName"]},
                        UpdateExpression="SET unfinishedSince = :overdue",
                        ConditionExpression="attribute_exists(unfinished)",
                        ExpressionAttributeValues={":overdue": {"N": str(overdue)}},
                    )
        self._functions.invoke(FunctionName=f"{self._prefix}-WatchStatements")


class Table:
    """A table of Redshift that changes from load to load, and its copy in DynamoDB."""

    def __init__(self, number: int, soak: Soak) -> None:
        self._soak, self._number, self._chance = soak, number, random.Random(f"{soak.seed} {number}")
        self._source, self._target = f"public.soak_{number}", f"local-soak-{number}"
        self._expected: dict[str, int] = {}
        # What upserts have brought is known to no later load, and so deleted by none.
        self._noted: set[str] = set()
        soak.redshift.query(f"CREATE TABLE {self._source} (id varchar(20), version integer)")
        soak.dynamodb.create_table(
            TableName=self._target,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )

    def load(self, version: int) -> None:
        """Replace the rows, load them, aborting half of the loads on the way, and compare. Raises AssertionError."""
        source = {f"key-{self._chance.randrange(_TABLE_KEYS):03}": version for _ in range(_TABLE_KEYS)}
        values = ", ".join(f"('{key}', {version})" for key in source)
        self._soak.redshift.query(f"DELETE FROM {self._source}")
        self._soak.redshift.query(f"INSERT INTO {self._source} VALUES {values}")
        mode = self._chance.choice(["upsert", "changes", "mirror"])
        asked = {"target_table": self._target, "query": f"SELECT * FROM {self._source}", "mode": mode, "wait": True}
        if mode == "mirror":
            asked["deletes_allowed"] = 1.0
        rows = self._load(asked, _FATES[(self._number + version) % len(_FATES)])
        assert rows == len(source), f"{rows} rows of {len(source)}"
        if mode == "mirror":
            vanished = self._noted - source.keys()
            self._expected = {key: value for key, value in self._expected.items() if key not in vanished}
            self._noted = set()
        self._expected |= source
        if mode != "upsert":
            self._noted |= source.keys()
        found = {item["id"]["S"]: int(item["version"]["N"]) for item in _rows(self._soak.dynamodb, self._target)}
        assert found == self._expected, (
            f"{self._target} differs from its source after load {version} ({mode}):"
            f" {found.items() ^ self._expected.items()}"
        )

    def _load(self, asked: Mapping[str, Any], fate: str) -> int:
        if fate == "left alone":
            return self._soak.load(asked)
        untold = self._chance.random() < _UNTOLD
        aborted = self._soak.abort_load(asked, after_seconds=3 * self._chance.random(), untold=untold)
        if aborted and fate == "aborted and redriven":
            return self._soak.redrive_load(aborted)
        return self._soak.load(asked)


class Soak:
    """Executions of a stack that is in trouble. `prefix` is the stack's."""

    def __init__(self, aws: LocalAws, outputs: Mapping[str, str], *, prefix: str, seed: int) -> None:
        self.aws, self.prefix, self.seed, self._outputs = aws, prefix, seed, dict(outputs)
        self.redshift = DataApi(aws.client("redshift-data"), aws.redshift_connection)
        self.dynamodb, self._states, self._functions = (
            aws.client(name) for name in ("dynamodb", "stepfunctions", "lambda")
        )
        self._events, self._sqs = aws.client("events"), aws.client("sqs")
        self._stack = Stack(aws, self._outputs)
        self._chance, self.figures = random.Random(seed), Figures()
        self._aborting, self._went_wrong = threading.Lock(), threading.Event()
        self._procedures: dict[str, str] = {}
        """The executions of procedures, by the message that each is to log."""

    def run(
        self,
        procedures: int,
        *,
        tables: int,
        loads: int,
        measure: Measure,
        procedure_seconds: str = "random()",
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Figures:
        """Run so many procedures at once, and beside them `loads` of each of `tables` tables; do something meanwhile.

        `procedure_seconds` is how long each takes, in SQL.

        Raises AssertionError at what is not as it should be in the end.
        """
        self.redshift.query("CREATE TABLE public.soak_log (message varchar(50))")
        self.redshift.query(_PROCEDURE.format(seconds=procedure_seconds))
        stops = f"{self.prefix}-StoppedExecutions"
        self._sqs.set_queue_attributes(
            QueueUrl=self._sqs.get_queue_url(QueueName=stops)["QueueUrl"],
            Attributes={"VisibilityTimeout": str(_STOP_AGAIN_SECONDS)},
        )
        tokens = self._outputs["MetaTableName"]
        with UnkindNetwork(self.aws.endpoint_url, share=SHARE, seed=self.seed) as network:
            before = self._lead_functions_to(network.endpoint_url)
            self._functions.update_function_configuration(
                FunctionName=f"{self.prefix}-LoadDynamo", Timeout=_LOADER_SECONDS
            )
            made = [Table(number, self) for number in range(tables)]
            trouble = Trouble(self.aws, network, self.prefix, tokens, measure, self.seed)
            trouble.start()
            try:
                with ThreadPoolExecutor(tables + 1) as threads:
                    others: list[Future[object]] = [threads.submit(meanwhile)]
                    others += [threads.submit(self._load_all, table, loads) for table in made]
                    self._redrive_some(self.start_procedures(procedures))
                    for other in others:
                        other.result()
                failed = [arn for arn in self._procedures.values() if self._ended(arn).status != "SUCCEEDED"]
                assert not failed, "\n".join(map(self._told, failed))
                trouble.become_kind()
                network.become_kind()
                wait("all ends are told", lambda: [_said(row) for row in self._statements() if "unfinished" in row])
            finally:
                trouble.end()
            self._restore(before)
        logged = Counter(row["message"] for row in self.redshift.query("SELECT message FROM public.soak_log"))
        wrong = [message for message in logged.keys() | self._procedures.keys() if logged[message] != 1]
        assert not wrong, "\n".join(f"ran {logged[one]} times: {self._told(self._procedures[one])}" for one in wrong)
        # Events that no attempt could handle are kept for people, when they have long been taken care of otherwise.
        wait("all stops are handled", lambda: self._stack.queued(stops))
        running = self.redshift.query(_RUNNING)
        assert running == [], f"statements run on: {running}"
        self.figures.statements = sum(1 for _ in self._statements())
        self.figures.faults += network.met + trouble.met
        self.figures.requests = network.requests
        return self.figures

    def load(self, asked: Mapping[str, Any]) -> int:
        """Load a table; return the rows that were unloaded. Raises AssertionError if that fails."""
        return self._unloaded(self._start_load(asked))

    def abort_load(self, asked: Mapping[str, Any], *, after_seconds: float, untold: bool) -> str | None:
        """Start a load and abort it; return its ARN, or None if it had ended before."""
        arn = self._start_load(asked)
        time.sleep(after_seconds)
        aborted = self._abort(arn, untold=untold)
        self.figures.faults["load aborted"] += aborted
        return arn if aborted else None

    def redrive_load(self, arn: str) -> int:
        """Redrive a load that was aborted; return the rows that were unloaded. Raises AssertionError if that fails."""
        self._states.redrive_execution(executionArn=arn)
        self.figures.faults["load redriven"] += 1
        return self._unloaded(arn)

    def _start_load(self, asked: Mapping[str, Any]) -> str:
        self.figures.executions += 1
        return executions.start(self._states, self._outputs["RedshiftToDynamoStateMachineArn"], asked)

    def _unloaded(self, arn: str) -> int:
        ended = self._ended(arn)
        assert ended.status == "SUCCEEDED", self._told(arn)
        rows = int(ended.output["rows_unloaded"])
        self.figures.rows += rows
        return rows

    def _load_all(self, table: Table, loads: int) -> None:
        for version in range(loads):
            if self._went_wrong.is_set():
                return
            try:
                table.load(version)
            except BaseException:
                self._went_wrong.set()
                raise

    def start_procedures(self, count: int) -> list[str]:
        """Start procedures at once; return the ARNs of their executions."""
        messages = [uuid.uuid4().hex for _ in range(count)]
        arns = self._stack.start([{"spname": "public.sp_soak", "arguments": [message]} for message in messages])
        self.figures.executions += count
        self._procedures |= zip(messages, arns, strict=True)
        return arns

    def _redrive_some(self, arns: list[str]) -> None:
        """Abort and redrive a tenth of them."""
        for arn in self._chance.sample(arns, len(arns) // 10):
            time.sleep(self._chance.random() / 2)
            if self._abort(arn, untold=self._chance.random() < _UNTOLD):
                self._states.redrive_execution(executionArn=arn)
                self.figures.faults["procedure aborted and redriven"] += 1

    def _abort(self, arn: str, *, untold: bool) -> bool:
        """Abort an execution, `untold` without its status event; return whether it had not ended before."""
        rule = f"{self.prefix}-StoppedExecutions"
        with self._aborting:
            if untold:
                self._events.disable_rule(Name=rule)
            try:
                with suppress(ClientError):
                    self._states.stop_execution(executionArn=arn)
            finally:
                self._events.enable_rule(Name=rule)
        aborted: bool = self._states.describe_execution(executionArn=arn)["status"] == "ABORTED"
        self.figures.faults["status event lost"] += aborted and untold
        return aborted

    def _ended(self, arn: str) -> executions.Execution:
        try:
            return executions.wait(self._states, arn, timeout_seconds=EXECUTION_SECONDS)
        except executions.ExecutionDidNotEndError as error:
            raise AssertionError(f"{error}: {self._told(arn)}") from error

    def _statements(self) -> Iterator[dict[str, Any]]:
        return _rows(self.dynamodb, self._outputs["MetaTableName"])

    def _told(self, arn: str) -> str:
        """All that is known of an execution: its history, in seconds from its start, and its statements."""
        pages = self._states.get_paginator("get_execution_history").paginate(executionArn=arn)
        events = [event for page in pages for event in page["events"]]
        lines = [arn]
        for event in events:
            seconds = (event["timestamp"] - events[0]["timestamp"]).total_seconds()
            details: dict[str, Any] = next(
                (value for name, value in event.items() if name.endswith("EventDetails")), {}
            )
            said = [details[name] for name in ("name", "error", "cause") if details.get(name)]
            lines.append(f"{seconds:8.1f} {event['type']} {': '.join(said)}")
        lines += [_said(row) for row in self._statements() if row["executionArn"]["S"] == arn]
        return "\n".join(lines)

    def _lead_functions_to(self, endpoint_url: str) -> dict[str, dict[str, str]]:
        """Let all functions of the stack find AWS there; return the variables that they had before."""
        before = {}
        for page in self._functions.get_paginator("list_functions").paginate():
            for function in page["Functions"]:
                if function["FunctionName"].startswith(f"{self.prefix}-"):
                    before[function["FunctionName"]] = function["Environment"]["Variables"]
        self._restore({name: variables | {"AWS_ENDPOINT_URL": endpoint_url} for name, variables in before.items()})
        return before

    def _restore(self, variables: Mapping[str, dict[str, str]]) -> None:
        for name, of_function in variables.items():
            self._functions.update_function_configuration(FunctionName=name, Environment={"Variables": of_function})


def _rows(dynamodb: Any, table: str) -> Iterator[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return (row for page in pages for row in page["Items"])


def _said(row: Mapping[str, dict[str, Any]]) -> str:
    """A statement's row in words, without its tokens."""
    return ", ".join(
        f"{name}: {value}"
        for name, typed in sorted(row.items())
        if not name.endswith("Tokens")
        for value in typed.values()
    )


def _processes(command: str) -> list[int]:
    """The processes whose command line has a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if command.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return sorted(found)


def main() -> None:
    """Run it. Raises AssertionError at what is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--procedures", type=int, default=240)
    parser.add_argument("--tables", type=int, default=8)
    parser.add_argument("--loads", type=int, default=6, help="of each table")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with LocalAws(with_quotas=True) as aws:
        soak = Soak(aws, deploy(aws, report=print), prefix="local", seed=asked.seed)
        measure = Measure(kills=20, outages=3, outage_seconds=(30, 60))
        figures = soak.run(asked.procedures, tables=asked.tables, loads=asked.loads, measure=measure)
    assert _processes(str(aws.directory)) == [], "processes are left"
    assert not aws.directory.exists(), "files are left"
    print(figures)


if __name__ == "__main__":
    main()
