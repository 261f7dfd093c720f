"""What the sink stores, counts and answers: BatchWriteItem without a table behind it."""

from __future__ import annotations

import json
import random
import re
import resource
import time
import zlib
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from local.dynamodb_sink import SinkReport

if TYPE_CHECKING:
    from local.dynamodb_sink import SinkBehaviour

_MAX_ITEMS = 25
# Within a JSON string a quotation mark is escaped, so that this can only be where a put request begins.
_PUT = b'{"PutRequest":'
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

    def __init__(self, behaviour: SinkBehaviour) -> None:
        self._behaviour = behaviour
        self._random = random.Random(behaviour.seed)  # noqa: S311
        self._key = re.compile(
            rb'"%b":\{"[SNB]":"([^"\\]*(?:\\.[^"\\]*)*)"' % re.escape(json.dumps(behaviour.key)[1:-1].encode())
        )
        self._refused_keys = {json.dumps(key)[1:-1].encode() for key in behaviour.refused_keys}
        self._stored: Counter[bytes] = Counter()
        self._rows_by_second: Counter[int] = Counter()
        self._rows_taken: Counter[int] = Counter()
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
        return http_answer(json.dumps(asdict(self.report)).encode())

    def batch_write(self, head: bytes, body: bytes) -> Reply:
        """Store what the behaviour lets through, and answer."""
        rows = body.count(_PUT)
        self.report.requests += 1
        self.report.request_bytes += len(body)
        self.report.rows_received += rows
        self._rows_by_second[int(time.time())] += rows
        if self._behaviour.strict:
            self._check(body)
        reply = self._refuse(head, body, rows) or self._spoil(self._store(body, rows))
        self._answers[reply.kind] += 1
        return reply

    def _draw(self, share: float) -> bool:
        return share > 0 and self._random.random() < share

    def _refuse(self, head: bytes, body: bytes, rows: int) -> Reply | None:
        """The answer to a request of which nothing is stored."""
        behaviour = self._behaviour
        if behaviour.expired_access_key and b"Credential=%b/" % behaviour.expired_access_key.encode() in head:
            return Reply("expired", _error(400, "ExpiredTokenException", "The security token is expired"))
        if behaviour.refusal and self._draw(behaviour.refused_share) and self._is_to_be_refused(body):
            return Reply("refused", _error(400, *behaviour.refusal))
        if self._draw(behaviour.error_share):
            return Reply("error", _error(500, "InternalServerError", "Internal server error"))
        if self._draw(behaviour.reset_share):
            return Reply("reset")
        if self._draw(behaviour.throttled_share) or (rows and self._room() <= 0):
            return Reply("throttled", _error(400, "ProvisionedThroughputExceededException", "Throughput exceeded"))
        return None

    def _is_to_be_refused(self, body: bytes) -> bool:
        return not self._refused_keys or not self._refused_keys.isdisjoint(self._key.findall(body))

    def _room(self) -> int:
        """How many rows the table still takes in this second."""
        if self._behaviour.rows_per_second is None:
            return _MAX_ITEMS
        return self._behaviour.rows_per_second - self._rows_taken[int(time.time())]

    def _store(self, body: bytes, rows: int) -> Reply:
        left: list[bytes] = []
        stored = rows
        if self._behaviour.unprocessed_share or self._behaviour.rows_per_second:
            body, left = self._hold_back(body)
            stored -= len(left)
        if self._behaviour.rows_per_second:
            self._rows_taken[int(time.time())] += stored
        if self._behaviour.key is not None:
            keys = self._key.findall(body)
            self._stored.update(keys)
            if len(set(keys)) < stored:
                self.report.violations.append(f"{len(set(keys))} different keys in {stored} rows")
        self.report.rows_stored += stored
        unprocessed = b'"sink":[%b]' % b",".join(left) if left else b""
        answer = b'{"UnprocessedItems":{%b}' % unprocessed
        if self._behaviour.consumed_capacity and b'"ReturnConsumedCapacity":"TOTAL"' in body:
            answer += b',"ConsumedCapacity":[{"TableName":"sink","CapacityUnits":%d.0}]' % stored
        return Reply("unprocessed" if left else "stored", answer + b"}")

    def _hold_back(self, body: bytes) -> tuple[bytes, list[bytes]]:
        """Take the items out of a body that are not to be stored; returns the rest, and them."""
        begin = body.index(_PUT)
        end = body.rindex(b"]}")
        stored: list[bytes] = []
        left: list[bytes] = []
        room = self._room()
        for item in body[begin:end].split(b"," + _PUT):
            whole = item if item.startswith(_PUT) else _PUT + item
            (left if len(stored) >= room or self._draw(self._behaviour.unprocessed_share) else stored).append(whole)
        return body[:begin] + b",".join(stored) + body[end:], left

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


def _error(status: int, code: str, message: str) -> bytes:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message})
    return http_answer(body.encode(), status=status)
