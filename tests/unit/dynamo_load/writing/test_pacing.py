"""How loaders keep to what a table of partitions takes, on a simulated clock; their common pace is in a real ledger."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

import pytest

from dynamo_load.writing.common_pace import CommonPace
from dynamo_load.writing.ledger_client import ledger_client
from dynamo_load.writing.pacing import LEAST_RATE, Pace
from local.dynamodb_sink.capacity import TENTHS, Capacity, OtherTraffic, TableCapacity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.unit.dynamo_load.conftest import Stage

ROWS = 25
LATENCY = 0.005
MOST_IN_FLIGHT = 32
LIMIT = 10_000
TEN_PARTITIONS = TableCapacity("pk", partitions=10)


@dataclass
class Loader:
    """Sends rows of ever new keys, those that were throttled again, all requests of a moment answered at the next."""

    pace: Pace
    common_pace: CommonPace | None = None
    begins_at: float = 0.0
    sent: int = 0
    stored: list[int] = field(default_factory=list)
    """Rows by second."""
    _waiting: list[bytes] = field(default_factory=list)
    _in_flight: list[tuple[float, list[bytes], list[bytes]]] = field(default_factory=list)
    _joined: bool = False

    def step(self, now: float, take: Callable[[list[bytes]], list[bool]], new_keys: Iterator[bytes]) -> None:
        """Handle the answers of the step before, and send what may be sent."""
        if not self._joined:
            self._joined = True
            if self.common_pace and (rate := self.common_pace.known()):
                self.pace.join(rate, now)
        for sent_at, keys, throttled in self._in_flight:
            self.stored[int(now)] += len(keys) - len(throttled)
            self._waiting += throttled
            self.pace.answered(len(keys), len(keys) - len(throttled), sent_at=sent_at, now=now)
        if self.common_pace and self.pace.rate and self.pace.used:
            self.pace.set_rate(self.common_pace.meet(self.pace.rate), now)
        self._in_flight = []
        while len(self._in_flight) < MOST_IN_FLIGHT and not self.pace.wait(now):
            keys, self._waiting = self._waiting[:ROWS], self._waiting[ROWS:]
            keys = keys or [next(new_keys) for _ in range(ROWS)]
            self.pace.spend(len(keys), now)
            self.sent += len(keys)
            taken = take(keys)
            self._in_flight.append(
                (now, keys, [key for key, is_taken in zip(keys, taken, strict=True) if not is_taken])
            )


@dataclass
class Simulation:
    """A table, its loaders, and the time, which is at the beginning of a minute at first."""

    capacity: Capacity
    loaders: list[Loader]
    now: float = 0.0

    def run(self, seconds: float, take: Callable[[list[bytes]], list[bool]] | None = None) -> None:
        """Let so much time pass; `take` is the table's."""
        keys = (b"%d" % number for number in count(int(self.now * 1e6)))
        end = self.now + seconds
        for loader in self.loaders:
            loader.stored += [0] * (int(end) + 1 - len(loader.stored))
        while self.now < end:
            # None is always the first to find what has come back of the capacity.
            for loader in random.sample(self.loaders, len(self.loaders)):
                if loader.begins_at <= self.now:
                    loader.step(self.now, take or self.take, keys)
            self.now += LATENCY
        self.capacity.pass_time(self.now)

    def take(self, keys: list[bytes]) -> list[bool]:
        return [limit is None for limit in self.capacity.take(keys, self.now)]

    def stored(self, begin: int, end: int) -> float:
        """Rows per second, of all loaders."""
        return sum(sum(loader.stored[begin:end]) for loader in self.loaders) / (end - begin)

    @property
    def sends(self) -> float:
        """How often a row was sent."""
        return sum(loader.sent for loader in self.loaders) / sum(sum(loader.stored) for loader in self.loaders)

    def throttled_of_others(self, begin: int, end: int) -> float:
        """The share of other traffic that was throttled."""
        tenths = range(begin * TENTHS, end * TENTHS)
        asked, throttled = self.capacity.other_asked, self.capacity.other_throttled
        return sum(throttled[tenth] for tenth in tenths) / sum(asked[tenth] for tenth in tenths)


