"""Writing batches to DynamoDB: many BatchWriteItem requests in flight over kept connections, in one thread.

libcurl moves the bytes. This module decides what to send when: new batches while the table takes them, unprocessed
rows and failed requests again after a pause, nothing more when the deadline is near. `signing` makes a body a request,
`answers` says what came of it, `concurrency` how many may be in flight, `budget` how much may be written.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import pycurl
from botocore.httpsession import get_cert_path

from dynamo_load.errors import DynamoDbRefused, EndpointNotTrusted, WritesStalled
from dynamo_load.writing.answers import Expired, Refused, Stored, TryAgain, read_answer, without_values
from dynamo_load.writing.concurrency import AdaptiveConcurrency
from dynamo_load.writing.signing import BatchWriteSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.session import Session

    from dynamo_load.writing.answers import Answer
    from dynamo_load.writing.budget import WriteBudget

DRAIN_SECONDS = 2.0
"""Before the deadline: from then on only what has been pulled is finished."""
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.025
"""As in botocore's standard retry mode for DynamoDB."""
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 1.0

_NOT_TRUSTED = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE})


@dataclass(frozen=True)
class Batch:
    """Up to 25 put requests, ready to be sent.

    `body_items` is the content of a JSON list without its brackets (`item,item,…`), `rows` how many items these are,
    `write_units` what they are estimated to consume, `last_row` the ordinal in the piece of the last of them.
    """

    body_items: bytes
    rows: int
    write_units: int
    last_row: int


