"""The one place where boto3 clients are made."""

from functools import cache
from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

# The default retry mode differs between botocore releases (legacy before 1.44, standard from there on), so it is named.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5},
    connect_timeout=5,
    read_timeout=30,
    tcp_keepalive=True,
)


@overload
def client(service: Literal["dynamodb"], region: str | None = None) -> "DynamoDBClient": ...
@overload
def client(service: Literal["redshift-data"], region: str | None = None) -> "RedshiftDataAPIServiceClient": ...
@overload
def client(service: Literal["s3"], region: str | None = None) -> "S3Client": ...
@overload
def client(service: Literal["stepfunctions"], region: str | None = None) -> "SFNClient": ...
def client(service: str, region: str | None = None) -> Any:
    """The client of an AWS service, made once per execution environment.

    `region` is for a service that may live elsewhere than the stack; None is the stack's region.
    """
    return _client(service, region)


@cache
def _client(service: str, region: str | None) -> Any:
    return boto3.client(service, region_name=region, config=_CONFIG)  # type: ignore[call-overload]