def simulation(table: TableCapacity, loaders: int = 1, *, headroom: float = 0.0) -> Simulation:
    return Simulation(Capacity(table), [Loader(Pace(0.0, headroom=headroom)) for _ in range(loaders)])


@pytest.fixture(autouse=True)
def same_chance() -> Iterator[None]:
    """Draw the same random numbers each time."""
    state = random.getstate()
    random.seed(1)
    yield
    random.setstate(state)


@pytest.mark.parametrize(("partitions", "loaders"), [(10, 1), (10, 4), (40, 1)])
def test_loaders_use_what_the_table_takes_and_send_hardly_more(partitions: int, loaders: int) -> None:
    run = simulation(TableCapacity("pk", partitions=partitions), loaders)
    run.run(15)
    assert run.stored(5, 15) >= 0.95 * 1_000 * partitions
    assert run.sends <= 1.15


def test_one_of_thousands_of_loaders_begins_with_a_rate_that_can_grow() -> None:
    pace = Pace(0.0, headroom=0.5)
    pace.set_rate(0.4, 0.0)
    assert pace.rate == LEAST_RATE


def test_a_loader_that_is_never_throttled_never_waits() -> None:
    run = simulation(TableCapacity("pk", partitions=1_000))
    run.run(2)
    (loader,) = run.loaders
    assert loader.pace.rate is None
    assert run.sends == pytest.approx(1, abs=0.01)
    assert run.stored(0, 1) > 0.9 * MOST_IN_FLIGHT * ROWS / LATENCY


def test_loaders_of_one_load_come_to_equal_shares_and_one_that_begins_later_has_its_share_at_once(
    stage: Stage,
) -> None:
    run = simulation(TEN_PARTITIONS, 8)
    dynamodb = ledger_client(stage.aws.session)
    for loader in run.loaders:
        loader.common_pace = CommonPace(dynamodb, stage.ledger_table, "load", 9, clock=lambda: run.now)
    run.loaders[7].begins_at = 12.0
    run.run(30)

    shares = [sum(loader.stored[14:30]) for loader in run.loaders]
    assert max(shares) <= 1.2 * min(shares)
    assert run.stored(5, 30) >= 0.95 * LIMIT
    late = run.loaders[7]
    assert 0.5 * LIMIT / 8 < late.stored[12] < 2 * LIMIT / 8


def test_a_table_that_grows_is_used_to_its_new_limit() -> None:
    run = simulation(TableCapacity("pk", partitions=10, doubles_at_seconds=10))
    run.run(40)
    assert run.stored(5, 10) >= 0.9 * LIMIT
    assert run.stored(30, 40) >= 0.9 * 2 * LIMIT


def test_others_get_what_they_need_of_the_table_and_leave_it_to_the_load_again() -> None:
    others = OtherTraffic(units_per_second=5_000, begins_at_seconds=10, ends_at_seconds=30)
    run = simulation(TableCapacity("pk", partitions=10, other_traffic=others), 2)
    run.run(50)
    assert run.throttled_of_others(13, 30) < 0.05
    assert run.stored(13, 30) >= 0.9 * 5_000
    assert run.stored(40, 50) >= 0.95 * LIMIT


def test_what_is_lost_whatever_the_rate_does_not_slow_a_loader_down_for_good() -> None:
    def lose_a_third(keys: list[bytes]) -> list[bool]:
        return [random.random() > 1 / 3 for _ in keys]

    run = simulation(TEN_PARTITIONS)
    run.run(30, lose_a_third)
    (loader,) = run.loaders
    unhindered = loader.stored[0]
    assert sum(loader.stored[20:30]) / 10 > 0.2 * unhindered


