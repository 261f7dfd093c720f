"""What the sink stores, counts and answers: BatchWriteItem without a table behind it."""

from __future__ import annotations

import json
import random
import re
import resource
import time
import zlib
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from local.dynamodb_sink import SinkReport
from local.dynamodb_sink.capacity import EXCEPTIONS, TENTHS, Capacity

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.dynamodb_sink import SinkBehaviour
    from local.dynamodb_sink.capacity import Limit

_MAX_ITEMS = 25
# Within a JSON string a quotation mark is escaped, so that these can only be where a put or delete request begins.
_PUT, _DELETE = b'{"PutRequest":', b'{"DeleteRequest":'
_BETWEEN_ITEMS = re.compile(rb', ?(?=\{"(?:Put|Delete)Request":)')
_WANTS_CAPACITY = b'"ReturnConsumedCapacity":"TOTAL"', b'"ReturnConsumedCapacity": "TOTAL"'
_ACCESS_KEY = re.compile(rb"Credential=([^/]*)/")
_TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/sink"
_REASONS = {200: "OK", 400: "Bad Request", 500: "Internal Server Error"}


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, and what was done with the request."""

    kind: str
    data: bytes = b""

    @property
    def then_reset(self) -> bool:
        """Whether the connection ends with it."""
        return self.kind in {"reset", "lost_answer", "truncated"}


class Table:
    """Takes requests and decides their answers by the sink's behaviour."""

    def __init__(self, behaviour: SinkBehaviour, clock: Callable[[], float] = time.monotonic) -> None:
        self._behaviour = behaviour
        self._clock = clock
        self._began_at: float | None = None
        self._random = random.Random(behaviour.seed)  # noqa: S311
        self._key = _values_of(behaviour.key or "")
        self._capacity = Capacity(behaviour.capacity) if behaviour.capacity else None
        self._partition_key = _values_of(behaviour.capacity.partition_key if behaviour.capacity else "")
        self._refused_keys = {json.dumps(key)[1:-1].encode() for key in behaviour.refused_keys}
        self._stored: Counter[bytes] = Counter()
        self._rows_by_second: Counter[int] = Counter()
        self._stored_by_tenth: defaultdict[bytes, Counter[int]] = defaultdict(Counter)
        self._hot_key = json.dumps(behaviour.hot_key or "")[1:-1].encode()
        self._hot_by_tenth: Counter[int] = Counter()
        self._answers: Counter[str] = Counter()
        self.report = SinkReport()

    def status(self, path: bytes) -> bytes:
        """The HTTP answer to a question about what was got until now."""
        if path == b"/stored":
            return http_answer(json.dumps({json.loads(b'"%b"' % key): n for key, n in self._stored.items()}).encode())
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.report.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.report.keys = len(self._stored)
        self.report.keys_stored_again = sum(times > 1 for times in self._stored.values())
        self.report.answers = dict(self._answers)
        self.report.rows_by_second = dict(self._rows_by_second)
        self.report.rows_stored_by_tenth = _by_tenth(sum(self._stored_by_tenth.values(), Counter()))
        self.report.rows_stored_by_access_key = {
            key.decode(): _by_tenth(stored) for key, stored in self._stored_by_tenth.items()
        }
        if self._capacity is not None:
            self._capacity.pass_time(self._moment())
            self.report.hot_rows_stored_by_tenth = _by_tenth(self._hot_by_tenth)
            self.report.other_asked_by_tenth = _by_tenth(self._capacity.other_asked)
            self.report.other_throttled_by_tenth = _by_tenth(self._capacity.other_throttled)
        return http_answer(json.dumps(asdict(self.report)).encode())

    def batch_write(self, head: bytes, body: bytes) -> Reply:
        """Store what the behaviour lets through, and answer."""
        rows = body.count(_PUT) + body.count(_DELETE)
        self.report.requests += 1
        self.report.request_bytes += len(body)
        self.report.rows_received += rows
        self._rows_by_second[int(time.time())] += rows
        if self._behaviour.strict:
            self._check(body)
        reply = self._refuse(head, body) or self._take(head, body, rows)
        self._answers[reply.kind] += 1
        return reply

    def _moment(self) -> float:
        """Seconds since the first request."""
        if self._began_at is None:
            self._began_at = self.report.began_at = self._clock()
        return self._clock() - self._began_at

    def _draw(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _refuse(self, head: bytes, body: bytes) -> Reply | None:
        """The answer to a request of which nothing is stored, whatever the table takes."""
        behaviour = self._behaviour
        if behaviour.expired_access_key and b"Credential=%b/" % behaviour.expired_access_key.encode() in head:
            return Reply("expired", _error("ExpiredTokenException", "The security token is expired"))
        if behaviour.refusal and self._draw(behaviour.refused_share) and self._is_to_be_refused(body):
            return Reply("refused", _error(*behaviour.refusal))
        if self._draw(behaviour.error_share):
            return Reply("error", _error("InternalServerError", "Internal server error", status=500))
        if self._draw(behaviour.reset_share):
            return Reply("reset")
        if self._draw(behaviour.throttled_share):
            return _throttled("provisioned")
        return None

    def _is_to_be_refused(self, body: bytes) -> bool:
        return not self._refused_keys or not self._refused_keys.isdisjoint(self._key.findall(body))

    def _take(self, head: bytes, body: bytes, rows: int) -> Reply:
        """The answer to a request of which all is stored that the table takes."""
        at = self._moment()
        limits: list[Limit | None] = [None] * rows
        keys: list[bytes] = []
        if self._capacity is not None:
            keys = self._partition_key.findall(body)
            if len(keys) != rows:
                self.report.violations.append(f"{len(keys)} partition keys in {rows} rows")
            limits = self._capacity.take(keys, at)
            exceeded = [limit for limit in limits if limit]
            if exceeded and len(exceeded) == len(limits):
                return _throttled(*exceeded)
        left = [bool(limit) or self._draw(self._behaviour.unprocessed_share) for limit in limits]
        if self._behaviour.hot_key:
            hot = sum(key == self._hot_key and not is_left for key, is_left in zip(keys, left, strict=True))
            self._hot_by_tenth[int(at * TENTHS)] += hot
        access_key = _ACCESS_KEY.search(head)
        self._stored_by_tenth[access_key[1] if access_key else b""][int(at * TENTHS)] += left.count(False)
        return self._spoil(self._write(body, left))

    def _write(self, body: bytes, left: list[bool]) -> Reply:
        unprocessed = b""
        if any(left):
            body, unprocessed = _divided(body, left)
        stored = left.count(False)
        self._store(body, stored)
        answer = b'{"UnprocessedItems":{%b}' % unprocessed
        if self._behaviour.consumed_capacity and any(wish in body for wish in _WANTS_CAPACITY):
            answer += b',"ConsumedCapacity":[{"TableName":"sink","CapacityUnits":%d.0}]' % stored
        return Reply("unprocessed" if unprocessed else "stored", answer + b"}")

    def _store(self, body: bytes, rows: int) -> None:
        self.report.rows_stored += rows
        self.report.rows_deleted += body.count(_DELETE)
        if self._behaviour.key is not None:
            keys = self._key.findall(body)
            self._stored.update(keys)
            if len(set(keys)) < rows:
                self.report.violations.append(f"{len(set(keys))} different keys in {rows} rows")

    def _spoil(self, reply: Reply) -> Reply:
        """The answer to a request that is stored, as it arrives."""
        behaviour = self._behaviour
        if self._draw(behaviour.bad_crc_share):
            return Reply("bad_crc", http_answer(reply.data, crc=zlib.crc32(reply.data) ^ 1))
        if self._draw(behaviour.lost_answer_share):
            return Reply("lost_answer")
        if self._draw(behaviour.silent_share):
            return Reply("silent")
        if self._draw(behaviour.truncated_share):
            return Reply("truncated", http_answer(reply.data)[:-5])
        return Reply(reply.kind, http_answer(reply.data))

    def _check(self, body: bytes) -> None:
        try:
            items = [item for items in json.loads(body)["RequestItems"].values() for item in items]
        except (ValueError, LookupError) as error:
            self.report.violations.append(f"not a request: {error}")
            return
        if not 1 <= len(items) <= _MAX_ITEMS:
            self.report.violations.append(f"{len(items)} items in one request")


def http_answer(body: bytes, *, status: int = 200, crc: int | None = None) -> bytes:
    """An HTTP answer as DynamoDB sends it."""
    return (
        b"HTTP/1.1 %d %b\r\nServer: Server\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n"
        b"Connection: keep-alive\r\nx-amzn-RequestId: SINK\r\nx-amz-crc32: %d\r\n\r\n%b"
    ) % (status, _REASONS[status].encode(), len(body), zlib.crc32(body) if crc is None else crc, body)


def _error(code: str, message: str, *, status: int = 400, more: dict[str, object] | None = None) -> bytes:
    body = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message} | (more or {})
    return http_answer(json.dumps(body).encode(), status=status)


