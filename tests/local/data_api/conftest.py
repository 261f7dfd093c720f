"""One local AWS for this folder, and callers of every kind; each answer is held against the API's model."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from local.stack import LocalAws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient

ACCOUNT = "000000000000"
AS_SUPERUSER: dict[str, Any] = {"ClusterIdentifier": "local-redshift", "Database": "dev", "DbUser": "awsuser"}
_JSON_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "double": float,
    "timestamp": (int, float),
}


class Redshift:
    """What tests ask of the Data API as one caller."""

    def __init__(self, client: RedshiftDataAPIServiceClient) -> None:
        self.client = client

    def run(self, sql: str, **members: Any) -> dict[str, Any]:
        """Run a statement to its end; return its description."""
        return self.end_of(self.client.execute_statement(Sql=sql, **{**AS_SUPERUSER, **members})["Id"])

    def run_batch(self, *sqls: str, **members: Any) -> dict[str, Any]:
        """Run a batch to its end; return its description."""
        return self.end_of(self.client.batch_execute_statement(Sqls=list(sqls), **{**AS_SUPERUSER, **members})["Id"])

    def end_of(self, statement_id: str) -> dict[str, Any]:
        """Wait for the end of a statement; return its description."""
        described = self.client.describe_statement(Id=statement_id, WaitTimeSeconds=30)
        assert described["Status"] in {"FINISHED", "FAILED", "ABORTED"}, f"still {described['Status']} after 30 s"
        return dict(described)

    def rows(self, sql: str, **members: Any) -> list[list[Any]]:
        """Run a query that must succeed; return the values of its first page of rows."""
        described = self.run(sql, **members)
        assert described["Status"] == "FINISHED", described.get("Error")
        records = self.client.get_statement_result(Id=described["Id"])["Records"]
        return [[None if "isNull" in field else next(iter(field.values())) for field in record] for record in records]

    def wait_until_started(self, statement_id: str) -> None:
        """Wait until a statement has left the queue."""
        for _ in range(3000):
            if self.client.describe_statement(Id=statement_id)["Status"] not in {"SUBMITTED", "PICKED"}:
                return
        pytest.fail("the statement was not started")


class Callers:
    """Makes callers with policies of their own."""

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._roles = 0

    def role(self, *statements: dict[str, Any]) -> str:
        """Create a role with the given policy statements; return its name."""
        self._roles += 1
        name = f"caller-{self._roles}"
        iam = self._aws.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        )
        if statements:
            policy = {"Version": "2012-10-17", "Statement": list(statements)}
            iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
        return name

    def session(self, role: str, session_name: str = "session") -> Redshift:
        """A caller that has assumed a role."""
        credentials = self._aws.client("sts").assume_role(
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName=session_name
        )["Credentials"]
        return self._caller(credentials["AccessKeyId"], credentials["SecretAccessKey"], credentials["SessionToken"])

    def allowed(self, *statements: dict[str, Any]) -> Redshift:
        """A caller whose role has the given policy statements."""
        return self.session(self.role(*statements))

    def root(self) -> Redshift:
        """The account's root user."""
        environment = self._aws.environment
        return self._caller(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], None)

    def _caller(self, key: str, secret: str, token: str | None, region: str = "us-east-1") -> Redshift:
        client = boto3.client(
            "redshift-data",
            endpoint_url=self._aws.endpoint_url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20),
        )
        client.meta.events.register("after-call.redshift-data", _check_answer)
        return Redshift(client)


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    """The local AWS."""
    with LocalAws() as running:
        yield running


@pytest.fixture(scope="session")
def callers(aws: LocalAws) -> Callers:
    """Callers of the Data API."""
    return Callers(aws)


@pytest.fixture(scope="session")
def redshift(callers: Callers) -> Redshift:
    """The Data API as a caller with every permission sees it."""
    return callers.allowed({"Effect": "Allow", "Action": "*", "Resource": "*"})


def _check_answer(http_response: Any, model: OperationModel, **_: Any) -> None:
    """Hold a successful answer, as it was on the wire, against the output shape of the API's service model."""
    if http_response.status_code == 200:
        _check_shape(json.loads(http_response.content), model.output_shape, model.name)


def _check_shape(value: Any, shape: Any, where: str) -> None:
    if shape.type_name == "structure":
        assert isinstance(value, dict), where
        assert set(shape.required_members) <= set(value), f"{where} lacks a required member"
        for member, item in value.items():
            assert member in shape.members, f"{where} has no member {member}"
            _check_shape(item, shape.members[member], f"{where}.{member}")
    elif shape.type_name == "list":
        assert isinstance(value, list), where
        for item in value:
            _check_shape(item, shape.member, where)
    else:
        assert isinstance(value, _JSON_TYPES[shape.type_name]), f"{where} is {type(value).__name__}"
        assert value in shape.enum if getattr(shape, "enum", None) else True, f"{where} is {value}"