class BatchTransport:
    """Writes batches to one table, given by name or ARN, with region, endpoint and credentials of a botocore session.

    At most `max_in_flight` requests are under way at once; how many are, is adapted to what the table takes. All, also
    those that are sent again, are paid from `budget` if there is one. `deadline` gives the seconds that are left: from
    0 on nothing is awaited any more. A request without an answer after `request_seconds` is given up, and sent again.
    """

    def __init__(
        self,
        *,
        table: str,
        session: Session,
        max_in_flight: int,
        budget: WriteBudget | None,
        deadline: Callable[[], float],
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        client = session.create_client("dynamodb")
        self._endpoint_url = client.meta.endpoint_url
        self._signer = BatchWriteSigner(session, endpoint_url=self._endpoint_url, region=client.meta.region_name)
        self._body_head = b'{"RequestItems":{%s:[' % json.dumps(table).encode()
        self._body_tail = b']},"ReturnConsumedCapacity":"TOTAL"}'
        self._table = table
        self._ca_bundle = get_cert_path(session.get_config_variable("ca_bundle") or True)
        self._user_agent = session.user_agent()
        self._request_seconds = request_seconds
        self._max_in_flight = max_in_flight
        self._concurrency = AdaptiveConcurrency(max_in_flight)
        self._budget = budget
        self._deadline = deadline
        self._curl = pycurl.CurlMulti()
        self._curl.setopt(pycurl.M_MAXCONNECTS, max_in_flight)
        self._idle: list[_Connection] = []
        self._in_flight: dict[Any, _Connection] = {}
        self._limit_used = False
        self._to_resend: list[tuple[float, int, _Request]] = []
        self._numbers = count()
        self._may_pay_at = 0.0
        self._credentials_renewed_at = 0.0
        self._last_failure = ""
        self.answers: Counter[str] = Counter()
        """How many requests came to which end: stored, unprocessed (in part or wholly), throttled, failed, expired."""

    def send(self, batches: Iterator[Batch], on_written: Callable[[Batch, float], None]) -> None:
        """Write every batch, and call `on_written(batch, write units consumed)` when all its rows are in the table.

        `on_written` is called once per batch, in the order in which batches are done, which is not that of `batches`.
        The next batch is pulled only when a request may go out. When the deadline is near, pulling stops and what
        is under way is finished; what isn't done at the deadline is not reported. A batch that is not reported may
        nevertheless be stored, in part or wholly.

        Raises DynamoDbRefused, EndpointNotTrusted, CredentialsUnavailable, or what `WriteBudget.take` raises, for what
        can't be retried here, and WritesStalled if no batch was ever written before the deadline though some were sent.
        """
        try:
            source: Iterator[Batch] | None = batches
            while True:
                source = self._start_requests(source)
                if not self._in_flight and not self._to_resend and source is None:
                    return
                left = self._deadline()
                if left <= 0 or (left <= DRAIN_SECONDS and not self._in_flight and not self._to_resend):
                    break
                self._curl.perform()
                if not self._finish_requests(on_written):
                    self._wait(min(left, LONGEST_WAIT_SECONDS))
        finally:
            self._abandon_requests()
        if not self.answers["stored"] and self._last_failure:
            raise WritesStalled(
                f"nothing could be written to {self._table} before the deadline; the last answer: {self._last_failure}"
            )

    def _start_requests(self, source: Iterator[Batch] | None) -> Iterator[Batch] | None:
        """Send what may be sent now; returns `source`, or None when it is exhausted."""
        now = time.monotonic()
        if now < self._may_pay_at:
            return source
        while len(self._in_flight) < self._concurrency.allowed:
            if self._to_resend and self._to_resend[0][0] <= now:
                request = heapq.heappop(self._to_resend)[2]
            elif source is None or not self._may_pull():
                break
            elif (batch := next(source, None)) is None:
                return None
            else:
                request = _Request(batch)
                now = time.monotonic()
            if self._budget is not None and (wait := self._budget.take(request.write_units)):
                self._may_pay_at = now + wait
                self._resend_after(0.0, request)
                break
            self._start(request)
        return source

    def _may_pull(self) -> bool:
        return len(self._to_resend) < self._max_in_flight and self._deadline() > DRAIN_SECONDS

    def _start(self, request: _Request) -> None:
        connection = self._idle.pop() if self._idle else self._new_connection()
        body = b"".join((self._body_head, request.items, self._body_tail))
        connection.start(request, body, self._signer.headers(body))
        self._in_flight[connection.handle] = connection
        self._curl.add_handle(connection.handle)

    def _finish_requests(self, on_written: Callable[[Batch, float], None]) -> int:
        """Deal with every answer and every failed request that has come in; returns how many."""
        _, answered, failed = self._curl.info_read()
        self._limit_used = len(self._in_flight) >= self._concurrency.allowed
        for handle in answered:
            connection = self._release(handle)
            self._settle(connection, connection.answer(), on_written)
        for handle, code, message in failed:
            connection = self._release(handle)
            if code in _NOT_TRUSTED:
                raise EndpointNotTrusted(
                    f"the TLS certificate of {self._endpoint_url} could not be verified with {self._ca_bundle}: "
                    f"{message}; AWS_CA_BUNDLE names another bundle"
                )
            self._settle(connection, TryAgain(f"no answer from {self._endpoint_url}: {message}"), on_written)
        return len(answered) + len(failed)

    def _release(self, handle: Any) -> _Connection:
        self._curl.remove_handle(handle)
        return self._in_flight.pop(handle)

    def _settle(self, connection: _Connection, answer: Answer, on_written: Callable[[Batch, float], None]) -> None:
        """Draw the consequences of one answer."""
        request = connection.request
        self._idle.append(connection)
        match answer:
            case Stored(units, 0):
                self.answers["stored"] += 1
                self._concurrency.stored(connection.latency(), limit_used=self._limit_used)
                self._charge(request, units, request.write_units)
                on_written(request.batch, request.consumed)
            case Stored(units, rows, items):
                self.answers["unprocessed"] += 1
                self._throttled(rows, connection)
                left_units = request.write_units * rows / request.rows
                self._charge(request, units, request.write_units - left_units)
                attempts = request.attempts + 1 if rows == request.rows else 1
                request.items, request.rows, request.write_units = items, rows, left_units
                self._resend(request, attempts, f"{rows} rows were left unprocessed")
            case TryAgain(reason, throttled):
                self.answers["throttled" if throttled else "failed"] += 1
                if throttled:
                    self._throttled(request.rows, connection)
                self._resend(request, request.attempts + 1, reason)
            case Expired():
                self.answers["expired"] += 1
                # Not again for requests that were still under way with the old ones.
                if connection.sent_at >= self._credentials_renewed_at:
                    self._signer.renew_credentials()
                    self._credentials_renewed_at = time.monotonic()
                self._resend(request, request.attempts + 1, "the credentials have expired")
            case Refused(code, message):
                raise DynamoDbRefused(
                    f"{code}: {without_values(message, request.items)} (table {self._table}, a batch of "
                    f"{request.rows} rows that ends with row {request.batch.last_row} of the piece)"
                )

    def _throttled(self, rows: int, connection: _Connection) -> None:
        self._concurrency.throttled(
            rows / connection.request.batch.rows,
            sent_at=connection.sent_at,
            now=time.monotonic(),
            limit_used=self._limit_used,
        )

    def _charge(self, request: _Request, units: float | None, estimated: float) -> None:
        """Account for the rows of a request that are stored: with what DynamoDB charged, if it said so."""
        request.consumed += estimated if units is None else units
        if self._budget is not None and units is not None:
            self._budget.settle(units - estimated)

    def _resend(self, request: _Request, attempts: int, reason: str) -> None:
        """Send a request again after a random pause ("full jitter") that grows with every attempt in vain."""
        request.attempts = attempts
        self._last_failure = reason
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempts - 1, 16))
        self._resend_after(random.uniform(0, longest), request)  # noqa: S311

    def _resend_after(self, seconds: float, request: _Request) -> None:
        heapq.heappush(self._to_resend, (time.monotonic() + seconds, next(self._numbers), request))

    def _wait(self, seconds: float) -> None:
        """Sleep until a socket is ready or something may be sent, `seconds` at most."""
        now = time.monotonic()
        if self._may_pay_at > now:
            seconds = min(seconds, self._may_pay_at - now)
        elif self._to_resend and len(self._in_flight) < self._concurrency.allowed:
            seconds = min(seconds, max(0.0, self._to_resend[0][0] - now))
        if not self._in_flight:
            time.sleep(seconds)
            return
        if (timer := self._curl.timeout()) >= 0:
            seconds = min(seconds, timer / 1000)
        if self._curl.select(seconds) < 0:
            time.sleep(min(seconds, 0.01))

    def _abandon_requests(self) -> None:
        for connection in self._in_flight.values():
            self._curl.remove_handle(connection.handle)
        self._in_flight.clear()
        self._to_resend.clear()

    def _new_connection(self) -> _Connection:
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, self._endpoint_url)
        handle.setopt(pycurl.POST, 1)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.CAINFO, self._ca_bundle)
        handle.setopt(pycurl.USERAGENT, self._user_agent)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_SECONDS, self._request_seconds) * 1000))
        handle.setopt(pycurl.TIMEOUT_MS, int(self._request_seconds * 1000))
        handle.setopt(pycurl.NOSIGNAL, 1)
        return _Connection(handle)


