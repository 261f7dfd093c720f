"""Writing batches to DynamoDB: many BatchWriteItem requests in flight over kept connections, in one thread.

This module decides what to send when: new batches while the table takes them, unprocessed rows and failed requests
again after a pause, a refused request in halves, nothing more when the deadline is near. `connections` carries what is
sent, `signing` makes a body a request, `answers` says what came of it, `concurrency` how many may be in flight,
`pacing` how much the table takes (`common_pace`: from each of its loaders), `budget` how much may be written.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from itertools import count
from typing import TYPE_CHECKING, Generic

from dynamo_load.errors import DynamoDbRefused, WritesStalled
from dynamo_load.writing.answers import (
    AnswerReader,
    Expired,
    Failed,
    Refused,
    Stored,
    Throttled,
    Unprocessed,
    without_values,
)
from dynamo_load.writing.batches import MOST_BYTES, MOST_ROWS, B, Delivery, Request, Throttling
from dynamo_load.writing.botocore_internals import certificate_authorities
from dynamo_load.writing.concurrency import AdaptiveConcurrency
from dynamo_load.writing.connections import Connections
from dynamo_load.writing.pacing import AHEAD_SECONDS, Pace
from dynamo_load.writing.signing import BatchWriteSigner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.session import Session

    from dynamo_load.writing.answers import Answer
    from dynamo_load.writing.budget import WriteBudget
    from dynamo_load.writing.common_pace import CommonPace
    from dynamo_load.writing.connections import Exchange

DRAIN_SECONDS = 2.0
"""Before the deadline: from then on only what has been pulled is finished."""
REQUEST_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.025
"""As in botocore's standard retry mode for DynamoDB."""
LONGEST_PAUSE_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 1.0


_BODY_TAIL = b']},"ReturnConsumedCapacity":"TOTAL"}'


