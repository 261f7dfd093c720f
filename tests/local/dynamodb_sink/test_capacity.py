"""The sink's model of a table's capacity, on a simulated clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.dynamodb_sink.capacity import Capacity, OtherTraffic, TableCapacity

if TYPE_CHECKING:
    from local.dynamodb_sink.capacity import Limit

KEYS = [b"key-%d" % number for number in range(1_000)]


def taken(capacity: Capacity, begin: float, end: float, keys: list[bytes] = KEYS, rows_per_second: int = 20_000) -> int:
    """How many rows are taken of many that come evenly, their keys one after the other."""
    rows = int((end - begin) * rows_per_second)
    return sum(
        capacity.take([keys[number % len(keys)]], begin + number / rows_per_second) == [None] for number in range(rows)
    )


def test_every_partition_takes_its_burst_and_then_its_rate() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=4, units_per_partition=1_000, burst_seconds=0.5))
    assert taken(capacity, 0.0, 1.0) == pytest.approx(4 * 1_500, rel=0.01)
    assert taken(capacity, 1.0, 2.0) == pytest.approx(4 * 1_000, rel=0.01)


def test_what_is_not_used_is_saved_up_as_long_as_the_burst_is() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=1, units_per_partition=100, burst_seconds=2))
    capacity.take(KEYS, 0.0)
    assert capacity.take(KEYS, 1.0).count(None) == 100
    assert capacity.take(KEYS, 60.0).count(None) == 200


def test_a_key_has_its_partition_alone() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=10, units_per_partition=100))
    assert taken(capacity, 0.0, 1.0, [b"hot"]) == pytest.approx(200, abs=1)
    others = capacity.take(KEYS, 1.0)
    assert others.count("key range") < 250
    assert others.count(None) > 750


def test_keys_are_spread_evenly() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=10, units_per_partition=100))
    assert capacity.take(KEYS, 0.0).count(None) > 900


@pytest.mark.parametrize("limit", ["provisioned", "on-demand maximum", "account quota"])
def test_the_whole_table_has_a_limit_above_its_partitions(limit: Limit) -> None:
    capacity = Capacity(TableCapacity("pk", partitions=4, units=1_500, burst_seconds=1, limit=limit))
    assert taken(capacity, 0.0, 1.0) == pytest.approx(3_000, abs=2)
    assert taken(capacity, 1.0, 2.0) == pytest.approx(1_500, abs=2)
    assert capacity.take(KEYS, 2.0)[-1] == limit


def test_a_partition_that_throttles_for_some_seconds_splits() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=1, units_per_partition=1_000, splits_after_seconds=3))
    before = taken(capacity, 1.0, 3.0)
    assert before == pytest.approx(1_000 + 2 * 1_000, abs=1)
    taken(capacity, 3.0, 5.0)
    assert taken(capacity, 5.0, 6.0) == pytest.approx(2_000, rel=0.1)


def test_a_partition_that_throttles_now_and_then_does_not_split() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=1, units_per_partition=100, splits_after_seconds=3))
    for second in range(0, 60, 4):
        assert capacity.take(KEYS, second).count(None) == 100


def test_a_split_does_not_help_a_single_key() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=1, units_per_partition=1_000, splits_after_seconds=0.01))
    taken(capacity, 0.0, 5.0, [b"hot"])
    assert taken(capacity, 5.0, 6.0, [b"hot"]) == pytest.approx(1_000, abs=1)


@pytest.mark.parametrize("units", [None, 4_000])
def test_a_table_that_grows_takes_twice_as_much(units: float | None) -> None:
    capacity = Capacity(TableCapacity("pk", partitions=4, burst_seconds=0.1, units=units, doubles_at_seconds=2))
    taken(capacity, 0.0, 1.0)
    assert taken(capacity, 1.0, 2.0) == pytest.approx(4_000, rel=0.01)
    taken(capacity, 2.0, 3.0)
    assert taken(capacity, 3.0, 4.0) == pytest.approx(8_000, rel=0.05)


OTHERS = OtherTraffic(units_per_second=2_000, begins_at_seconds=1.0, ends_at_seconds=3.0)


def test_other_traffic_takes_its_part_while_it_lasts() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=4, burst_seconds=0.1, other_traffic=OTHERS))
    assert taken(capacity, 0.0, 1.0) == pytest.approx(4_400, rel=0.01)
    shared = taken(capacity, 1.0, 3.0)
    throttled = capacity.other_throttled.total()
    assert shared + capacity.other_asked.total() - throttled == pytest.approx(8_000, rel=0.01)
    assert throttled > 0
    assert taken(capacity, 3.0, 4.0) == pytest.approx(4_000, rel=0.01)


def test_other_traffic_alone_is_not_throttled() -> None:
    capacity = Capacity(TableCapacity("pk", partitions=4, other_traffic=OTHERS))
    capacity.pass_time(60.0)
    assert capacity.other_throttled.total() == 0
    assert capacity.other_asked == dict.fromkeys(range(10, 30), 200)


def test_other_traffic_is_asked_for_whenever_it_comes_not_when_a_request_does() -> None:
    """A request in mid-time finds what the other traffic left by then, and leaves nothing to what comes after it."""
    other = OtherTraffic(units_per_second=150, begins_at_seconds=0.0, ends_at_seconds=2.0)
    capacity = Capacity(TableCapacity("pk", partitions=1, units_per_partition=100, other_traffic=other))
    assert capacity.take(KEYS, 1.0).count(None) == pytest.approx(50, abs=1)
    assert capacity.other_throttled.total() == 0
    capacity.pass_time(2.0)
    assert capacity.other_throttled.total() == pytest.approx(50, abs=1)
