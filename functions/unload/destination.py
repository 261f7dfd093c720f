"""What must exist before UNLOAD starts: the data bucket, and the target table with the configured key."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_errors import named_failures
from dynamo_load.mapping import (
    MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES,
    IndexKeyAttribute,
    KeyAttribute,
    KeyType,
)
from dynamo_load.target import Target
from unload.errors import (
    BucketNotFound,
    BucketRefused,
    TargetKeyMismatch,
    TargetTableNotFound,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef
    from mypy_boto3_s3 import S3Client


def bucket_uses_kms(s3: "S3Client", bucket: str) -> bool:
    """Whether the bucket encrypts with KMS by default.

    Raises BucketNotFound, BucketRefused, AwsUnavailable and AwsRefused.
    """
    with named_failures():
        try:
            answer = s3.get_bucket_encryption(Bucket=bucket)
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchBucket" | "404":
                    raise BucketNotFound(
                        f"bucket {bucket} does not exist: correct the stack's DataS3Bucket, or leave it empty."
                    ) from error
                case "AccessDenied" | "403":
                    raise BucketRefused(
                        f"bucket {bucket} may not be looked at (s3:GetEncryptionConfiguration): is it another "
                        "account's?"
                    ) from error
                case "ServerSideEncryptionConfigurationNotFoundError":
                    return False
            raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return any(default.get("SSEAlgorithm", "").startswith("aws:kms") for default in defaults)


def check_target(dynamodb: "DynamoDBClient", target: Target) -> None:
    """Raise TargetTableNotFound or TargetKeyMismatch unless the table exists with the configured key.

    Raises AwsUnavailable and AwsRefused, too.
    """
    table = _table(dynamodb, target.table)
    types = _attribute_types(table)
    schema = sorted(table["KeySchema"], key=lambda part: part["KeyType"])  # HASH, then RANGE
    found = tuple(KeyAttribute(part["AttributeName"], types[part["AttributeName"]]) for part in schema)
    if found != target.mapping.key:
        raise TargetKeyMismatch(
            f"table {target.table} has the key {_described(found)}, the stack is configured for "
            f"{_described(target.mapping.key)}: correct the stack's key parameters, or name another table."
        )


def index_keys(dynamodb: "DynamoDBClient", table_name: str) -> list[IndexKeyAttribute]:
    """The key attributes of the table's secondary indexes, each once.

    DynamoDB refuses a whole request for one item whose value doesn't fit an index. An attribute of several indexes has
    the narrowest of their limits. Raises TargetTableNotFound, AwsUnavailable and AwsRefused.
    """
    table = _table(dynamodb, table_name)
    limits: dict[str, int] = {}
    for index in (*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())):
        for part in index["KeySchema"]:
            limit = MAX_PARTITION_KEY_BYTES if part["KeyType"] == "HASH" else MAX_SORT_KEY_BYTES
            limits[part["AttributeName"]] = min(limit, limits.get(part["AttributeName"], limit))
    types = _attribute_types(table)
    return [IndexKeyAttribute(name, types[name], limit) for name, limit in limits.items()]


def _table(dynamodb: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef":
    with named_failures():
        try:
            return dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException as error:
            raise TargetTableNotFound(
                f"table {name} does not exist: create it, or correct the stack's DynamodbTargetTable."
            ) from error


def _attribute_types(table: "TableDescriptionTypeDef") -> dict[str, KeyType]:
    return {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}


def _described(key: Iterable[KeyAttribute]) -> str:
    return ", ".join(f"{attribute.name} ({attribute.type})" for attribute in key)