def _throttled(*limits: Limit) -> Reply:
    """The answer to a request that exceeds these limits, by the first of them and with a reason for each."""
    code = EXCEPTIONS[limits[0]][0]
    reasons = [{"reason": EXCEPTIONS[limit][1], "resource": _TABLE_ARN} for limit in dict.fromkeys(limits)]
    # As in the service model, where one of the three exceptions spells this member differently.
    member = "throttlingReasons" if code == "ThrottlingException" else "ThrottlingReasons"
    return Reply("throttled", _error(code, "Throughput exceeded", more={member: reasons}))


def _by_tenth(counts: Counter[int]) -> list[int]:
    return [counts[tenth] for tenth in range(max(counts, default=-1) + 1)]


def _values_of(attribute: str) -> re.Pattern[bytes]:
    """What finds the values of a key attribute in a request's JSON."""
    name = re.escape(json.dumps(attribute)[1:-1].encode())
    return re.compile(rb'"%b": ?\{"[SNB]": ?"([^"\\]*(?:\\.[^"\\]*)*)"' % name)


def _divided(body: bytes, left: list[bool]) -> tuple[bytes, bytes]:
    """A body without the items that are left, and UnprocessedItems with them."""
    begin = min(place for place in (body.find(_PUT), body.find(_DELETE)) if place >= 0)
    end = body.rindex(b"]}")
    items = _BETWEEN_ITEMS.split(body[begin:end])
    stored = b",".join(item for item, is_left in zip(items, left, strict=True) if not is_left)
    unprocessed = b",".join(item for item, is_left in zip(items, left, strict=True) if is_left)
    return body[:begin] + stored + body[end:], b'"sink":[%b]' % unprocessed
