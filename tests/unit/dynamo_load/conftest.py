"""A bucket, a ledger and a target table for each test, on a local S3 and DynamoDB that answer over HTTP."""

from __future__ import annotations

import io
import itertools
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from boto3.dynamodb.types import TypeDeserializer

import aws_clients
from dynamo_load.accounting.ledger import PieceLedger, Tally
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.loading import PieceLoader
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import Piece
from dynamo_load.sampling import ItemSample
from dynamo_load.writing.transport import DRAIN_SECONDS, BatchTransport
from locks.table import TableLock
from target.describing import ConfiguredTarget, requested_target
from target.table import KeyAttribute, TargetTable
from tests.moto_over_http import moto_over_http

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from local.dynamodb_sink import DynamoDbSink

NO_DEADLINE = 60.0
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:load:monday"


@dataclass(frozen=True)
class LocalAws:
    """The clients of a local AWS, which is at `endpoint_url`."""

    endpoint_url: str
    s3: S3Client
    dynamodb: DynamoDBClient
    session: botocore.session.Session


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """S3 and DynamoDB over HTTP."""
    with moto_over_http() as url:
        session = session_for(url)
        clients = boto3.Session(botocore_session=session)
        yield LocalAws(url, clients.client("s3"), clients.client("dynamodb"), session)


def session_for(endpoint_url: str, ca_bundle: str | None = None) -> botocore.session.Session:
    """A session whose every service is at this endpoint."""
    session = botocore.session.Session()
    session.set_credentials("test", "test")
    session.set_config_variable("region", "us-east-1")
    session.set_config_variable("ca_bundle", ca_bundle)
    session.get_component("config_store").set_config_variable("endpoint_url", endpoint_url)
    return session


@dataclass
class Stage:
    """Everything a loader meets, and a few ways to look at it afterwards."""

    aws: LocalAws
    name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:12]}")
    key: tuple[KeyAttribute, ...] = (KeyAttribute("id", "S"),)
    bucket_for_rejects: str | None = None
    ttl_attribute: str | None = None

    @property
    def bucket(self) -> str:
        return self.name

    @property
    def ledger_table(self) -> str:
        return f"{self.name}-ledger"

    @property
    def made(self) -> str:
        """When the target table was made, as a plan says it."""
        return requested_target(self.aws.dynamodb, None, ConfiguredTarget(self.name), []).made

    def create(self) -> None:
        self.aws.s3.create_bucket(Bucket=self.bucket)
        ledger_key = KeyAttribute("loadId", "S"), KeyAttribute("entry", "S")
        for table, keys in ((self.ledger_table, ledger_key), (self.name, self.key)):
            self.aws.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key.name, "AttributeType": key.type} for key in keys],
                KeySchema=[
                    {"AttributeName": key.name, "KeyType": "RANGE" if position else "HASH"}
                    for position, key in enumerate(keys)
                ],
            )

    def put_file(self, rows: pa.Table, key: str, row_group_rows: int = 1_000_000, **written: Any) -> dict[str, Any]:
        """Store a Parquet file, and return the slice that is all of it."""
        file = io.BytesIO()
        pq.write_table(rows, file, row_group_size=row_group_rows, version="1.0", write_batch_size=100, **written)
        self.aws.s3.put_object(Bucket=self.bucket, Key=key, Body=file.getvalue())
        return {"key": key, "row_groups": None, "rows": len(rows)}

    def piece(self, *slices: dict[str, Any], name: str = "00000") -> Piece:
        item = {"name": name, "rows": sum(part["rows"] for part in slices), "slices": slices, "bucket": None}
        return Piece.from_json(json.loads(json.dumps(item)))

    def piece_of(self, rows: pa.Table, row_group_rows: int = 1_000_000) -> Piece:
        return self.piece(self.put_file(rows, "unload/0000_part_00.parquet", row_group_rows))

    def load(
        self,
        piece: Piece,
        *,
        deadline: Callable[[], float] = lambda: NO_DEADLINE,
        sink: DynamoDbSink | None = None,
        rejects_allowed: int = 1_000_000,
        busy_until: float = 0.0,
        sample: int = 0,
        lock: TableLock | None = None,
        transport: Any = None,
        super_columns: tuple[str, ...] = (),
    ) -> Tally:
        """Load a piece as the function does, into the target table, into a sink or through another transport."""
        session = session_for(sink.endpoint_url, sink.ca_bundle) if sink else self.aws.session
        target = TargetTable(self.name, self.key, self.ttl_attribute)
        return PieceLoader(
            s3=self.aws.s3,
            bucket=self.bucket,
            mapping=ItemMapping(target, super_columns),
            sample=ItemSample(self.aws.dynamodb, target, piece.rows, sample) if sample else None,
            ledger=PieceLedger(
                self.aws.dynamodb, self.ledger_table, self.name, piece.name, piece.rows, busy_until=busy_until
            ),
            lock=lock or TableLock(self.aws.dynamodb, self.ledger_table, self.name, EXECUTION),
            rejects=RejectedRows(self.aws.s3, self.bucket_for_rejects or self.bucket, self.name, piece.name),
            rejects_allowed=rejects_allowed,
            transport=transport
            or BatchTransport(table=self.name, session=session, max_in_flight=4, budget=None, seconds_left=deadline),
            seconds_left=deadline,
        ).load(piece)

    def items(self) -> dict[str, dict[str, Any]]:
        """What the target table holds, by the text of the key."""
        read = TypeDeserializer().deserialize
        pages = self.aws.dynamodb.get_paginator("scan").paginate(TableName=self.name)
        items = [{name: read(value) for name, value in item.items()} for page in pages for item in page["Items"]]
        return {item["id"]: item for item in items}

    def rejects(self) -> list[dict[str, Any]]:
        """The rejected rows of the load, file after file."""
        listed = self.aws.s3.list_objects_v2(Bucket=self.bucket, Prefix="rejects/").get("Contents", [])
        bodies = [self.aws.s3.get_object(Bucket=self.bucket, Key=found["Key"])["Body"].read() for found in listed]
        return [json.loads(line) for body in bodies for line in body.decode().splitlines()]


