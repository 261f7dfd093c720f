"""S3, DynamoDB, Step Functions and the Redshift Data API by moto, sockets closed."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Literal

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pytest_socket
from botocore.awsrequest import AWSResponse, HTTPHeaders
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

import aws_clients
import prepare_load.app
import redshift_unload.app
import redshift_unload_s3_list.app
import step_function_callback.app
from target.table import KeyAttribute, TargetTable
from telemetry import logger, metrics
from tests.unit import waiting_task
from tests.unit.waiting_task import ACCOUNT, REGION, FunctionContext

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.literals import ScalarAttributeTypeType
    from mypy_boto3_dynamodb.type_defs import KeySchemaElementTypeDef

BUCKET = "data"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:load:monday"
STATEMENT = "redshift-unload-event-|1795662000|0f1e2d3c"
LOAD = "monday-0f1e2d3c"
PREFIX = f"unload/{LOAD}/"
ENVIRONMENT = waiting_task.ENVIRONMENT | {
    "DATA_BUCKET": BUCKET,
    "UNLOAD_ROLE": "default",
    "UNLOAD_QUERY": "SELECT * FROM public.reviews",
    "TARGET_TABLE": "reviews",
    "TTL_ATTRIBUTE": "",
    "LOADABLE_TABLES": "",
    "LEDGER_TABLE": "ledger",
    "AWS_REGION": REGION,
}


@dataclass
class Unloaded:
    """What an UNLOAD left in the bucket."""

    files: dict[str, bytes] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    columns: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, table: pa.Table, row_group_rows: int | None = None) -> None:
        """Write a file of some rows."""
        self.files[name], self.rows[name] = parquet(table, row_group_rows), table.num_rows

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest that Redshift writes for these files."""
        entries = [
            {
                "url": f"s3://{BUCKET}/{PREFIX}{name}",
                "meta": {"content_length": len(self.files[name]), "record_count": self.rows[name]},
            }
            for name in self.files
        ]
        return {
            "entries": entries,
            "schema": {"elements": self.columns},
            "meta": {
                "content_length": sum(map(len, self.files.values())),
                "record_count": sum(self.rows.values()),
            },
            "author": {"name": "Amazon Redshift", "version": "1.0.0"},
        }

    def add_bucket(self, number: int, table: pa.Table, file: str = "0000_part_00.parquet") -> None:
        """Write a file of rows of one bucket, with hashes that put them there if there are at most 1,024 buckets."""
        hashes = pa.array([number + 1024 * row for row in range(len(table))], pa.int32())
        self.add(f"load_bucket={number}/{file}", table.append_column("load_hash", hashes))

    def store(self, manifest: Any = None) -> None:
        """Put files and manifest into the bucket."""
        s3 = boto3.client("s3", REGION)
        for name, content in self.files.items():
            s3.put_object(Bucket=BUCKET, Key=PREFIX + name, Body=content)
        text = manifest if isinstance(manifest, str) else json.dumps(manifest or self.manifest)
        s3.put_object(Bucket=BUCKET, Key=f"{PREFIX}manifest", Body=text.encode())


def parquet(table: pa.Table, row_group_rows: int | None = None) -> bytes:
    """A Parquet file."""
    buffer = BytesIO()
    pq.write_table(table, buffer, row_group_size=row_group_rows)
    return buffer.getvalue()


def reviews(rows: int, first: int = 0) -> pa.Table:
    """Rows with a key column `id` that fits the configured target."""
    numbers = range(first, first + rows)
    ids, stars = [f"R{number}" for number in numbers], [number % 5 for number in numbers]
    return pa.table({"id": pa.array(ids, pa.string()), "stars": pa.array(stars, pa.int32())})