class BatchTransport(Generic[B]):
    """Writes batches to one table, given by name or ARN, with region, endpoint and credentials of a botocore session.

    At most `max_in_flight` requests are under way at once; how many are, is adapted to how fast they are answered, and
    how many are sent, to what the table takes: `headroom` is the share of that which is left free, `common_pace` where
    the loaders of a load agree on it, `first_rate` what to begin with where nobody has found out yet (write units per
    second; None: as fast as answers come, until something is throttled). All requests, also those that are sent again,
    are paid from `budget` if there is one. `seconds_left` tells how long it is until the deadline, from when on nothing
    is awaited any more. A request without an answer after `request_seconds` is given up, and sent again.
    """

    def __init__(
        self,
        *,
        table: str,
        session: Session,
        max_in_flight: int,
        common_pace: CommonPace | None = None,
        headroom: float = 0.0,
        first_rate: float | None = None,
        budget: WriteBudget | None,
        seconds_left: Callable[[], float],
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        client = session.create_client("dynamodb")
        self._table = table
        self._body_head = b'{"RequestItems":{%s:[' % json.dumps(table).encode()
        self._signer = BatchWriteSigner(session, endpoint_url=client.meta.endpoint_url, region=client.meta.region_name)
        self._credentials_renewed_at = 0.0
        self._connections: Connections[Request[B]] = Connections(
            client.meta.endpoint_url,
            ca_bundle=certificate_authorities(session),
            user_agent=session.user_agent(),
            most=max_in_flight,
            request_seconds=request_seconds,
        )
        self._answers = AnswerReader()
        self._most_rows_waiting = max_in_flight * MOST_ROWS
        self._concurrency = AdaptiveConcurrency(max_in_flight)
        now = time.monotonic()
        self._pace = Pace(now, headroom=headroom, minute_began=now - time.time() % 60)
        self._common_pace = common_pace
        self._first_rate = first_rate
        self._must_wait = False
        """Whether it was the pace that let no more requests go out."""
        self._few_keys = False
        self._rows_throttled = 0
        self._budget = budget
        self._may_pay_at = 0.0
        self._seconds_left = seconds_left
        self._waiting: _WaitingRequests[B] = _WaitingRequests()
        self._last_failure = ""

    @property
    def throttling(self) -> Throttling:
        """What the table has throttled so far."""
        return Throttling(self._rows_throttled, self._pace.throttled_seconds)

    def send(self, batches: Iterator[B], on_done: Callable[[Delivery[B]], None], meanwhile: Callable[[], None]) -> None:
        """Write every batch, and call `on_done` when each of its rows is in the table or refused.

        `on_done` is called once per batch, in the order in which batches are done, which is not that of `batches`;
        `meanwhile` whenever there is nothing to do, and while there is nothing every second. The next batch is pulled
        only when a request may go out. When the deadline is near, pulling stops and what is under way is finished; what
        isn't done at the deadline is not reported. A batch that is not reported may nevertheless be stored, in part or
        wholly.

        A request that DynamoDB refuses perhaps for one of its items is sent again in halves, until the rows that are
        refused alone are known: at most one request less than twice its rows.

        Raises DynamoDbRefused, EndpointNotTrusted, CredentialsUnavailable, or what `WriteBudget.take` raises, for what
        can't be retried here, and WritesStalled if no batch was done before the deadline and a request had to be sent
        again; requests that were merely not answered by then are no stall.
        """
        source: Iterator[B] | None = batches
        done = 0
        if self._common_pace and (rate := self._common_pace.known()):
            self._pace.join(rate, time.monotonic())
        elif self._first_rate:
            self._pace.set_rate(self._first_rate, time.monotonic())
        try:
            while True:
                source = self._start_requests(source)
                left = self._seconds_left()
                under_way = len(self._connections) + len(self._waiting)
                if left <= 0 or (not under_way and (source is None or left <= DRAIN_SECONDS)):
                    break
                limit_used = len(self._connections) >= self._concurrency.allowed
                exchanges = self._connections.finished()
                for exchange in exchanges:
                    for delivery in self._settle(exchange, limit_used=limit_used):
                        done += 1
                        on_done(delivery)
                if not exchanges:
                    meanwhile()
                    self._meet()
                    self._wait(left)
        finally:
            self._connections.abandon()
            self._waiting.clear()
        if not done and self._last_failure:
            raise WritesStalled(
                f"nothing could be written to {self._table} before the deadline; the last answer: {self._last_failure}"
            )

    def _start_requests(self, source: Iterator[B] | None) -> Iterator[B] | None:
        """Send what may be sent now; returns `source`, or None when it is exhausted."""
        if time.monotonic() < self._may_pay_at:
            return source
        for _ in range(self._concurrency.allowed - len(self._connections)):
            self._must_wait = self._pace.wait(time.monotonic()) > 0
            if self._must_wait:
                break
            request = self._waiting.take_due()
            if request is None:
                if source is None or not self._may_pull():
                    break
                batch = next(source, None)
                if batch is None:
                    return None
                request, self._few_keys = Request.whole(batch), batch.few_keys
            if self._budget is not None and (wait := self._budget.take(request.write_units)):
                self._may_pay_at = time.monotonic() + wait
                self._waiting.add(request, 0.0)
                break
            self._pace.spend(request.write_units, time.monotonic())
            body = b"".join((self._body_head, request.items, _BODY_TAIL))
            self._connections.start(request, body, self._signer.headers(body))
        return source

    def _wait(self, left: float) -> None:
        """Sleep until there is something to do."""
        if self._must_wait:
            # Answers make no difference until then, and cost less when many are read at once.
            time.sleep(min(left, self._pace.wait(time.monotonic()), AHEAD_SECONDS))
        else:
            self._connections.wait(min(left, LONGEST_WAIT_SECONDS, self._seconds_until_next()))

    def _may_pull(self) -> bool:
        return self._waiting.rows < self._most_rows_waiting and self._seconds_left() > DRAIN_SECONDS

    def _meet(self) -> None:
        """Agree with the other loaders on a pace, if this one is at its limit, and that is the table's."""
        if self._common_pace and self._pace.rate and self._pace.used and not self._few_keys:
            self._pace.set_rate(self._common_pace.meet(self._pace.rate), time.monotonic())

    def _settle(self, exchange: Exchange[Request[B]], *, limit_used: bool) -> list[Delivery[B]]:
        """Draw the consequences of one answer, and return the deliveries that have come to their end with it."""
        request = exchange.subject
        match self._read(exchange):
            case Stored(units):
                self._concurrency.stored(exchange.seconds, limit_used=limit_used)
                self._answered(request, 0, exchange)
                self._charge(request, units, request.write_units)
                return request.end()
            case Unprocessed(units, rows, items):
                self._answered(request, rows, exchange)
                estimated = request.write_units
                request.keep(rows, items)
                self._charge(request, units, estimated - request.write_units)
                self._retry(request, f"{rows} rows were left unprocessed")
            case Throttled(reason):
                self._answered(request, request.rows, exchange)
                request.attempts += 1
                self._retry(request, reason)
            case Failed(reason):
                request.attempts += 1
                self._retry(request, reason)
            case Expired():
                # Not again for requests that were still under way with the old ones.
                if exchange.sent_at >= self._credentials_renewed_at:
                    self._signer.renew_credentials()
                    self._credentials_renewed_at = time.monotonic()
                request.attempts += 1
                self._retry(request, "the credentials have expired")
            case Refused() as refusal:
                return self._refused(request, refusal)
        return []

    def _read(self, exchange: Exchange[Request[B]]) -> Answer:
        if exchange.failure is not None:
            return Failed(exchange.failure)
        return self._answers.read(exchange.status, exchange.head, exchange.body)

    def _refused(self, request: Request[B], refusal: Refused) -> list[Delivery[B]]:
        """Find the rows that a request was refused for, if it can be for some of them alone."""
        if self._budget is not None:
            self._budget.settle(-request.write_units)
        # What has been a key of the table can be deleted from it, so it is not this or that key that is refused.
        for_one_item = refusal.perhaps_for_one_item and not request.deletes
        if for_one_item and not request.of_one_row:
            for half in request.halves():
                self._waiting.add(half, 0.0)
            return []
        words = f"{refusal.code}: {without_values(refusal.message, request.items)}"
        if not for_one_item:
            raise DynamoDbRefused(
                f"{words} (table {self._table}, {request.rows} rows of the piece up to number {request.last_row})"
            )
        request.refuse(words)
        return request.end()

    def _answered(self, request: Request[B], throttled: int, exchange: Exchange[Request[B]]) -> None:
        """Learn from an answer that so many of the request's rows were throttled, and the others stored."""
        self._rows_throttled += throttled
        units = request.write_units
        stored = units * (1 - throttled / request.rows)
        self._pace.answered(units, stored, sent_at=exchange.sent_at, now=time.monotonic())

    def _charge(self, request: Request[B], units: float | None, estimated: float) -> None:
        """Account for the rows of a request that are stored: with what DynamoDB charged, if it said so."""
        request.charge(estimated if units is None else units)
        if self._budget is not None and units is not None:
            self._budget.settle(units - estimated)

    def _retry(self, request: Request[B], reason: str) -> None:
        """Send a request again after a random pause ("full jitter") that grows with every attempt in vain."""
        self._last_failure = reason
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(request.attempts - 1, 16))
        self._waiting.add(request, random.uniform(0, longest))  # noqa: S311

    def _seconds_until_next(self) -> float:
        """How long it is until a request may be sent, as far as that doesn't depend on answers."""
        now = time.monotonic()
        if self._may_pay_at > now:
            return self._may_pay_at - now
        if len(self._connections) < self._concurrency.allowed:
            return self._waiting.seconds_until_due(now)
        return float("inf")


