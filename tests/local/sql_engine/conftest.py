"""One embedded PostgreSQL and one emulated S3 for this folder; each test has an empty schema and a bucket."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.redshift.execution import StatementResult, run
from local.redshift.sql.engine import Engine
from local.redshift.transfer.storage import Storage
from tests.moto_over_http import moto_over_http

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    from mypy_boto3_s3.client import S3Client


class Sql:
    """Runs statements as the superuser, each in its own transaction."""

    def __init__(self, connection: psycopg.Connection[Any], storage: Storage) -> None:
        self.connection = connection
        self.storage = storage

    def run(self, statement: str, **parameters: str) -> StatementResult:
        return run(self.connection, statement, parameters, self.storage)

    def rows(self, statement: str, **parameters: str) -> list[tuple[Any, ...]]:
        return self.run(statement, **parameters).records

    def value(self, expression: str, **parameters: str) -> Any:
        ((value,),) = self.rows(f"SELECT {expression}", **parameters)
        return value


class Bucket:
    """The objects of one bucket."""

    def __init__(self, s3: S3Client, name: str) -> None:
        self.s3 = s3
        self.name = name

    def keys(self, prefix: str = "") -> list[str]:
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=self.name, Prefix=prefix).get("Contents", [])]

    def read(self, key: str) -> bytes:
        return self.s3.get_object(Bucket=self.name, Key=key)["Body"].read()

    def put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.name, Key=key, Body=body)

    def put_parquet(self, key: str, table: pa.Table) -> None:
        file = io.BytesIO()
        pq.write_table(table, file)
        self.put(key, file.getvalue())

    def text(self, prefix: str = "") -> str:
        return "".join(self.read(key).decode() for key in self.keys(prefix) if not key.endswith("manifest"))

    def parquet(self, key: str) -> pa.Table:
        return pq.read_table(io.BytesIO(self.read(key)))

    def rows(self, prefix: str = "") -> list[dict[str, Any]]:
        """The rows of all Parquet files under a prefix, in the order of their keys."""
        keys = [key for key in self.keys(prefix) if key.endswith(".parquet")]
        return [row for key in keys for row in self.parquet(key).to_pylist()]

    def manifest(self, prefix: str = "") -> Any:
        return json.loads(self.read(f"{prefix}manifest"))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    directory = Path(tempfile.mkdtemp(prefix="sql-engine-"))
    engine = Engine(directory / "data")
    engine.start()
    try:
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def aws() -> Iterator[str]:
    """The endpoint of an emulated S3, STS and IAM."""
    with moto_over_http() as url:
        yield url


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    return boto3.Session("test", "test", region_name="us-east-1")


@pytest.fixture(scope="session")
def role(aws: str, session: boto3.Session) -> str:
    """The ARN of a role that exists; it is the cluster's default, too."""
    iam = session.client("iam", endpoint_url=aws)
    return iam.create_role(RoleName="RedshiftRole", AssumeRolePolicyDocument="{}")["Role"]["Arn"]


@pytest.fixture(scope="session")
def storage(aws: str, session: boto3.Session, role: str) -> Storage:
    return Storage(session, aws, role)


@pytest.fixture
def sql(engine: Engine, storage: Storage) -> Iterator[Sql]:
    with engine.connect("dev", "awsuser") as connection:
        connection.autocommit = True
        try:
            yield Sql(connection, storage)
        finally:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")


@pytest.fixture
def bucket(aws: str, session: boto3.Session, request: pytest.FixtureRequest) -> Bucket:
    s3 = session.client("s3", endpoint_url=aws)
    name = f"bucket-{abs(hash(request.node.nodeid)):x}"
    s3.create_bucket(Bucket=name)
    return Bucket(s3, name)
