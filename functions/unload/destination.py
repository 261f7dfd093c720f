"""What must exist before UNLOAD starts: the data bucket, and the target table with the configured key."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from dynamo_load.mapping import KeyAttribute
from dynamo_load.target import Target
from unload.errors import (
    BucketNotFound,
    BucketRefused,
    TargetKeyMismatch,
    TargetTableNotFound,
)
from unload.storage import passing_failures_named

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


def bucket_uses_kms(s3: "S3Client", bucket: str) -> bool:
    """Whether the bucket encrypts with KMS by default; raises BucketNotFound and BucketRefused."""
    try:
        with passing_failures_named():
            answer = s3.get_bucket_encryption(Bucket=bucket)
    except ClientError as error:
        match error.response["Error"]["Code"]:
            case "NoSuchBucket" | "404":
                raise BucketNotFound(
                    f"bucket {bucket} does not exist: correct the stack's DataS3Bucket, or leave it empty."
                ) from error
            case "AccessDenied" | "403":
                raise BucketRefused(
                    f"bucket {bucket} may not be looked at (s3:GetEncryptionConfiguration): is it another account's?"
                ) from error
            case "ServerSideEncryptionConfigurationNotFoundError":
                return False
        raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return any(default.get("SSEAlgorithm", "").startswith("aws:kms") for default in defaults)


def check_target(dynamodb: "DynamoDBClient", target: Target) -> None:
    """Raise TargetTableNotFound or TargetKeyMismatch unless the table exists with the configured key."""
    try:
        with passing_failures_named():
            table = dynamodb.describe_table(TableName=target.table)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException as error:
        raise TargetTableNotFound(
            f"table {target.table} does not exist: create it, or correct the stack's DynamodbTargetTable."
        ) from error
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    schema = sorted(table["KeySchema"], key=lambda part: part["KeyType"])  # HASH, then RANGE
    found = tuple(KeyAttribute(part["AttributeName"], types[part["AttributeName"]]) for part in schema)
    if found != target.mapping.key:
        raise TargetKeyMismatch(
            f"table {target.table} has the key {_described(found)}, the stack is configured for "
            f"{_described(target.mapping.key)}: correct the stack's key parameters, or name another table."
        )


def _described(key: Iterable[KeyAttribute]) -> str:
    return ", ".join(f"{attribute.name} ({attribute.type})" for attribute in key)
