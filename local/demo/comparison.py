"""Whether a DynamoDB table holds exactly the rows of a Redshift table, found by reading both.

Of each row only a digest is kept, so that millions can be compared.
"""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

    from local.data_api import DataApi

KEYS_PER_READ = 100  # BatchGetItem takes no more
READERS = 4
DIFFERENCES_NAMED = 3


def source_rows(redshift: DataApi, table: str, key: str) -> dict[str, bytes]:
    """Return the digests of a Redshift table's rows by the value of their column `key`."""
    rows = redshift.query(f"SELECT * FROM {table}", timeout_seconds=600)  # noqa: S608 - a constant of the demo
    return {row[key]: _digest((name, _attribute(value)) for name, value in row.items()) for row in rows}


def target_items(dynamodb: DynamoDBClient, table: str, key: str, values: Sequence[str]) -> dict[str, bytes]:
    """Return the digests of a DynamoDB table's items with the given values of their partition key `key`.

    Items are asked for by their keys, because each page of a Scan costs the local DynamoDB a look at all items.
    """

    def read(keys: Sequence[str]) -> dict[str, bytes]:
        wanted = [{key: {"S": value}} for value in keys]
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": wanted, "ConsistentRead": True}})
        return {item[key]["S"]: _digest(item.items()) for item in answer["Responses"][table]}

    batches = [values[first : first + KEYS_PER_READ] for first in range(0, len(values), KEYS_PER_READ)]
    with ThreadPoolExecutor(READERS) as readers:
        parts = readers.map(read, batches)
        return {name: digest for part in parts for name, digest in part.items()}


def item_count(dynamodb: DynamoDBClient, table: str) -> int:
    """Return the number of items in a table; the local DynamoDB keeps it up to date, AWS every six hours."""
    return dynamodb.describe_table(TableName=table)["Table"]["ItemCount"]


def difference(source: Mapping[str, bytes], target: Mapping[str, bytes]) -> str:
    """Say how two tables differ, naming a few keys of each kind."""
    kinds = {
        "missing from the target": source.keys() - target.keys(),
        "with other values": {name for name in source.keys() & target.keys() if source[name] != target[name]},
    }
    return "; ".join(
        f"{len(keys):,} {kind}: {', '.join(sorted(keys)[:DIFFERENCES_NAMED])}" for kind, keys in kinds.items() if keys
    )


def _attribute(value: Any) -> dict[str, Any] | None:
    """Return the attribute that a Redshift value should have become; None for NULL, which is left out."""
    match value:
        case None:
            return None
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case _:
            return {"S": str(value)}


def _digest(attributes: Iterable[tuple[str, Any]]) -> bytes:
    present = sorted((name, value) for name, value in attributes if value is not None)
    return hashlib.blake2b(json.dumps(present).encode(), digest_size=16).digest()
