"""Reading back some of the items of a piece, to see whether the target really holds them."""

from __future__ import annotations

import json
import random
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from boto3.dynamodb.types import TypeDeserializer

from aws_errors import named_failures
from dynamo_load.errors import ItemsDiffer
from errors import AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_dynamodb import DynamoDBClient

    from dynamo_load.encoding.items import EncodedRows
    from target.table import TargetTable

# BatchGetItem takes 100 keys, and answers with 16 MB at most ("Constraints in Amazon DynamoDB").
_KEYS_AT_ONCE = 100
_MOST_ATTEMPTS = 10
_LONGEST_PAUSE_SECONDS = 5.0
_KEYS_NAMED = 3


class ItemSample:
    """About `size` of the items of a piece of `rows` rows, evenly over it, which the target shall hold in the end."""

    def __init__(self, dynamodb: DynamoDBClient, target: TargetTable, rows: int, size: int) -> None:
        self._dynamodb, self._target = dynamodb, target
        self._rows = np.unique(np.linspace(0, max(rows - 1, 0), min(size, rows), dtype=np.int64))
        self._items: dict[int, bytes] = {}

    def keep(self, first_row: int, items: EncodedRows) -> None:
        """Keep those of a chunk's items that belong to the sample; the chunk begins with row `first_row`."""
        for place in np.flatnonzero(np.isin(items.rows + first_row, self._rows)).tolist():
            begin, end = items.offsets[place], items.offsets[place + 1] - 1
            self._items[int(items.rows[place]) + first_row] = bytes(items.text[begin:end])

    def drop(self, rows: list[int]) -> None:
        """Forget rows that DynamoDB has refused."""
        for row in rows:
            self._items.pop(row, None)

    def verify(self) -> None:
        """Compare the items with the target's, whole, numbers by value; those that have expired may be gone.

        Raises ItemsDiffer, which names a few keys, AwsUnavailable and AwsRefused.
        """
        items = [json.loads(text)["PutRequest"]["Item"] for text in self._items.values()]
        wanted = {_worded(self._key(item)): _values(item) for item in items if not self._has_expired(item)}
        keys = [self._key(item) for item in items]
        found = {_worded(self._key(item)): _values(item) for item in self._read(keys)}
        differing = [key for key, item in wanted.items() if found.get(key) != item]
        if differing:
            raise ItemsDiffer(
                f"{len(differing):,} of {len(wanted):,} items that were read back are not what the rows say, such as "
                f"{'; '.join(differing[:_KEYS_NAMED])}: look whether something else writes to table "
                f'{self._target.name}, or whether rows of one key come in several pieces (then give "unique": true).'
            )

    def _key(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {key.name: item[key.name] for key in self._target.key}

    def _has_expired(self, item: Mapping[str, Any]) -> bool:
        expiry = item.get(self._target.ttl_attribute or "", {}).get("N")
        return expiry is not None and float(expiry) <= time.time()

    def _read(self, keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the items that the table holds of these keys."""
        table = self._target.name
        for begin in range(0, len(keys), _KEYS_AT_ONCE):
            left, attempts = keys[begin : begin + _KEYS_AT_ONCE], 0
            while left:
                with named_failures():
                    answer = self._dynamodb.batch_get_item(RequestItems={table: {"Keys": left, "ConsistentRead": True}})
                yield from answer["Responses"].get(table, [])
                unread = answer["UnprocessedKeys"][table]["Keys"] if answer["UnprocessedKeys"] else []
                attempts = attempts + 1 if len(unread) == len(left) else 0
                if attempts == _MOST_ATTEMPTS:
                    raise AwsUnavailable(f"table {table} gives back no items that are to be verified; try again later.")
                left = list(unread)
                if left:
                    time.sleep(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.1 * 2**attempts)))  # noqa: S311


def _values(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an item holds, in a form in which what is the same to DynamoDB is equal."""
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items()}


def _worded(key: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in _values(key).items())
