"""The stack under test: its resources, and the executions of its state machines."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from local import executions
from unload.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from boto3 import Session

    from local.executions import Execution

# A cold workgroup takes minutes to wake up.
EXECUTION_SECONDS = 900


class NoSuchStackError(Exception):
    """The account and region have no stack of this name that has this application's outputs."""


@dataclass(frozen=True)
class Unloaded:
    """What an UNLOAD left under `location`: sizes by key, the manifest's own key included, and the manifest's words."""

    location: str
    sizes: dict[str, int]
    manifest: bytes | None
    files: dict[str, pa.Table] = field(repr=False)

    def read_manifest(self) -> Manifest:
        """The manifest as a load reads it. Raises InvalidManifest and ManifestMismatch."""
        return read_manifest(self.manifest or b"", self.location)

    @property
    def schema(self) -> Any:
        """What a manifest that can be read says of the columns."""
        return json.loads(self.manifest or b"{}").get("schema")

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each file."""
        return {key: table.num_rows for key, table in self.files.items()}


class Stack:
    """A deployed stack, by name, with the credentials and the region of a boto3 session."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        stacks = self.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0].get("Outputs", [])}
        if "StoredProcedureStateMachineArn" not in self.outputs:
            raise NoSuchStackError(f"{name} is no stack of this application: it has the outputs {sorted(self.outputs)}")

    def client(self, service: str, region: str | None = None) -> Any:
        """Return a client, of the session's region unless another is given."""
        return self._session.client(service, region)  # type: ignore[call-overload]

    @property
    def imitation(self) -> str | None:
        """The endpoint, if it is not AWS's own."""
        endpoint: str = self.client("stepfunctions").meta.endpoint_url
        return None if ".amazonaws.com" in endpoint else endpoint

    @cached_property
    def physical_ids(self) -> dict[str, str]:
        """The names of the stack's resources by those in the template."""
        pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self._name)
        return {
            resource["LogicalResourceId"]: resource["PhysicalResourceId"]
            for page in pages
            for resource in page["StackResourceSummaries"]
        }

    @cached_property
    def login(self) -> dict[str, str]:
        """The environment of the function that submits procedures: what it logs in to Redshift with."""
        function = self.physical_ids["RedshiftRunSpsFunction"]
        variables: dict[str, str] = self.client("lambda").get_function_configuration(FunctionName=function)[
            "Environment"
        ]["Variables"]
        return variables

    def call(self, payload: Any) -> Execution:
        """Run the stored-procedure machine to its end. Raises ExecutionDidNotEndError."""
        return self._run("StoredProcedureStateMachineArn", payload)

    def load(self, payload: Any) -> Execution:
        """Run the load machine to its end. Raises ExecutionDidNotEndError."""
        return self._run("RedshiftToDynamoStateMachineArn", payload)

    def start_call(self, payload: Any) -> str:
        """Start the stored-procedure machine; return the execution's ARN."""
        return executions.start(self.client("stepfunctions"), self.outputs["StoredProcedureStateMachineArn"], payload)

    def wait(self, execution_arn: str) -> Execution:
        """Wait for the end of an execution. Raises ExecutionDidNotEndError."""
        return executions.wait(self.client("stepfunctions"), execution_arn, timeout_seconds=EXECUTION_SECONDS)

    def wait_for_statement(self, execution_arn: str) -> None:
        """Wait until an execution's statement has an id, or the execution has ended, or EXECUTION_SECONDS."""
        deadline = time.monotonic() + EXECUTION_SECONDS
        while not any("statementId" in row for row in self.token_rows(execution_arn)):
            described = self.client("stepfunctions").describe_execution(executionArn=execution_arn)
            if described["status"] != "RUNNING" or time.monotonic() > deadline:
                return
            pause(executions.POLL_SECONDS)

    def ended_statements(self, execution_arn: str, seconds: float) -> list[dict[str, str]]:
        """The token table's rows of an execution, once all have ended; none if they have not after so many seconds."""
        deadline = time.monotonic() + seconds
        rows = self.token_rows(execution_arn)
        while not all("endedAt" in row for row in rows):
            if time.monotonic() > deadline:
                return []
            pause(executions.POLL_SECONDS)
            rows = self.token_rows(execution_arn)
        return rows

    def states_entered(self, execution: Execution) -> list[str]:
        """The states of an execution, in the order in which it entered them."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution.arn)
        return [
            event["stateEnteredEventDetails"]["name"]
            for page in pages
            for event in page["events"]
            if "stateEnteredEventDetails" in event
        ]

    def seconds(self, execution: Execution) -> float:
        """How long an execution took."""
        described = self.client("stepfunctions").describe_execution(executionArn=execution.arn)
        return float((described["stopDate"] - described["startDate"]).total_seconds())

    def token_rows(self, execution_arn: str) -> list[dict[str, str]]:
        """The token table's rows of an execution, without the tokens."""
        pages = (
            self.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=self.outputs["MetaTableName"],
                FilterExpression="executionArn = :arn",
                ExpressionAttributeValues={":arn": {"S": execution_arn}},
                ConsistentRead=True,
            )
        )
        return [
            {name: str(next(iter(value.values()))) for name, value in row.items() if "oken" not in name}
            for page in pages
            for row in page["Items"]
        ]

    def columns(self, **more: str) -> str:
        """The columns that the target asks of a query: its key and its time to live, then SQL expressions by name."""
        dynamodb, table = self.client("dynamodb"), self.outputs["TargetTableName"]
        described = dynamodb.describe_table(TableName=table)["Table"]
        types = {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]}
        expressions = {
            entry["AttributeName"]: "'test-aws'" if types[entry["AttributeName"]] == "S" else "1"
            for entry in described["KeySchema"]
        }
        ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"].get("AttributeName")
        if ttl:
            expressions.setdefault(ttl, "CAST(4102444800 AS BIGINT)")
        return ", ".join(f'{sql} AS "{name}"' for name, sql in (expressions | more).items())

    def unload(self, query: str, **fields: Any) -> tuple[Execution, Unloaded]:
        """Unload a query by a dry run, which writes nothing to the target; return what it left in the bucket.

        `fields` are further ones of the execution's input.
        """
        execution = self.load({"query": query, "dry_run": True} | fields)
        return execution, self._unloaded(execution)

    def _unloaded(self, execution: Execution) -> Unloaded:
        s3, bucket = self.client("s3"), self.outputs["DataBucketName"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"unload/{execution.name}-")
        sizes = {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}
        bodies = {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in sizes}
        manifests = {key: body for key, body in bodies.items() if key.endswith("/manifest")}
        files = {
            key: pq.read_table(BytesIO(body), partitioning=None)
            for key, body in bodies.items()
            if key not in manifests and body
        }
        key, manifest = next(iter(manifests.items()), (None, None))
        return Unloaded(f"s3://{bucket}/{(key or '').removesuffix('manifest')}", sizes, manifest, files)

    def _run(self, machine: str, payload: Any) -> Execution:
        return executions.run(
            self.client("stepfunctions"), self.outputs[machine], payload, timeout_seconds=EXECUTION_SECONDS
        )


def unique_name(prefix: str) -> str:
    """A name that nothing has."""
    return f"{prefix}_{uuid.uuid4().hex[:12]}"


def pause(seconds: float) -> None:
    """Wait for a service that tells nothing when it is done."""
    time.sleep(seconds)
