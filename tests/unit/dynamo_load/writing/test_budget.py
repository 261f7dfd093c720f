"""The write budget on a real ledger table, with a clock that the tests move."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto import mock_aws

from dynamo_load.errors import BudgetUnavailable
from dynamo_load.writing.budget import WriteBudget
from errors import AwsRefused, TransientError
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.unit.dynamo_load.writing.conftest import Writer

LEDGER = "ledger"
BATCH_UNITS = 25
BEGIN = 1_800_000_000.0


class Ledger:
    """The ledger table, the session to reach it with, and how often its budget was asked.

    While `answer` is set (HTTP status, error code) it stands in the place of DynamoDB's.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked = 0
        self.answer: tuple[int, str] | None = None
        client: Any = session.create_client("dynamodb")
        self.client: DynamoDBClient = client
        self.client.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "loadId", "AttributeType": "S"},
                {"AttributeName": "entry", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "loadId", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
        )
        events = session.get_component("event_emitter")
        events.register_first("before-send.dynamodb.UpdateItem", self._before_send)

    def _before_send(self, **_: object) -> AWSResponse | None:
        self.asked += 1
        if self.answer is None:
            return None
        status, code = self.answer
        response: Any = AWSResponse("", status, HTTPHeaders(), None)
        response._content = b'{"__type":"com.amazonaws.dynamodb.v20120810#%s","message":"no"}' % code.encode()
        return cast("AWSResponse", response)

    def reserved_seconds(self) -> float:
        """How many seconds of the budget have been reserved since `BEGIN`, if there was never none reserved."""
        (row,) = self.client.scan(TableName=LEDGER)["Items"]
        return float(row["reservedUntil"]["N"]) - BEGIN


@pytest.fixture
def ledger(session: Session) -> Iterator[Ledger]:
    with mock_aws():
        yield Ledger(session)


class Loaders:
    """Loaders that send batches as fast as they can and as the budget lets them, in simulated time.

    After `seconds_to_live` all of them are replaced by others, without a word.
    """

    def __init__(
        self, ledger: Ledger, number: int, units_per_second: int, speed: float, seconds_to_live: float = float("inf")
    ) -> None:
        self.now = BEGIN
        self.units_by_second: Counter[int] = Counter()
        self.units_by_loader: Counter[int] = Counter()
        self._ledger, self._number, self._units_per_second = ledger, number, units_per_second
        self._seconds_per_batch = BATCH_UNITS / speed
        self._seconds_to_live = seconds_to_live

    def run(self, seconds: float) -> None:
        """Let time pass; each loader sends when it is free, and waits as long as its budget says."""
        end = self.now + seconds
        while self.now < end:
            self._run_until(min(end, self.now + self._seconds_to_live))

    def _run_until(self, end: float) -> None:
        budgets = [self._budget() for _ in range(self._number)]
        free_at = dict.fromkeys(range(self._number), self.now)
        while True:
            loader = min(free_at, key=lambda loader: free_at[loader])
            if free_at[loader] >= end:
                self.now = end
                return
            self.now = free_at[loader]
            wait = budgets[loader].take(BATCH_UNITS)
            assert wait >= 0
            if not wait:
                self.units_by_second[int(self.now)] += BATCH_UNITS
                self.units_by_loader[loader] += BATCH_UNITS
            free_at[loader] += wait or self._seconds_per_batch

    def _budget(self) -> WriteBudget:
        return WriteBudget(self._ledger.session, LEDGER, "load", self._units_per_second, clock=lambda: self.now)


@pytest.mark.parametrize(
    ("number", "units_per_second", "seconds"),
    [
        (1, 1_000, 8),
        (1, 60, 8),
        (3, 1_000, 8),
        (8, 2_000, 8),
        (8, 100, 8),
        (3, 1, 600),
        (20, 1, 600),
        (100, 5, 60),
    ],
)
def test_all_loaders_together_write_as_much_as_the_budget_and_no_more(
    ledger: Ledger, number: int, units_per_second: int, seconds: int
) -> None:
    loaders = Loaders(ledger, number, units_per_second, speed=5_000)
    loaders.run(seconds)
    assert loaders.units_by_second.total() == pytest.approx(seconds * units_per_second, rel=0.1)
    assert max(loaders.units_by_second.values()) <= units_per_second * 1.1 + BATCH_UNITS


