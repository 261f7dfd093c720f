"""What an answer of BatchWriteItem means for the rows that were sent.

Only an HTTP 200 whose CRC32 fits and that leaves nothing unprocessed says that all rows are stored. Everything else is
read by botocore's parser and classed by botocore's own lists of throttling and transient errors, so that the same
errors are retried as by any AWS SDK client.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import Shape
from botocore.parsers import JSONParser, ResponseParserError
from botocore.retries.standard import RetryContext, ThrottledRetryableChecker, TransientRetryableChecker

if TYPE_CHECKING:
    from collections.abc import Iterator

_OK = 200
_SERVER_ERRORS = 500
_CRC_HEADER = re.compile(rb"\r\nx-amz-crc32: *(\d+)", re.IGNORECASE)
_NOTHING_UNPROCESSED = b'"UnprocessedItems":{}'
_CAPACITY_UNITS = re.compile(rb'"CapacityUnits": *([0-9.Ee+-]+)')
_EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})

_NO_SHAPE = Shape("Error", {"type": "structure"})
_parser = JSONParser()
_is_throttled = ThrottledRetryableChecker().is_retryable
_is_transient = TransientRetryableChecker().is_retryable


@dataclass(frozen=True, slots=True)
class Stored:
    """All rows that the answer doesn't give back are stored."""

    write_units: float | None
    """Consumed capacity, if the answer tells it."""
    unprocessed_rows: int = 0
    unprocessed_items: bytes = b""
    """The rows given back, as the content of a JSON list."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Nothing is known to be stored; the same request may succeed later."""

    reason: str
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Expired:
    """The credentials have expired; the request may succeed with others."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The same request will never succeed."""

    code: str
    message: str


Answer = Stored | TryAgain | Expired | Refused


def read_answer(status: int, head: bytes, body: bytes) -> Answer:
    """Class one complete HTTP answer, given its status, its header lines as received, and its body."""
    # As in botocore, a checksum that wasn't sent isn't checked.
    if (crc := _CRC_HEADER.search(head)) and int(crc[1]) != zlib.crc32(body):
        return TryAgain("the answer's CRC32 doesn't fit its body")
    if status != _OK:
        return _read_error(status, body)
    if _NOTHING_UNPROCESSED in body:
        return Stored(_write_units(body))
    try:
        tables = json.loads(body)["UnprocessedItems"].values()
        left = [put for puts in tables for put in puts]
    except (ValueError, LookupError, TypeError, AttributeError):
        return TryAgain("the answer is not one of BatchWriteItem")
    if not left:
        return Stored(_write_units(body))
    items = json.dumps(left, separators=(",", ":"), ensure_ascii=False).encode()[1:-1]
    return Stored(_write_units(body), len(left), items)


def _write_units(body: bytes) -> float | None:
    """The consumed capacity that an answer tells, which costs a fraction of parsing it; quotes in rows are escaped."""
    units = _CAPACITY_UNITS.findall(body)
    return sum(map(float, units)) if units else None


def _read_error(status: int, body: bytes) -> Answer:
    try:
        parsed = _parser.parse({"status_code": status, "headers": {}, "body": body}, _NO_SHAPE)
    except ResponseParserError:
        parsed = {"Error": {"Code": str(status), "Message": "an answer that is not DynamoDB's"}}
    code, message = parsed["Error"]["Code"], parsed["Error"]["Message"]
    context = RetryContext(
        attempt_number=1, parsed_response=parsed, http_response=AWSResponse("", status, HTTPHeaders(), None)
    )
    if _is_throttled(context):
        return TryAgain(code, throttled=True)
    if status >= _SERVER_ERRORS or _is_transient(context):
        return TryAgain(f"{code} (HTTP {status})")
    if code in _EXPIRED_CODES:
        return Expired()
    return Refused(code, message)


def without_values(message: str, items: bytes) -> str:
    """DynamoDB's message with every value of the rows in `items` blotted out, as some messages quote one."""
    try:
        requests = json.loads(b"".join((b"[", items, b"]")))
    except ValueError:
        return "the request is not valid JSON"
    values = {
        text for request in requests for value in request["PutRequest"]["Item"].values() for text in _texts(value)
    }
    for text in sorted(values - {""}, key=len, reverse=True):
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
