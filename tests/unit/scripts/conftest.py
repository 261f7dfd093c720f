"""A stack in moto: its outputs, tables and bucket, and state machines whose runs moto's interpreter makes."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from data_bucket import rejects_prefix
from dynamo_load.accounting.ledger import PieceLedger, Tally
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan
from scripts.pipelines.command_line import commands
from scripts.pipelines.context import PROGRAM
from scripts.pipelines.stack import Stack
from statements.names import StatementKind
from statements.tasks import CallbackTask
from statements.token_store import TokenStore
from target.table import KeyAttribute, TargetTable, WriteCapacity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

REGION, ACCOUNT = "us-east-1", "123456789012"
NAME = "pipelines"
BUCKET = "pipelines-data"
LEDGER, META, TARGET = "ledger", "tokens", "reviews"
ROLE = "arn:aws:iam::123456789012:role/machine"
SECONDS = 20
MACHINES = {"procedure": "p-RedshiftDataApiSPProces", "load": "p-RedshiftToDynamoProces"}


def plan(**fields: Any) -> LoadPlan:
    """A load of 1,000 rows in two pieces."""
    target = TargetTable(TARGET, (KeyAttribute("review_id", "S"),), capacity=WriteCapacity(warm=4000))
    known: dict[str, Any] = {
        "load_id": "nightly-0f1e2d3c",
        "bucket": BUCKET,
        "pieces_key": "loads/nightly-0f1e2d3c/pieces.json",
        "pieces": 2,
        "files": 2,
        "rows": 1000,
        "bytes": 50_000,
        "mapping": ItemMapping(target),
        "limits": LoadLimits(0, 4, 0),
    }
    return LoadPlan(**known | fields)


def passes(**outputs: Any) -> dict[str, Any]:
    """States that put out what is given, in that order, by their names with _ for blanks."""
    names = [name.replace("_", " ") for name in outputs]
    states: dict[str, Any] = {
        name: {"Type": "Pass", "Result": result, "Next": following}
        for name, result, following in zip(names, outputs.values(), [*names[1:], "End"], strict=True)
    }
    return states


def listed(**fields: Any) -> dict[str, Any]:
    """The states of a load until it has its plan."""
    return passes(
        Prepare_Load={"held_by": None},
        Unload_Redshift_Table={"rows": 1000},
        List_Unloaded_Files={"report": None, "plan": json.loads(json.dumps(asdict(plan(**fields))))},
    )


@dataclass
class Account:
    """What the tests arrange in the account, and what the commands are told of it."""

    stack: Stack
    names: Iterator[str] = field(default_factory=lambda: (f"run-{number}" for number in itertools.count(1)))

    def machine(self, pipeline: str) -> str:
        return f"arn:aws:states:{REGION}:123456789012:stateMachine:{MACHINES[pipeline]}"

    def script(self, pipeline: str, states: dict[str, Any], end: dict[str, Any] | None = None) -> None:
        """Let runs go through these states, and end so: succeed, unless another end is given."""
        definition = {"StartAt": next(iter([*states, "End"])), "States": states | {"End": end or {"Type": "Succeed"}}}
        self.states.update_state_machine(stateMachineArn=self.machine(pipeline), definition=json.dumps(definition))

    def run(self, pipeline: str, payload: Any = None, *, until: str = "ended") -> str:
        """Start a run and let it come to its end, or into a state; return its ARN."""
        arn: str = self.states.start_execution(
            stateMachineArn=self.machine(pipeline), name=next(self.names), input=json.dumps(payload or {})
        )["executionArn"]
        self.wait(arn, until)
        return arn

    def wait(self, arn: str, until: str = "ended") -> None:
        """Wait until a run has ended, or entered a state."""
        deadline = time.monotonic() + SECONDS
        while not (self._has_ended(arn) if until == "ended" else until in self._entered(arn)):
            assert time.monotonic() < deadline, self.states.get_execution_history(executionArn=arn)["events"]
            time.sleep(0.01)

    def stop(self, arn: str) -> None:
        self.states.stop_execution(executionArn=arn)
        self.wait(arn)

    def submit(self, arn: str, kind: StatementKind, *, sql: str = "SELECT 1", name: str = "") -> str:
        """Note a statement as the functions do, and submit it; return its id."""
        name = name or f"{kind.value}|1|{arn[-5:]}"
        store, data = TokenStore(self.dynamodb, META), self.stack.client("redshift-data")
        started: datetime = self.states.describe_execution(executionArn=arn)["startDate"]
        store.save_token(name, kind, CallbackTask("secret-token", arn, started, "Run Stored Procedure", 0, False))
        self.dynamodb.update_item(
            TableName=LEDGER,
            Key={"loadId": {"S": f"execution#{arn}"}, "entry": {"S": "execution"}},
            UpdateExpression="ADD statements :names",
            ExpressionAttributeValues={":names": {"SS": [name]}},
        )
        statement_id: str = data.execute_statement(Database="dev", ClusterIdentifier="c", Sql=sql)["Id"]
        store.save_statement_id(name, statement_id)
        return statement_id

    def load_piece(self, piece: str, rows: int, tally: Tally, failure: Exception | None = None) -> None:
        """Note a piece in the ledger as a loader does."""
        ledger = PieceLedger(self.dynamodb, LEDGER, plan().load_id, piece, rows, busy_until=time.time() + 60)
        ledger.take_over()
        ledger.record(tally)
        if failure:
            ledger.record_failure(failure)

    def reject(self, name: str, *rows: dict[str, Any], load_id: str = "nightly-0f1e2d3c") -> None:
        """Store rejected rows as a loader does, in an object of that name."""
        body = "".join(json.dumps(row) + "\n" for row in rows)
        self.stack.client("s3").put_object(Bucket=BUCKET, Key=f"{rejects_prefix(load_id)}{name}", Body=body.encode())

    @property
    def states(self) -> Any:
        return self.stack.client("stepfunctions")

    @property
    def dynamodb(self) -> Any:
        return self.stack.client("dynamodb")

    def _has_ended(self, arn: str) -> bool:
        return bool(self.states.describe_execution(executionArn=arn)["status"] != "RUNNING")

    def _entered(self, arn: str) -> set[str]:
        events = self.states.get_execution_history(executionArn=arn)["events"]
        return {event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event}


def reject(row: int, reason: str = "key_missing", detail: str = "review_id is NULL", **values: Any) -> dict[str, Any]:
    """A rejected row of the first file."""
    file = "unload/nightly-0f1e2d3c/0000_part_00.parquet"
    return {"file": file, "file_row": row, "piece_row": row, "reason": reason, "detail": detail, "row": values}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for variable, value in {
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():
        monkeypatch.setenv(variable, value)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        account = Account(Stack(boto3.Session(region_name=REGION), NAME))
        outputs = {
            "StoredProcedureStateMachineArn": account.machine("procedure"),
            "RedshiftToDynamoStateMachineArn": account.machine("load"),
            "LedgerTableName": LEDGER,
            "MetaTableName": META,
            "TargetTableName": TARGET,
            "DataBucketName": BUCKET,
            "StatementRoleName": "p-statements",
            "NotificationTopicArn": account.stack.client("sns").create_topic(Name="failures")["TopicArn"],
        }
        template = {
            "Parameters": {"REGION": {"Type": "String", "Default": ""}},
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        account.stack.client("cloudformation").create_stack(StackName=NAME, TemplateBody=json.dumps(template))
        for table, keys in {LEDGER: ["loadId", "entry"], META: ["statementName"], TARGET: ["review_id"]}.items():
            account.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": role} for key, role in zip(keys, ["HASH", "RANGE"], strict=False)
                ],
            )
        account.stack.client("s3").create_bucket(Bucket=BUCKET)
        for pipeline, name in MACHINES.items():
            definition = {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}
            account.states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=ROLE)
            assert account.machine(pipeline).endswith(name)
        yield account


@pytest.fixture
def at_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Let something happen when a command has looked at a run so many times, counted by its history."""

    def arrange(looks: int, happens: Callable[[], None]) -> None:
        backend = type(stepfunctions_parser_backends[ACCOUNT][REGION])
        answer, seen = backend.get_execution_history, itertools.count(1)

        def look(*arguments: Any, **named: Any) -> Any:
            history = answer(*arguments, **named)
            if next(seen) == looks:
                threading.Thread(target=happens).start()
            return history

        monkeypatch.setattr(backend, "get_execution_history", look)

    return arrange


@dataclass(frozen=True)
class Called:
    """What a command printed, and its exit code."""

    code: int
    text: str
    refusal: str

    @property
    def document(self) -> Any:
        return json.loads(self.text)


def call(*words: str, stdin: str = "", region: str | None = REGION) -> Called:
    """Call a command line as its program does."""
    given = ["--stack", NAME, *(["--region", region] if region else []), *words]
    result = CliRunner(mix_stderr=False).invoke(commands, given, input=stdin, prog_name=PROGRAM)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Called(result.exit_code, result.stdout, result.stderr)