class _WaitingRequests(Generic[B]):
    """Requests that are to be sent, each when its pause is over."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Request[B]]] = []
        self._numbers = count()
        self.rows = 0
        """Of all requests together."""

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, request: Request[B], pause_seconds: float) -> None:
        self.rows += request.rows
        heapq.heappush(self._heap, (time.monotonic() + pause_seconds, next(self._numbers), request))

    def take_due(self) -> Request[B] | None:
        """Take the first request whose pause is over, and with it the next ones as far as they fit into one."""
        if not self._is_due():
            return None
        taken = [self._pop()]
        rows, size = taken[0].rows, len(taken[0].items)
        while self._is_due() and taken[0].may_be_joined:
            following = self._heap[0][2]
            rows, size = rows + following.rows, size + len(following.items)
            alike = following.may_be_joined and following.deletes == taken[0].deletes
            if not alike or rows > MOST_ROWS or size > MOST_BYTES:
                break
            taken.append(self._pop())
        return Request.joined(taken)

    def seconds_until_due(self, now: float) -> float:
        return max(0.0, self._heap[0][0] - now) if self._heap else float("inf")

    def clear(self) -> None:
        self._heap.clear()
        self.rows = 0

    def _is_due(self) -> bool:
        return bool(self._heap) and self._heap[0][0] <= time.monotonic()

    def _pop(self) -> Request[B]:
        request = heapq.heappop(self._heap)[2]
        self.rows -= request.rows
        return request