def test_loaders_that_hand_over_take_little_of_the_budget_with_them(ledger: Ledger) -> None:
    loaders = Loaders(ledger, 20, 1, speed=5_000, seconds_to_live=300)
    loaders.run(900)
    assert loaders.units_by_second.total() == pytest.approx(900, rel=0.1)


def test_loaders_that_are_slower_than_the_budget_are_not_held_up(ledger: Ledger) -> None:
    loaders = Loaders(ledger, 4, 4_000, speed=500)
    loaders.run(4)
    assert loaders.units_by_second.total() / 4 == pytest.approx(4 * 500, rel=0.05)


def test_what_was_not_used_in_time_is_not_used_later(ledger: Ledger) -> None:
    loaders = Loaders(ledger, 2, 1_000, speed=5_000)
    loaders.run(1)
    loaders.now += 60
    loaders.run(2)
    assert max(loaders.units_by_second.values()) <= 1_000 * 1.1 + BATCH_UNITS


def test_loaders_share_the_budget(ledger: Ledger) -> None:
    loaders = Loaders(ledger, 4, 1_000, speed=2_000)
    loaders.run(16)
    for loader in range(4):
        assert loaders.units_by_loader[loader] == pytest.approx(16 * 1_000 / 4, rel=0.2)


def test_every_one_of_many_loaders_gets_its_turn(ledger: Ledger) -> None:
    loaders = Loaders(ledger, 20, 25, speed=2_000)
    loaders.run(160)
    assert min(loaders.units_by_loader[loader] for loader in range(20)) >= 3 * BATCH_UNITS, "8 is the mean"


def test_loads_do_not_share_a_budget(ledger: Ledger) -> None:
    for load in ("one", "other"):
        budget = WriteBudget(ledger.session, LEDGER, load, 1, clock=lambda: BEGIN)
        assert budget.take(BATCH_UNITS) == 0
        assert budget.take(BATCH_UNITS) > 0


@pytest.mark.parametrize(("number", "asked_per_second"), [(1, 12), (30, 12), (300, 75)])
def test_the_ledger_is_asked_seldom_however_many_the_loaders(
    ledger: Ledger, number: int, asked_per_second: float
) -> None:
    loaders = Loaders(ledger, number, 1_000, speed=100_000)
    loaders.run(4)
    assert (ledger.asked - number) / 4 <= asked_per_second


def test_the_budgets_row_expires_after_what_is_reserved(ledger: Ledger) -> None:
    WriteBudget(ledger.session, LEDGER, "load", 1, clock=lambda: BEGIN + 0.5).take(10_000)
    (row,) = ledger.client.scan(TableName=LEDGER)["Items"]
    assert (row["loadId"], row["entry"]) == ({"S": "load"}, {"S": "budget"})
    assert BEGIN + 10_000 < int(row["expiresAt"]["N"]) <= BEGIN + 10_000 + 24 * 3600


@pytest.mark.parametrize(("charged", "estimated"), [(100, 25), (10, 25)])
def test_the_budget_is_kept_in_what_dynamodb_charges(ledger: Ledger, charged: float, estimated: float) -> None:
    now, units = BEGIN, 0.0
    budget = WriteBudget(ledger.session, LEDGER, "load", 100, clock=lambda: now)
    while now < BEGIN + 20:
        if wait := budget.take(estimated):
            now += wait
        else:
            units += charged
            budget.settle(charged - estimated)
    assert units == pytest.approx(20 * 100, rel=0.1)