def prepare(
    execution_input: Any = None, execution: str = EXECUTION, started_at: datetime | None = None
) -> dict[str, Any]:
    """Invoke PrepareLoadFunction for an execution that started then, or now."""
    asked = {} if execution_input is None else execution_input
    start_time = (started_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    event = {"execution": {"Id": execution, "Input": asked, "StartTime": start_time}}
    prepared: dict[str, Any] = json.loads(json.dumps(prepare_load.app.handler(event, FunctionContext())))
    return prepared


def list_unloaded(execution_input: Any = None, statement: str = STATEMENT, **known: Any) -> dict[str, Any]:
    """Invoke RedshiftUnloadS3ListFunction, with the target that PrepareLoadFunction says; `known` replaces ASKED."""
    execution = {"Id": EXECUTION, "Input": execution_input or {}, "Name": "monday"}
    event = {
        "execution": execution,
        "unload": {"statement_id": "1", "statement_name": statement},
        **ASKED,
        "target": prepare(execution_input)["target"],
        **known,
    }
    listed: dict[str, Any] = json.loads(json.dumps(redshift_unload_s3_list.app.handler(event, FunctionContext())))
    return listed


def answer_calls(
    operation: str, status: int, code: str, path: str = "", service: Literal["s3", "dynamodb", "stepfunctions"] = "s3"
) -> None:
    """Let every call of an operation (`s3.PutObject`), or those of one URL path, end with an error, retries and all."""
    answer = AWSResponse("https://aws", status, HTTPHeaders(), None)
    parsed = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def respond(params: dict[str, Any], **_: Any) -> Any:
        return (answer, parsed) if params["url_path"].endswith(path) else None

    aws_clients.client(service).meta.events.register(f"before-call.{operation}", respond)


ASKED: dict[str, Any] = {
    "target": asdict(TargetTable("reviews", (KeyAttribute("id", "S"),))),
    "known": {"buckets": None, "progress": None},
    "counted": None,
}
"""What the state machine passes on of a load into a table of which nothing is known."""


def counted(rows: int, highest: str | None = None) -> dict[str, Any]:
    """The output of the task that counted."""
    row = {"row_count": rows, "highest": highest}
    return {"statement_id": "1", "statement_name": "c", "rows": 1, "duration_seconds": 0.1, "result": row}


@dataclass
class WaitingTask:
    """A task of an execution that waits for its token while RedshiftUnloadFunction submits its UNLOAD."""

    calls: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    logs: io.StringIO

    def submit(self, execution_input: Any, statement: str = "unload", **known: Any) -> tuple[str, str, str]:
        """Start an execution, invoke the function, and return how the task ended: status, error, cause."""
        event = waiting_task.start("Unload Redshift Table", execution_input, "monday")
        redshift_unload.app.handler(event | {"statement": statement, **ASKED, **known}, FunctionContext())
        if self.calls:
            return "RUNNING", "", ""
        execution = waiting_task.ended(event["execution"]["Id"])
        # moto fails the task, but forgets the cause.
        return execution["status"], self.failures[-1]["error"], self.failures[-1]["cause"]

    def call_back(self) -> Any:
        """Let Redshift's event resume the task, and return its output."""
        row = boto3.resource("dynamodb", REGION).Table(waiting_task.TOKEN_TABLE).scan()["Items"][0]
        detail = {"statementName": row["statementName"], "statementId": row["statementId"]}
        event = {"detail": detail, "time": "2026-11-26T03:00:00Z"}
        step_function_callback.app.handler(event, FunctionContext())
        return json.loads(waiting_task.ended(str(row["executionArn"]))["output"])


def make_target(
    key: Sequence[tuple[str, str]] = (("id", "S"),),
    *,
    name: str = "reviews",
    ttl: str | None = None,
    global_indexes: Sequence[Sequence[tuple[str, str]]] = (),
    local_indexes: Sequence[Sequence[tuple[str, str]]] = (),
    projections: Sequence[dict[str, Any]] = (),
) -> None:
    """Make a table with keys of (attribute, type) pairs; the first indexes have these projections."""
    types: dict[str, ScalarAttributeTypeType] = {
        attribute: kind  # type: ignore[misc]
        for schema in (key, *global_indexes, *local_indexes)
        for attribute, kind in schema
    }
    indexes: dict[str, Any] = {
        kind: [
            {"IndexName": f"{kind}{number}", "KeySchema": key_schema(index), "Projection": projection}
            for number, (index, projection) in enumerate(
                zip(schemas, chain(projections, repeat({"ProjectionType": "ALL"})), strict=False)
            )
        ]
        for kind, schemas in (("GlobalSecondaryIndexes", global_indexes), ("LocalSecondaryIndexes", local_indexes))
        if schemas
    }
    boto3.client("dynamodb", REGION).create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": kind} for each, kind in types.items()],
        KeySchema=key_schema(key),
        **indexes,
    )
    if ttl:
        set_ttl(ttl, name)


def set_ttl(attribute: str, table: str = "reviews", *, enabled: bool = True) -> None:
    """Switch time to live on or off."""
    boto3.client("dynamodb", REGION).update_time_to_live(
        TableName=table, TimeToLiveSpecification={"AttributeName": attribute, "Enabled": enabled}
    )


def key_schema(key: Sequence[tuple[str, str]]) -> "list[KeySchemaElementTypeDef]":
    """The partition key and the sort key, as CreateTable takes them."""
    return [{"AttributeName": name, "KeyType": "RANGE" if number else "HASH"} for number, (name, _) in enumerate(key)]


_OF_EACH_ATTEMPT = {"touchedAt", "expiresAt", "version"}
"""What changes in the table's lock whenever its holder begins."""


def kept() -> dict[str, Any]:
    """All that the bucket and the ledger have of a load."""
    s3 = boto3.client("s3", REGION)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    files: dict[str, Any] = {key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    rows = dynamodb_backends[ACCOUNT][REGION].get_table("ledger").all_items()
    return files | {
        f"{row.attrs['loadId'].value} {row.attrs['entry'].value}": {
            name: each.to_json() for name, each in row.attrs.items() if name not in _OF_EACH_ATTEMPT
        }
        for row in rows
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An account with the data bucket, and the functions' environment."""
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    for app in (prepare_load.app, redshift_unload.app, redshift_unload_s3_list.app, step_function_callback.app):
        app._settings.cache_clear()
    aws_clients._client.cache_clear()
    monkeypatch.setattr(metrics.provider, "namespace", "test")
    pytest_socket.disable_socket(allow_unix_socket=True)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        boto3.client("s3", REGION).create_bucket(Bucket=BUCKET)
        boto3.client("dynamodb", REGION).create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each in ("loadId", "entry")],
            KeySchema=key_schema([("loadId", "S"), ("entry", "S")]),
        )
        yield
    pytest_socket.enable_socket()


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the functions log."""
    logs = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", logs)
    return logs


@pytest.fixture
def target(aws: None) -> None:
    """The target table that the environment names."""
    make_target()


@pytest.fixture
def task(aws: None, logs: io.StringIO) -> WaitingTask:
    """A state machine whose task waits, the token table, and a record of what Redshift is given."""
    waiting_task.make()
    calls: list[dict[str, Any]] = []
    aws_clients.client("redshift-data").meta.events.register(
        "provide-client-params.redshift-data.ExecuteStatement", lambda params, **_: calls.append(params)
    )
    failures: list[dict[str, Any]] = []
    aws_clients.client("stepfunctions").meta.events.register(
        "provide-client-params.stepfunctions.SendTaskFailure", lambda params, **_: failures.append(params)
    )
    return WaitingTask(calls, failures, logs)
