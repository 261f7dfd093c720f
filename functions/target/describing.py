"""The target table as the stack is configured for it, and as DynamoDB describes it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from aws_errors import named_failures
from environment import required
from errors import MissingConfiguration
from target.errors import TargetKeyMismatch, TargetTableNotFound
from target.table import (
    MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES,
    IndexKeyAttribute,
    KeyAttribute,
    KeyType,
    LocalIndex,
    TargetTable,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import LocalSecondaryIndexDescriptionTypeDef, TableDescriptionTypeDef


def configured_target(environment: Mapping[str, str]) -> TargetTable:
    """The table of TARGET_TABLE, TARGET_PARTITION_KEY, TARGET_SORT_KEY, their _TYPE variables, and TTL_ATTRIBUTE.

    The sort key and the TTL attribute are empty where the table has none. Raises MissingConfiguration.
    """
    key = [_key_attribute(environment, "TARGET_PARTITION_KEY", "TARGET_PARTITION_KEY_TYPE")]
    if environment.get("TARGET_SORT_KEY"):
        key.append(_key_attribute(environment, "TARGET_SORT_KEY", "TARGET_SORT_KEY_TYPE"))
    return TargetTable(required(environment, "TARGET_TABLE"), tuple(key), environment.get("TTL_ATTRIBUTE") or None)


def described_target(dynamodb: "DynamoDBClient", configured: TargetTable) -> TargetTable:
    """The configured table with what only DynamoDB knows of it: its secondary indexes.

    DynamoDB refuses a whole request for one item whose value doesn't fit an index. An attribute of several indexes has
    the narrowest of their limits. Raises TargetTableNotFound, TargetKeyMismatch, AwsUnavailable and AwsRefused.
    """
    table = _description(dynamodb, configured.name)
    types: dict[str, KeyType] = {
        attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]
    }
    schema = sorted(table["KeySchema"], key=lambda part: part["KeyType"])  # HASH, then RANGE
    key = tuple(KeyAttribute(part["AttributeName"], types[part["AttributeName"]]) for part in schema)
    if key != configured.key:
        raise TargetKeyMismatch(
            f"table {configured.name} has the key {_worded(key)}, the stack is configured for "
            f"{_worded(configured.key)}: correct the stack's key parameters, or name another table."
        )
    limits: dict[str, int] = {}
    for index in (*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())):
        for part in index["KeySchema"]:
            limit = MAX_PARTITION_KEY_BYTES if part["KeyType"] == "HASH" else MAX_SORT_KEY_BYTES
            limits[part["AttributeName"]] = min(limit, limits.get(part["AttributeName"], limit))
    index_keys = tuple(IndexKeyAttribute(name, types[name], limit) for name, limit in limits.items())
    local_indexes = tuple(_local_index(index) for index in table.get("LocalSecondaryIndexes", ()))
    return replace(configured, index_keys=index_keys, local_indexes=local_indexes)


def _key_attribute(environment: Mapping[str, str], name_variable: str, type_variable: str) -> KeyAttribute:
    text = required(environment, type_variable)
    # No B: UNLOAD writes no binary values to Parquet.
    if text not in ("S", "N"):
        raise MissingConfiguration(f"environment variable {type_variable} is {text!r}: set it to S or N.")
    return KeyAttribute(required(environment, name_variable), cast("KeyType", text))


def _description(dynamodb: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef":
    with named_failures():
        try:
            return dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException as error:
            raise TargetTableNotFound(
                f"table {name} does not exist: create it, or correct the stack's DynamodbTargetTable."
            ) from error


def _local_index(index: "LocalSecondaryIndexDescriptionTypeDef") -> LocalIndex:
    (sort_key,) = (part["AttributeName"] for part in index["KeySchema"] if part["KeyType"] == "RANGE")
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return LocalIndex(sort_key, None)
    return LocalIndex(sort_key, tuple(projection.get("NonKeyAttributes", ())))


def _worded(key: Iterable[KeyAttribute]) -> str:
    return ", ".join(f"{attribute.name} ({attribute.type})" for attribute in key)