def test_a_throttled_ledger_keeps_loaders_waiting_but_does_not_end_them(ledger: Ledger) -> None:
    now = BEGIN
    budget = WriteBudget(ledger.session, LEDGER, "load", 100, clock=lambda: now)
    ledger.answer = (400, "ProvisionedThroughputExceededException")
    while now < BEGIN + 30:
        asked = ledger.asked
        wait = budget.take(BATCH_UNITS)
        assert 0 < wait <= 5
        assert ledger.asked == asked + 1, "the SDK's own retries would block the requests in flight"
        now += wait
    ledger.answer = None
    now += 5
    assert budget.take(BATCH_UNITS) == pytest.approx(0, abs=1e-6), "but for the ledger's rounding to microseconds"


@pytest.mark.parametrize("answer", [(400, "ThrottlingException"), (500, "InternalServerError")])
def test_a_ledger_that_does_not_answer_for_a_minute_ends_the_loader(ledger: Ledger, answer: tuple[int, str]) -> None:
    now = BEGIN
    budget = WriteBudget(ledger.session, LEDGER, "load", 1, clock=lambda: now)
    assert budget.take(BATCH_UNITS) == 0
    ledger.answer = answer
    now += 3_600
    while now < BEGIN + 3_600 + 60:
        now += budget.take(BATCH_UNITS)
    with pytest.raises(BudgetUnavailable, match=f"budget of load load .* table ledger for 60 s .*{answer[1]}"):
        budget.take(BATCH_UNITS)


def test_a_ledger_table_that_is_not_there_is_no_passing_failure(ledger: Ledger) -> None:
    budget = WriteBudget(ledger.session, "another-table", "load", 100)
    with pytest.raises(AwsRefused, match="ResourceNotFoundException") as failure:
        budget.take(1)
    assert not isinstance(failure.value, TransientError)


class PatientBudget(WriteBudget):
    """A budget for which time passes only while it is waited for: what is reserved is what was paid."""

    def __init__(self, ledger: Ledger, units_per_second: int) -> None:
        self._now = BEGIN
        super().__init__(ledger.session, LEDGER, "load", units_per_second, clock=lambda: self._now)

    def take(self, units: float) -> float:
        while wait := super().take(units):
            self._now += wait
        return 0.0


def test_rows_that_are_sent_again_are_paid_again(ledger: Ledger, write_to: Callable[..., Writer]) -> None:
    """Half the rows come back, so that twice the units are taken."""
    with DynamoDbSink(SinkBehaviour(unprocessed_share=0.5, consumed_capacity=False)) as sink:
        write_to(sink, budget=PatientBudget(ledger, 1_000)).send(1_000)
        received = sink.report().rows_received
    assert received > 1_500
    assert ledger.reserved_seconds() * 1_000 >= received


def test_what_is_refused_is_not_paid(ledger: Ledger, write_to: Callable[..., Writer]) -> None:
    """One row of every batch is refused, which takes 11 requests to find; paying for each would be 3 times the rows."""
    refused = tuple(f"row-{number}" for number in range(7, 1_000, 25))
    behaviour = SinkBehaviour(key="pk", refusal=("ValidationException", "too large"), refused_keys=refused)
    with DynamoDbSink(behaviour) as sink:
        writer = write_to(sink, budget=PatientBudget(ledger, 1_000))
        writer.send(1_000)
    assert len(writer.refused) == len(refused)
    assert ledger.reserved_seconds() * 1_000 < 2_000


def test_the_rate_at_the_table_is_that_of_the_budget(ledger: Ledger, write_to: Callable[..., Writer]) -> None:
    with DynamoDbSink(SinkBehaviour(throttled_share=0.1)) as sink:
        budget = WriteBudget(ledger.session, LEDGER, "load", 2_000)
        write_to(sink, budget=budget).send(4_000)
        by_second = sink.report().rows_by_second
    # What is granted at the end of a second may arrive in the next; the simulated loaders above prove the exact rate.
    assert max(by_second.values()) <= 1.5 * 2_000
