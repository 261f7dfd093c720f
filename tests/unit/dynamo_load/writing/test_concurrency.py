"""How the number of requests in flight follows what a table takes, in simulated round trips."""

from __future__ import annotations

import pytest

from dynamo_load.writing.concurrency import AdaptiveConcurrency


class SharedTable:
    """A table that takes so many requests per round trip and throttles the rest, from all loaders alike."""

    def __init__(self, takes: int, loaders: list[AdaptiveConcurrency]) -> None:
        self._takes, self._loaders, self._round = takes, loaders, 0

    def round_trips(self, rounds: int, latency: float = 0.005) -> None:
        for _ in range(rounds):
            sent = [loader.allowed for loader in self._loaders]
            throttled = max(0.0, 1 - self._takes / sum(sent))
            sent_at, self._round = self._round, self._round + 1
            for loader, requests in zip(self._loaders, sent, strict=True):
                for _ in range(requests):
                    if throttled:
                        loader.throttled(throttled, sent_at=sent_at, now=self._round, limit_used=True)
                    else:
                        loader.stored(latency, limit_used=True)


def test_it_grows_within_few_round_trips_to_the_most_allowed() -> None:
    loader = AdaptiveConcurrency(64)
    SharedTable(1_000, [loader]).round_trips(6)
    assert loader.allowed == 64


def test_it_stays_where_the_table_takes_nearly_all() -> None:
    loader = AdaptiveConcurrency(256)
    table = SharedTable(40, [loader])
    table.round_trips(100)
    for _ in range(50):
        table.round_trips(1)
        assert 30 <= loader.allowed <= 45


@pytest.mark.parametrize("loaders", [2, 5])
def test_loaders_that_share_a_table_come_to_equal_shares(loaders: int) -> None:
    first, *others = (AdaptiveConcurrency(256) for _ in range(loaders))
    SharedTable(100, [first]).round_trips(50)
    SharedTable(100, [first, *others]).round_trips(1_000)
    shares = [loader.allowed for loader in (first, *others)]
    assert max(shares) <= 1.5 * min(shares)
    assert sum(shares) == pytest.approx(100, rel=0.2)


def test_it_falls_to_one_request_when_the_table_takes_nothing() -> None:
    loader = AdaptiveConcurrency(32)
    SharedTable(0, [loader]).round_trips(50)
    assert loader.allowed == 1


def test_it_falls_once_for_all_that_was_sent_before_it_fell() -> None:
    loader = AdaptiveConcurrency(64)
    SharedTable(1_000, [loader]).round_trips(6)
    for answer in range(10):
        loader.throttled(1.0, sent_at=100.0, now=101.0 + answer, limit_used=False)
    assert loader.allowed == int(64 * 0.7)
    loader.throttled(1.0, sent_at=101.0, now=120.0, limit_used=False)
    assert loader.allowed == int(64 * 0.7 * 0.7)


def test_it_recovers_when_the_table_takes_more_again() -> None:
    loader = AdaptiveConcurrency(32)
    SharedTable(0, [loader]).round_trips(50)
    SharedTable(1_000, [loader]).round_trips(100)
    assert loader.allowed == 32


def test_it_does_not_grow_while_answers_get_slower() -> None:
    loader = AdaptiveConcurrency(1_000)
    table = SharedTable(10_000, [loader])
    table.round_trips(1, latency=0.005)
    before = loader.allowed
    table.round_trips(100, latency=0.05)
    assert loader.allowed <= 2 * before


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    loader = AdaptiveConcurrency(32)
    before = loader.allowed
    for _ in range(100):
        loader.stored(0.005, limit_used=False)
    assert loader.allowed == before