@pytest.fixture
def stage(local_aws: LocalAws) -> Stage:
    """A bucket, a ledger and a target table with the key `id`."""
    stage = Stage(local_aws)
    stage.create()
    return stage


def numbered(rows: int, first: int = 0) -> pa.Table:
    """Rows with the keys `row-<number>`."""
    numbers = range(first, first + rows)
    return pa.table({"id": [f"row-{number}" for number in numbers], "number": pa.array(numbers, pa.int64())})


def with_keys(keys: Sequence[str | None]) -> pa.Table:
    """Rows with these keys, each with its place among them."""
    return pa.table({"id": pa.array(keys, pa.string()), "number": pa.array(range(len(keys)), pa.int64())})


def not_utf8(value: bytes) -> pa.Array:
    """One text of these bytes."""
    return pa.array([value], pa.binary()).view(pa.string())


def passes_after(looks: int) -> Callable[[], float]:
    """A deadline that is there once it was looked at so often."""
    left = itertools.chain(itertools.repeat(NO_DEADLINE, looks), itertools.repeat(0.0))
    return lambda: next(left)


def near_when(enough: Callable[[], bool]) -> Callable[[], float]:
    """A deadline that comes near once enough is done: what is under way can be finished."""
    return lambda: DRAIN_SECONDS / 2 if enough() else NO_DEADLINE


def near_after(looks: int) -> Callable[[], float]:
    """A deadline that comes near after so many looks."""
    left = itertools.count(looks, -1)
    return near_when(lambda: next(left) <= 0)


def set_environment(monkeypatch: pytest.MonkeyPatch, stage: Stage, **more: str) -> None:
    """Let functions that run in this process find the stage's services and ledger, and `more` variables."""
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": stage.aws.endpoint_url,
        "POWERTOOLS_SERVICE_NAME": "test",
        "LEDGER_TABLE": stage.ledger_table,
    }
    for variable, value in (environment | more).items():
        monkeypatch.setenv(variable, value)
    aws_clients._client.cache_clear()


@pytest.fixture
def read_as_dictionaries(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The columns that were read as dictionaries since the test began."""
    columns: set[str] = set()
    opening = pq.ParquetFile

    def noted(source: pa.PythonFile, **options: Any) -> pq.ParquetFile:
        columns.update(options["read_dictionary"])
        return opening(source, **options)

    monkeypatch.setattr(pq, "ParquetFile", noted)
    return columns