def test_a_table_that_took_nothing_for_long_is_used_to_its_limit_within_seconds() -> None:
    run = simulation(TEN_PARTITIONS)
    run.run(5)
    sent = run.loaders[0].sent
    run.run(60, lambda keys: [False for _ in keys])
    assert run.loaders[0].sent - sent < 60 * 500
    assert (run.loaders[0].pace.rate or 0.0) >= LEAST_RATE
    run.run(20)
    assert sum(run.loaders[0].stored[10:65]) == 0
    assert run.stored(75, 85) >= 0.9 * LIMIT


def test_a_table_of_few_units_is_used_to_its_limit_too() -> None:
    run = simulation(TableCapacity("pk", partitions=1, units_per_partition=40))
    run.run(60)
    assert run.stored(10, 60) >= 0.9 * 40


@pytest.mark.parametrize("headroom", [0.25, 0.5])
def test_headroom_is_left_free_but_for_a_moment_of_each_minute(headroom: float) -> None:
    run = simulation(TEN_PARTITIONS, 2, headroom=headroom)
    run.run(120)
    for begin in (15, 75):
        stored = run.stored(begin, begin + 45)
        assert 0.65 * (1 - headroom) * LIMIT <= stored <= (1 - headroom / 2) * LIMIT
    assert max(run.stored(second, second + 1) for second in range(60, 75)) >= 0.95 * LIMIT


def test_a_search_begins_with_small_steps() -> None:
    run = simulation(TEN_PARTITIONS, headroom=0.25)
    run.run(60)
    sent = run.loaders[0].sent
    run.run(3)
    assert run.loaders[0].sent - sent < 3 * 1.2 * LIMIT


def test_a_loader_that_begins_within_a_minute_does_not_search_alone(stage: Stage) -> None:
    run = simulation(TEN_PARTITIONS, 4, headroom=0.5)
    dynamodb = ledger_client(stage.aws.session)
    for loader in run.loaders:
        loader.common_pace = CommonPace(dynamodb, stage.ledger_table, "load", 4, clock=lambda: run.now)
    run.run(20)
    # Two pieces are done, and others begin.
    for number in (0, 1):
        anew = Loader(Pace(run.now, headroom=0.5), stored=[0] * 20)
        anew.common_pace = CommonPace(dynamodb, stage.ledger_table, "load", 4, clock=lambda: run.now)
        run.loaders[number] = anew
    run.run(20)
    assert run.stored(21, 40) <= 0.6 * LIMIT


def test_a_search_in_which_nothing_is_taken_does_not_end_in_no_limit() -> None:
    run = simulation(TEN_PARTITIONS, headroom=0.2)
    run.run(1)
    run.run(8, lambda keys: [False for _ in keys])
    (loader,) = run.loaders
    assert loader.pace.rate == LEAST_RATE
    sent = loader.sent
    run.run(10)
    assert loader.sent - sent < 2_000


def test_time_without_anything_to_send_says_nothing_about_the_rate() -> None:
    run = simulation(TEN_PARTITIONS)
    run.run(10)
    (loader,) = run.loaders
    rate, throttled_seconds = loader.pace.rate or 0.0, loader.pace.throttled_seconds
    now = run.now + 5
    for request in range(4):
        loader.pace.spend(ROWS, now)
        loader.pace.answered(ROWS, ROWS - (request == 3), sent_at=now, now=now + 0.3)
    assert (loader.pace.rate or 0.0) > 0.7 * rate > 0
    assert loader.pace.throttled_seconds - throttled_seconds < 1


def test_a_loader_that_first_has_to_read_finds_its_rate_by_what_it_sends() -> None:
    pace = Pace(0.0)
    for request in range(40):
        pace.spend(ROWS, 10.0)
        pace.answered(ROWS, ROWS - (request == 39), sent_at=10.0, now=10.05)
    assert pace.rate == pytest.approx(40 * ROWS / 0.05)


def test_seconds_in_which_something_was_throttled_are_counted() -> None:
    run = simulation(TEN_PARTITIONS)
    run.run(20)
    (loader,) = run.loaders
    assert 0 < loader.pace.throttled_seconds < 20