class _Request:
    """What of a batch is still to be stored."""

    __slots__ = ("attempts", "batch", "consumed", "items", "rows", "write_units")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.items = batch.body_items
        self.rows = batch.rows
        self.write_units: float = batch.write_units
        self.consumed = 0.0
        self.attempts = 0
        """Attempts in a row that stored nothing."""


class _Connection:
    """A libcurl handle with the request that it carries and the answer as it comes in."""

    __slots__ = ("_body", "_head", "handle", "request", "sent_at")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.request: _Request
        self.sent_at = 0.0
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        handle.setopt(pycurl.HEADERFUNCTION, self._head.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._body.append)

    def start(self, request: _Request, body: bytes, headers: list[bytes]) -> None:
        """Make `body` with `headers` the next request of the handle."""
        self.request = request
        self.sent_at = time.monotonic()
        self._head.clear()
        self._body.clear()
        self.handle.setopt(pycurl.HTTPHEADER, headers)
        self.handle.setopt(pycurl.POSTFIELDS, body)

    def answer(self) -> Answer:
        """What the complete answer means."""
        return read_answer(self.handle.getinfo(pycurl.RESPONSE_CODE), b"".join(self._head), b"".join(self._body))

    def latency(self) -> float:
        """Seconds from sending the request to the end of its answer, without the time for connecting."""
        total: float = self.handle.getinfo(pycurl.TOTAL_TIME)
        connecting: float = self.handle.getinfo(pycurl.PRETRANSFER_TIME)
        return total - connecting
