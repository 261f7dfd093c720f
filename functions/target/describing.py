"""The target table as the stack is configured for it, and as DynamoDB describes it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Self

from aws_errors import named_failures
from environment import required
from target.errors import (
    TableNotLoadable,
    TargetTableNotFound,
    TargetTableReplaced,
    TargetTtlMismatch,
)
from target.table import (
    MAX_PARTITION_KEY_BYTES,
    MAX_SORT_KEY_BYTES,
    IndexKeyAttribute,
    KeyAttribute,
    KeyType,
    LocalIndex,
    TargetTable,
    WriteCapacity,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        LocalSecondaryIndexDescriptionTypeDef,
        TableDescriptionTypeDef,
        TimeToLiveDescriptionTypeDef,
    )


@dataclass(frozen=True)
class ConfiguredTarget:
    """The table that the stack loads, and the attribute by which its items are to expire, if they are.

    `unloadable` are the tables of the stack's own accounts, which nothing is ever loaded into.
    """

    name: str
    ttl_attribute: str | None = None
    unloadable: frozenset[str] = frozenset()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read TARGET_TABLE, LEDGER_TABLE and META_TABLE, and TTL_ATTRIBUTE, which may be empty.

        Raises MissingConfiguration.
        """
        return cls(
            required(environment, "TARGET_TABLE"),
            environment.get("TTL_ATTRIBUTE") or None,
            frozenset((required(environment, "LEDGER_TABLE"), required(environment, "META_TABLE"))),
        )


def loadable_tables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The names and patterns (`*` for any characters) of LOADABLE_TABLES, which may be empty."""
    return tuple(pattern for pattern in environment.get("LOADABLE_TABLES", "").split(",") if pattern)


def requested_target(
    dynamodb: "DynamoDBClient", name: str | None, configured: ConfiguredTarget, loadable: Iterable[str]
) -> TargetTable:
    """The table that is to be loaded, as DynamoDB describes it: the input's (None: the configured one).

    The configured table must have time to live by the configured attribute, if there is one. Another must be
    `loadable`. Neither may be one of the stack's accounts, whatever a pattern says.
    Raises TableNotLoadable, TargetTableNotFound, TargetTtlMismatch, AwsUnavailable and AwsRefused.
    """
    if (asked := name or configured.name) in configured.unloadable:
        raise TableNotLoadable(f"name another table: in {asked} the stack keeps its own accounts.")
    if name is None or name == configured.name:
        return _with_ttl(_described(dynamodb, configured.name), configured.ttl_attribute)
    if not any(fnmatchcase(name, pattern) for pattern in loadable):
        raise TableNotLoadable(
            f"add {name} to the stack's LoadableTables, or correct the input's target_table: this stack loads "
            f"{', '.join([configured.name, *loadable])}."
        )
    return _described(dynamodb, name)


def check_still_there(dynamodb: "DynamoDBClient", target: TargetTable) -> None:
    """Make sure that the table is the one it was. Raises TargetTableReplaced and what `requested_target` raises."""
    if _made(_description(dynamodb, target.name)) != target.made:
        raise TargetTableReplaced(
            f"load table {target.name} again: it was deleted and made anew meanwhile, so that rows are missing."
        )


def _with_ttl(table: TargetTable, wanted: str | None) -> TargetTable:
    if wanted and table.ttl_attribute != wanted:
        found = f"items expire by {table.ttl_attribute!r}" if table.ttl_attribute else "items don't expire"
        raise TargetTtlMismatch(
            f"switch on time to live by {wanted!r} for table {table.name}, whose {found}, or correct the stack's "
            "DynamoDbTtl."
        )
    return replace(table, ttl_required=bool(wanted))


def _described(dynamodb: "DynamoDBClient", name: str) -> TargetTable:
    """DynamoDB refuses a whole request for one item whose value doesn't fit an index, so the indexes are part of it.

    An attribute of several indexes has the narrowest of their limits.
    """
    table, ttl = _description(dynamodb, name), _ttl(dynamodb, name)
    types: dict[str, KeyType] = {
        attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]
    }
    schema = sorted(table["KeySchema"], key=lambda part: part["KeyType"])  # HASH, then RANGE
    limits: dict[str, int] = {}
    for index in (*table.get("GlobalSecondaryIndexes", ()), *table.get("LocalSecondaryIndexes", ())):
        for part in index["KeySchema"]:
            limit = MAX_PARTITION_KEY_BYTES if part["KeyType"] == "HASH" else MAX_SORT_KEY_BYTES
            limits[part["AttributeName"]] = min(limit, limits.get(part["AttributeName"], limit))
    return TargetTable(
        name=name,
        key=tuple(KeyAttribute(part["AttributeName"], types[part["AttributeName"]]) for part in schema),
        ttl_attribute=ttl["AttributeName"] if ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING") else None,
        index_keys=tuple(IndexKeyAttribute(name, types[name], limit) for name, limit in limits.items()),
        local_indexes=tuple(_local_index(index) for index in table.get("LocalSecondaryIndexes", ())),
        made=_made(table),
        capacity=_capacity(table),
    )


def _description(dynamodb: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef":
    with named_failures():
        try:
            return dynamodb.describe_table(TableName=name)["Table"]
        except dynamodb.exceptions.ResourceNotFoundException as error:
            raise TargetTableNotFound(
                f"table {name} does not exist: create it, or correct the stack's DynamodbTargetTable or the input's "
                "target_table."
            ) from error


def _ttl(dynamodb: "DynamoDBClient", name: str) -> "TimeToLiveDescriptionTypeDef":
    with named_failures():
        return dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]


def _made(table: "TableDescriptionTypeDef") -> str:
    return table["CreationDateTime"].astimezone(UTC).strftime("%Y%m%dT%H%M%S.%fZ")


def _capacity(table: "TableDescriptionTypeDef") -> WriteCapacity:
    parts = (table, *table.get("GlobalSecondaryIndexes", ()))
    # There is no summary of a table that never was on demand.
    provisioned = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED"
    return WriteCapacity(
        provisioned=_least(parts, "ProvisionedThroughput", "WriteCapacityUnits") if provisioned else None,
        on_demand_maximum=None if provisioned else _least(parts, "OnDemandThroughput", "MaxWriteRequestUnits"),
        warm=_least(parts, "WarmThroughput", "WriteUnitsPerSecond"),
    )


def _least(parts: Iterable[Mapping[str, Any]], throughput: str, units: str) -> int | None:
    """The least number of units; none is not known, or is no limit: DynamoDB says 0 or -1 then."""
    given = (part.get(throughput, {}).get(units, 0) for part in parts)
    return min((number for number in given if number > 0), default=None)


def _local_index(index: "LocalSecondaryIndexDescriptionTypeDef") -> LocalIndex:
    (sort_key,) = (part["AttributeName"] for part in index["KeySchema"] if part["KeyType"] == "RANGE")
    projection = index["Projection"]
    if projection["ProjectionType"] == "ALL":
        return LocalIndex(sort_key, None)
    return LocalIndex(sort_key, tuple(projection.get("NonKeyAttributes", ())))
