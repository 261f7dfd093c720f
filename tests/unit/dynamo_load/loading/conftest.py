"""A bucket, a ledger and a target table for each test, on a local S3 and DynamoDB that answer over HTTP."""

from __future__ import annotations

import io
import itertools
import json
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dynamo_load.encoding import ItemMapping, KeyAttribute
from dynamo_load.ledger import PieceLedger, Tally
from dynamo_load.loading import PieceLoader
from dynamo_load.reading import Piece
from dynamo_load.rejects import RejectedRows
from dynamo_load.transport import BatchTransport
from local.dynamodb_sink import DynamoDbSink
from moto.server import ThreadedMotoServer

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

FOREVER: Callable[[], float] = lambda: 60.0  # noqa: E731


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The URL of a local AWS."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@dataclass
class Stage:
    """Everything a loader meets, and a few ways to look at it afterwards."""

    s3: S3Client
    dynamodb: DynamoDBClient
    endpoint: str
    name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:12]}")
    mapping: ItemMapping = field(default_factory=lambda: ItemMapping(KeyAttribute("id", "S")))

    @property
    def bucket(self) -> str:
        return self.name

    @property
    def ledger_table(self) -> str:
        return f"{self.name}-ledger"

    def create(self) -> None:
        self.s3.create_bucket(Bucket=self.bucket)
        self.create_table(self.ledger_table, "loadId", "entry")
        self.create_table(self.name, "id")

    def create_table(self, name: str, *keys: str) -> None:
        self.dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
            KeySchema=[
                {"AttributeName": key, "KeyType": kind}
                for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)  # type: ignore[typeddict-item]
            ],
        )

    def put_file(self, rows: pa.Table, key: str, row_group_rows: int = 1_000_000) -> dict[str, Any]:
        """Store a Parquet file, and return the slice that is all of it."""
        file = io.BytesIO()
        pq.write_table(rows, file, row_group_size=row_group_rows, version="1.0")
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=file.getvalue())
        return {"key": key, "row_groups": None, "rows": len(rows)}

    def piece(self, *slices: dict[str, Any], name: str = "00000") -> Piece:
        item = {"piece": name, "rows": sum(part["rows"] for part in slices), "slices": slices}
        return Piece.from_json(json.loads(json.dumps(item)))

    def piece_of(self, rows: pa.Table, row_group_rows: int = 1_000_000) -> Piece:
        return self.piece(self.put_file(rows, "unload/0000_part_00.parquet", row_group_rows))

    def ledger(self, piece: Piece) -> PieceLedger:
        return PieceLedger(self.dynamodb, self.ledger_table, self.name, piece.name, piece.rows)

    def load(
        self,
        piece: Piece,
        *,
        deadline: Callable[[], float] = FOREVER,
        sink: DynamoDbSink | None = None,
        in_flight: int = 4,
        rejects_allowed: int = 1_000_000,
    ) -> Tally:
        """Load a piece as the function does, into the target table or into a sink."""
        session = botocore.session.get_session()
        endpoint = sink.endpoint_url if sink else self.endpoint
        session.get_component("config_store").set_config_variable("endpoint_url", endpoint)
        if sink:
            session.set_config_variable("ca_bundle", sink.ca_bundle)
        return PieceLoader(
            s3=self.s3,
            bucket=self.bucket,
            mapping=self.mapping,
            ledger=self.ledger(piece),
            rejects=RejectedRows(self.s3, self.bucket, self.name, piece.name),
            rejects_allowed=rejects_allowed,
            transport=BatchTransport(
                table=self.name, session=session, max_in_flight=in_flight, budget=None, deadline=deadline
            ),
            deadline=deadline,
        ).load(piece)

    def items(self) -> dict[str, dict[str, Any]]:
        """What the target table holds, by the text of the key."""
        found = boto3.resource("dynamodb", endpoint_url=self.endpoint).Table(self.name)
        pages = found.meta.client.get_paginator("scan").paginate(TableName=self.name)
        return {item["id"]: item for page in pages for item in page["Items"]}

    def rejects(self) -> list[dict[str, Any]]:
        """The rejected rows of the load, file after file."""
        listed = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="rejects/").get("Contents", [])
        bodies = [self.s3.get_object(Bucket=self.bucket, Key=found["Key"])["Body"].read() for found in listed]
        return [json.loads(line) for body in bodies for line in body.decode().splitlines()]


@pytest.fixture
def stage(aws: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A bucket, a ledger and a target table with the key `id`."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    stage = Stage(boto3.client("s3", endpoint_url=aws), boto3.client("dynamodb", endpoint_url=aws), endpoint=aws)
    stage.create()
    return stage


def numbered(rows: int, first: int = 0) -> pa.Table:
    """Rows with the keys `row-<number>`."""
    numbers = range(first, first + rows)
    return pa.table({"id": [f"row-{number}" for number in numbers], "number": pa.array(numbers, pa.int64())})


def with_keys(keys: Sequence[str | None]) -> pa.Table:
    """Rows with these keys, each with its place among them."""
    return pa.table({"id": pa.array(keys, pa.string()), "number": pa.array(range(len(keys)), pa.int64())})


def expires_after(looks: int) -> Callable[[], float]:
    """A deadline that is passed once it was looked at so often."""
    left = itertools.chain(itertools.repeat(60.0, looks), itertools.repeat(0.0))
    return lambda: next(left)
