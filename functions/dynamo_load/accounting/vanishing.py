"""How many keys a load would delete: counted by bucket before anything is written, and held against what it may."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_errors import named_failures
from dynamo_load.accounting.ledger import KEPT_SECONDS, worded
from dynamo_load.errors import KeysNotCompared, LedgerUnavailable, TooManyDeletions

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

    from dynamo_load.plan import LoadPlan

_ENTRY_PREFIX = "compare#"
_FAILURES_NAMED = 3


@dataclass(frozen=True)
class Compared:
    """Keys that the target is known to hold, and how many of them have vanished: the query does not return them."""

    known: int
    vanished: int


def note_compared(dynamodb: DynamoDBClient, table: str, load_id: str, piece: str, counts: Compared) -> None:
    """Note what one piece came to; a second time changes nothing. Raises LedgerUnavailable and AwsRefused."""
    values: dict[str, AttributeValueTypeDef] = {
        "known": {"N": str(counts.known)},
        "vanished": {"N": str(counts.vanished)},
    }
    _note(dynamodb, table, load_id, piece, values)


def note_not_compared(dynamodb: DynamoDBClient, table: str, load_id: str, piece: str, failure: Exception) -> None:
    """Note why a piece could not be compared; raises as `note_compared` does."""
    _note(dynamodb, table, load_id, piece, {"failure": {"S": worded(failure)}})


def compared_in_all(dynamodb: DynamoDBClient, table: str, plan: LoadPlan) -> Compared:
    """Add up all pieces of a load. Raises KeysNotCompared if one is missing, LedgerUnavailable and AwsRefused."""
    pages = dynamodb.get_paginator("query").paginate(
        TableName=table,
        ConsistentRead=True,
        KeyConditionExpression="loadId = :load AND begins_with(entry, :compared)",
        ExpressionAttributeValues={":load": {"S": plan.load_id}, ":compared": {"S": _ENTRY_PREFIX}},
    )
    with named_failures(LedgerUnavailable):
        entries = [entry for page in pages for entry in page["Items"]]
    counted = [entry for entry in entries if "failure" not in entry]
    if len(counted) != plan.pieces:
        failures = [
            f"{entry['entry']['S'].removeprefix(_ENTRY_PREFIX)}, {entry['failure']['S']}"
            for entry in entries
            if "failure" in entry
        ]
        raise KeysNotCompared(
            f"of {plan.pieces:,} buckets {len(counted):,} were compared, so nothing was written and nothing deleted: "
            f"{'; '.join(failures[:_FAILURES_NAMED]) or 'no failure noted'}. "
            f"See the entries of load {plan.load_id} in the ledger {table}."
        )
    return Compared(
        sum(int(entry["known"]["N"]) for entry in counted), sum(int(entry["vanished"]["N"]) for entry in counted)
    )


def check_deletions(compared: Compared, allowed: float) -> None:
    """Raise TooManyDeletions if more than the share `allowed` of the known keys have vanished."""
    if compared.vanished > allowed * compared.known:
        raise TooManyDeletions(
            f"{compared.vanished:,} of {compared.known:,} rows would be deleted "
            f"({compared.vanished / compared.known:.1%}), {allowed:.1%} are allowed: correct the query, or give a "
            "larger deletes_allowed. Nothing was written and nothing deleted."
        )


def _note(
    dynamodb: DynamoDBClient, table: str, load_id: str, piece: str, values: dict[str, AttributeValueTypeDef]
) -> None:
    key: dict[str, AttributeValueTypeDef] = {"loadId": {"S": load_id}, "entry": {"S": _ENTRY_PREFIX + piece}}
    expires: dict[str, AttributeValueTypeDef] = {"expiresAt": {"N": str(int(time.time()) + KEPT_SECONDS)}}
    with named_failures(LedgerUnavailable):
        dynamodb.put_item(TableName=table, Item=key | values | expires)
