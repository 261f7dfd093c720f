"""The write budget on a real ledger table, with a clock that the tests move."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from dynamo_load.budget import WriteBudget
from dynamo_load.errors import BudgetUnavailable
from local.dynamodb_sink import DynamoDbSink, SinkBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.unit.dynamo_load.transport.conftest import Writer

LEDGER = "ledger"
BATCH_UNITS = 25


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoDBClient]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "loadId", "AttributeType": "S"},
                {"AttributeName": "entry", "AttributeType": "S"},
            ],
            KeySchema=[{"AttributeName": "loadId", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
        )
        yield client


class Loaders:
    """Loaders that send batches as fast as they can and as the budget lets them, in simulated time."""

    def __init__(self, ledger: DynamoDBClient, number: int, units_per_second: int, speed: float) -> None:
        self.now = 1_800_000_000.0
        self.units_by_second: Counter[int] = Counter()
        self.units_by_loader: Counter[int] = Counter()
        self._seconds_per_batch = BATCH_UNITS / speed
        self._budgets = [
            WriteBudget(ledger, LEDGER, "load", units_per_second, clock=lambda: self.now) for _ in range(number)
        ]

    def run(self, seconds: float) -> None:
        """Let time pass; each loader sends when it is free, and waits as long as its budget says."""
        end = self.now + seconds
        free_at = dict.fromkeys(range(len(self._budgets)), self.now)
        while True:
            loader = min(free_at, key=lambda loader: free_at[loader])
            if free_at[loader] >= end:
                return
            self.now = free_at[loader]
            wait = self._budgets[loader].take(BATCH_UNITS)
            assert 0 <= wait < 1
            if not wait:
                self.units_by_second[int(self.now)] += BATCH_UNITS
                self.units_by_loader[loader] += BATCH_UNITS
            free_at[loader] += wait or self._seconds_per_batch


@pytest.mark.parametrize(("number", "units_per_second"), [(1, 1_000), (1, 60), (3, 1_000), (8, 2_000), (8, 100)])
def test_all_loaders_together_write_as_much_as_the_budget_and_no_more(
    ledger: DynamoDBClient, number: int, units_per_second: int
) -> None:
    loaders = Loaders(ledger, number, units_per_second, speed=5_000)
    loaders.run(8)
    assert loaders.units_by_second.total() / 8 == pytest.approx(units_per_second, rel=0.1)
    assert max(loaders.units_by_second.values()) <= units_per_second * 1.1 + number * BATCH_UNITS


def test_loaders_that_are_slower_than_the_budget_are_not_held_up(ledger: DynamoDBClient) -> None:
    loaders = Loaders(ledger, 4, 4_000, speed=500)
    loaders.run(4)
    assert loaders.units_by_second.total() / 4 == pytest.approx(4 * 500, rel=0.05)


def test_loaders_share_the_budget(ledger: DynamoDBClient) -> None:
    loaders = Loaders(ledger, 4, 1_000, speed=2_000)
    loaders.run(16)
    for loader in range(4):
        assert loaders.units_by_loader[loader] == pytest.approx(16 * 1_000 / 4, rel=0.6)


def test_loads_do_not_share_a_budget(ledger: DynamoDBClient) -> None:
    now = 1_800_000_000.0
    for load in ("one", "other"):
        budget = WriteBudget(ledger, LEDGER, load, 4 * BATCH_UNITS, clock=lambda: now)
        assert any(budget.take(5) == 0 for _ in range(2))


def test_a_loader_asks_the_table_at_most_a_few_times_per_second(ledger: DynamoDBClient) -> None:
    asked: list[float] = []
    ledger.meta.events.register("before-call.dynamodb.UpdateItem", lambda **_: asked.append(1))
    loaders = Loaders(ledger, 1, 100, speed=100_000)
    loaders.run(10)
    assert 10 <= len(asked) <= 41


def test_counters_expire(ledger: DynamoDBClient) -> None:
    WriteBudget(ledger, LEDGER, "load", 100, clock=lambda: 1_800_000_000.5).take(1)
    (counter,) = ledger.scan(TableName=LEDGER)["Items"]
    assert counter["loadId"] == {"S": "load"}
    assert counter["entry"] == {"S": "budget#1800000000"}
    assert 1_800_000_060 < int(counter["expiresAt"]["N"]) <= 1_800_000_000 + 24 * 3600


def test_what_dynamodb_charges_beyond_the_estimate_is_paid_later(ledger: DynamoDBClient) -> None:
    now = 1_800_000_000.0
    budget = WriteBudget(ledger, LEDGER, "load", 100, clock=lambda: now)
    while budget.take(5) == 0:
        now += 0.001
    budget.settle(200)
    began = now
    while wait := budget.take(5):
        now += wait
    assert now - began == pytest.approx(2.0, abs=0.8)


def test_a_counter_that_cannot_be_updated_is_an_error(ledger: DynamoDBClient) -> None:
    budget = WriteBudget(ledger, "another-table", "load", 100)
    with pytest.raises(BudgetUnavailable, match=r"load load .* another-table"):
        budget.take(1)


def test_rows_that_are_sent_again_are_paid_again(ledger: DynamoDBClient, write_to: Callable[..., Writer]) -> None:
    """Half the rows come back, so that twice the units are taken; with 4,000 a second for 1,000 rows this is quick."""
    behaviour = SinkBehaviour(unprocessed_share=0.5, consumed_capacity=False)
    with DynamoDbSink(behaviour) as sink:
        budget = WriteBudget(ledger, LEDGER, "load", 4_000)
        write_to(sink, budget=budget).send(1_000)
        received = sink.report().rows_received
    counters = ledger.scan(TableName=LEDGER)["Items"]
    granted = sum(
        min(1_000.0, float(value["N"]))
        for item in counters
        for name, value in item.items()
        if name.startswith("quarter")
    )
    assert received > 1_500
    assert granted >= received


def test_the_rate_at_the_table_is_that_of_the_budget(ledger: DynamoDBClient, write_to: Callable[..., Writer]) -> None:
    with DynamoDbSink(SinkBehaviour(throttled_share=0.1)) as sink:
        budget = WriteBudget(ledger, LEDGER, "load", 2_000)
        write_to(sink, budget=budget).send(4_000)
        by_second = sink.report().rows_by_second
    # What is granted at the end of a second may arrive in the next; the simulated loaders above prove the exact rate.
    assert max(by_second.values()) <= 1.5 * 2_000
