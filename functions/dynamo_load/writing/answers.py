"""What an answer of BatchWriteItem means for the rows that were sent.

Only an HTTP 200 whose CRC32 fits and that leaves nothing unprocessed says that all rows are stored. Which errors may
pass is botocore's to say, so that the same ones are sent again as by any AWS SDK client.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dynamo_load.writing.botocore_internals import ErrorReader

if TYPE_CHECKING:
    from collections.abc import Iterator


_OK = 200
_SERVER_ERRORS = 500
_CRC_HEADER = re.compile(rb"\r\nx-amz-crc32: *(\d+)", re.IGNORECASE)
_NOTHING_UNPROCESSED = b'"UnprocessedItems":{}'
_CAPACITY_UNITS = re.compile(rb'"CapacityUnits": *([0-9.Ee+-]+)')
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
# BatchWriteItem refuses a whole request for one of its items, and doesn't say for which (API Reference, "Errors", and
# the list under "DynamoDB rejects the entire batch write operation").
_CODES_OF_ITEMS = frozenset(
    {"ItemCollectionSizeLimitExceededException", "SerializationException", "ValidationException"}
)
# Words of a ValidationException that isn't about one item: all rows of a load have the same key attributes, and which
# of two rows with one key should stay is not DynamoDB's to say.
_WORDS_OF_REQUESTS = (
    "key element does not match the schema",
    "item keys contains duplicates",
    "validation error detected",
)


@dataclass(slots=True)
class Stored:
    """All rows are stored."""

    write_units: float | None
    """Consumed capacity, if the answer tells it."""


@dataclass(slots=True)
class Unprocessed:
    """Some of the rows, or all, are given back; the others are stored."""

    write_units: float | None
    rows: int
    items: bytes
    """The rows given back, as the content of a JSON list."""


@dataclass(slots=True)
class Throttled:
    """Nothing is stored, as the table takes no more just now."""

    reason: str


@dataclass(slots=True)
class Failed:
    """Nothing is known to be stored; the same request may succeed later."""

    reason: str


@dataclass(slots=True)
class Expired:
    """The credentials have expired; the request may succeed with others."""


@dataclass(slots=True)
class Refused:
    """The same request will never succeed."""

    code: str
    message: str

    @property
    def perhaps_for_one_item(self) -> bool:
        """Whether the same items may succeed but for one, or a few."""
        return self.code in _CODES_OF_ITEMS and not any(words in self.message for words in _WORDS_OF_REQUESTS)


Answer = Stored | Unprocessed | Throttled | Failed | Expired | Refused


class AnswerReader:
    """Reads the answers to what DynamoDB was sent."""

    def __init__(self) -> None:
        self._errors = ErrorReader()

    def read(self, status: int, head: bytes, body: bytes) -> Answer:
        """Class one complete HTTP answer, given its status, its header lines as received, and its body."""
        # As in botocore, a checksum that wasn't sent isn't checked.
        if (crc := _CRC_HEADER.search(head)) and int(crc[1]) != zlib.crc32(body):
            return Failed("the answer's CRC32 doesn't fit its body")
        if status != _OK:
            return self._read_error(status, body)
        if _NOTHING_UNPROCESSED in body:
            return Stored(_write_units(body))
        try:
            tables = json.loads(body)["UnprocessedItems"].values()
            left = [put for puts in tables for put in puts]
        except (ValueError, LookupError, TypeError, AttributeError):
            return Failed("the answer is not one of BatchWriteItem")
        if not left:
            return Stored(_write_units(body))
        items = json.dumps(left, separators=(",", ":"), ensure_ascii=False).encode()[1:-1]
        return Unprocessed(_write_units(body), len(left), items)

    def _read_error(self, status: int, body: bytes) -> Answer:
        error = self._errors.read(status, body)
        if error.throttled:
            return Throttled(error.code)
        if error.passing or status >= _SERVER_ERRORS:
            return Failed(f"{error.code} (HTTP {status})")
        if error.code in _EXPIRED_CODES:
            return Expired()
        return Refused(error.code, error.message)


def _write_units(body: bytes) -> float | None:
    """The consumed capacity that an answer tells, which costs a fraction of parsing it; quotes in rows are escaped."""
    units = _CAPACITY_UNITS.findall(body)
    return sum(map(float, units)) if units else None


def without_values(message: str, items: bytes) -> str:
    """DynamoDB's message with every value of the rows in `items` blotted out, as some messages quote one."""
    try:
        requests = json.loads(b"".join((b"[", items, b"]")))
    except ValueError:
        return "the request is not valid JSON"
    values = {
        text
        for request in requests
        for action in request.values()
        for attributes in action.values()
        for value in attributes.values()
        for text in _texts(value)
    }
    for text in sorted(values - {""}, key=len, reverse=True):
        # The first look is for the items of 100,000 values, which would take seconds otherwise.
        if text in message:
            message = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", "…", message)
    return message


def _texts(value: dict[str, Any]) -> Iterator[str]:
    """All texts within one attribute value in DynamoDB JSON, numbers and the names within maps included."""
    for content in value.values():
        if isinstance(content, str):
            yield content
        elif isinstance(content, dict):
            yield from content
            for inner in content.values():
                yield from _texts(inner)
        elif isinstance(content, list):
            for inner in content:
                yield from _texts(inner if isinstance(inner, dict) else {"S": inner})
