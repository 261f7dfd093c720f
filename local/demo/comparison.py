"""Whether a DynamoDB table holds the rows of a Redshift table, found by reading both.

Rows stream through, a batch at a time, so millions can be compared.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb import DynamoDBClient

KEYS_PER_READ = 100  # BatchGetItem takes no more
READERS = 4
DIFFERENCES_NAMED = 3


@dataclass
class Comparison:
    """The keys of the rows that are missing from the target, and of those that have other values there."""

    rows: int = 0
    missing: list[str] = field(default_factory=list)
    differing: list[str] = field(default_factory=list)

    @property
    def difference(self) -> str:
        """How the tables differ, naming a few keys of each kind; empty if they don't."""
        kinds = {"missing from the target": self.missing, "with other values": self.differing}
        return "; ".join(
            f"{len(keys):,} {kind}: {', '.join(sorted(keys)[:DIFFERENCES_NAMED])}"
            for kind, keys in kinds.items()
            if keys
        )


def compare(
    rows: Iterator[Mapping[str, Any]],
    dynamodb: DynamoDBClient,
    table: str,
    key: str,
    on_progress: Callable[[int], None] = lambda _rows: None,
) -> Comparison:
    """Compare rows with the items that have their keys; `key` is the partition key, of type S.

    Items are asked for by their keys, because each page of a Scan costs the local DynamoDB a look at all items.
    `on_progress` is called with the number of rows compared so far, now and then.
    """
    found = Comparison()

    def read(batch: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        keys = [{key: {"S": row[key]}} for row in batch]
        answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        return {item[key]["S"]: item for item in answer["Responses"][table]}

    def settle() -> None:
        batch, reading = under_way.popleft()
        items = reading.result()
        found.rows += len(batch)
        for row in batch:
            item = items.get(row[key])
            if item is None:
                found.missing.append(row[key])
            elif item != _item(row):
                found.differing.append(row[key])
        on_progress(found.rows)

    with ThreadPoolExecutor(READERS) as readers:
        under_way: deque[tuple[list[Mapping[str, Any]], Any]] = deque()
        while batch := list(islice(rows, KEYS_PER_READ)):
            under_way.append((batch, readers.submit(read, batch)))
            if len(under_way) > READERS:
                settle()
        while under_way:
            settle()
    return found


def item_count(dynamodb: DynamoDBClient, table: str) -> int:
    """Return the number of items in a table; the local DynamoDB keeps it up to date, AWS every six hours."""
    return dynamodb.describe_table(TableName=table)["Table"]["ItemCount"]


def _item(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the item that a row should have become, in which NULLs are left out."""
    return {name: _attribute(value) for name, value in row.items() if value is not None}


def _attribute(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case _:
            return {"S": str(value)}
