"""How the number of requests in flight follows how fast they are answered, in simulated round trips."""

from __future__ import annotations

from dynamo_load.writing.concurrency import AdaptiveConcurrency


def round_trips(loader: AdaptiveConcurrency, rounds: int, latency: float = 0.005) -> None:
    for _ in range(rounds):
        for _ in range(loader.allowed):
            loader.stored(latency, limit_used=True)


def test_it_grows_within_few_round_trips_to_the_most_allowed() -> None:
    loader = AdaptiveConcurrency(64)
    round_trips(loader, 6)
    assert loader.allowed == 64


def test_it_does_not_grow_while_answers_get_slower() -> None:
    loader = AdaptiveConcurrency(1_000)
    round_trips(loader, 1, latency=0.005)
    before = loader.allowed
    round_trips(loader, 100, latency=0.05)
    assert loader.allowed <= 2 * before


def test_a_limit_that_is_not_used_does_not_grow() -> None:
    loader = AdaptiveConcurrency(32)
    before = loader.allowed
    for _ in range(100):
        loader.stored(0.005, limit_used=False)
    assert loader.allowed == before
