"""A deployed stack, found by its name: its outputs, its parameters, and clients of the services that it lives in."""

from __future__ import annotations

import tomllib
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from botocore.config import Config
from botocore.exceptions import ClientError

from aws_errors import named_failures
from scripts.pipelines.failures import NoSuchStack

if TYPE_CHECKING:
    from collections.abc import Mapping

    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

SAMCONFIG = Path(__file__).resolve().parents[2] / "samconfig.toml"
_CONFIG = Config(retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=30)


def configured(setting: Literal["stack_name", "region"], samconfig: Path = SAMCONFIG) -> str | None:
    """What `sam deploy` goes by, as samconfig.toml has it for the environment `default`; None if it doesn't say."""
    if not samconfig.is_file():
        return None
    environment = tomllib.loads(samconfig.read_text(encoding="utf-8")).get("default", {})
    for section in ("deploy", "global"):
        if value := environment.get(section, {}).get("parameters", {}).get(setting):
            return str(value)
    return None


class Stack:
    """The stack `name`, with the credentials and the region of a boto3 session.

    Raises NoSuchStack, AwsRefused and AwsUnavailable when it is first asked for what it has.
    """

    def __init__(self, session: boto3.Session, name: str) -> None:
        self._session, self.name = session, name
        self._clients: dict[tuple[str, str | None], Any] = {}

    @overload
    def client(self, service: Literal["cloudformation"], region: str | None = None) -> CloudFormationClient: ...
    @overload
    def client(self, service: Literal["dynamodb"], region: str | None = None) -> DynamoDBClient: ...
    @overload
    def client(self, service: Literal["redshift-data"], region: str | None = None) -> RedshiftDataAPIServiceClient: ...
    @overload
    def client(self, service: Literal["s3"], region: str | None = None) -> S3Client: ...
    @overload
    def client(self, service: Literal["stepfunctions"], region: str | None = None) -> SFNClient: ...
    @overload
    def client(self, service: str, region: str | None = None) -> Any: ...
    def client(self, service: str, region: str | None = None) -> Any:
        """The client of a service, made once; of the session's region unless another is given."""
        if (service, region) not in self._clients:
            self._clients[service, region] = self._session.client(  # type: ignore[call-overload]
                service, region_name=region, config=_CONFIG
            )
        return self._clients[service, region]

    @property
    def region(self) -> str:
        """The region in which the stack is looked for."""
        return str(self.client("stepfunctions").meta.region_name)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs by name."""
        return {output["OutputKey"]: output["OutputValue"] for output in self._described["Outputs"]}

    @property
    def parameters(self) -> Mapping[str, str]:
        """The stack's parameters by name, as they are set."""
        return {given["ParameterKey"]: given["ParameterValue"] for given in self._described.get("Parameters", [])}

    @property
    def status(self) -> str:
        """CloudFormation's own, such as UPDATE_COMPLETE."""
        return str(self._described["StackStatus"])

    @cached_property
    def physical_ids(self) -> Mapping[str, str]:
        """The names of the stack's resources by those in the template."""
        with named_failures():
            pages = self.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
            return {
                resource["LogicalResourceId"]: resource.get("PhysicalResourceId", "")
                for page in pages
                for resource in page["StackResourceSummaries"]
            }

    @cached_property
    def _described(self) -> Any:
        with named_failures():
            try:
                (stack,) = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
            except ClientError as error:
                if "does not exist" not in error.response["Error"].get("Message", ""):
                    raise
                raise NoSuchStack(
                    f"There is no stack {self.name} in {self.region}. Name yours with --stack, its region with "
                    "--region, and see that your credentials are those of its account (AWS_PROFILE)."
                ) from error
        names = {output["OutputKey"] for output in stack.get("Outputs", [])}
        if "RedshiftToDynamoStateMachineArn" not in names:
            raise NoSuchStack(
                f"The stack {self.name} ({stack['StackStatus']}) lacks the outputs of this application: name another "
                "one with --stack, or deploy it first."
            )
        return stack
