"""How fast a piece went is kept in a few legs: they add up to what was done, and stay small however long it lasts."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from dynamo_load.accounting.course import MOST_LEGS, Course, Leg, legs_of
from dynamo_load.accounting.ledger import Tally, pieces
from tests.unit.dynamo_load.accounting.test_loaders_at_work import ledger
from tests.unit.dynamo_load.conftest import numbered, passes_after

if TYPE_CHECKING:
    from tests.unit.dynamo_load.conftest import Stage

BEGAN = 1_795_374_033.25
CHECKPOINTS = st.lists(
    st.tuples(st.integers(1, 9_000).map(lambda tenths: tenths / 10), st.integers(0, 250_000), st.integers(0, 10**6)),
    max_size=120,
)


def course_of(checkpoints: list[tuple[float, int, int]], hand_over_at: int = -1) -> Course:
    """The course of a piece with these seconds, rows and throttled rows between its checkpoints."""
    course = Course(BEGAN, (), 0, 0)
    for number, (seconds, rows, throttled) in enumerate(accumulate(checkpoints, _added)):
        course.reach(BEGAN + seconds, rows, throttled)
        if number == hand_over_at:
            course = Course(BEGAN, legs_of(course.text), rows, throttled)
    return course


def _added(before: tuple[float, int, int], more: tuple[float, int, int]) -> tuple[float, int, int]:
    return before[0] + more[0], before[1] + more[1], before[2] + more[2]


@given(CHECKPOINTS, st.integers(-1, 60))
def test_legs_add_up_to_what_was_done_whoever_did_it(
    checkpoints: list[tuple[float, int, int]], hand_over_at: int
) -> None:
    course = course_of(checkpoints, hand_over_at)
    assert legs_of(course.text) == tuple(course.legs)
    assert sum(leg.rows for leg in course.legs) == sum(rows for _, rows, _ in checkpoints)
    assert sum(leg.throttled for leg in course.legs) == sum(throttled for *_, throttled in checkpoints)
    assert abs(sum(leg.seconds for leg in course.legs) - sum(seconds for seconds, *_ in checkpoints)) < 0.06
    assert len(course.legs) <= MOST_LEGS


def test_legs_of_a_long_piece_are_about_equally_long() -> None:
    legs = course_of([(2.0, 8_000, 100)] * 5_000).legs
    assert max(leg.seconds for leg in legs) <= 4 * 10_000 / MOST_LEGS
    assert len(legs) >= MOST_LEGS / 2
    assert {(leg.rows / leg.seconds, leg.throttled / leg.seconds) for leg in legs} == {(4_000.0, 50.0)}


def test_time_in_which_nobody_was_at_work_is_a_leg_without_rows() -> None:
    course = Course(BEGAN, (Leg(2.0, 500, 7),), 500, 7)
    course.reach(BEGAN + 60, 500, 7)
    course.reach(BEGAN + 62, 900, 7)
    assert course.legs == [Leg(2.0, 500, 7), Leg(58.0, 0, 0), Leg(2.0, 400, 0)]


def test_rows_that_are_settled_once_more_count_once_more() -> None:
    course = Course(BEGAN, (Leg(2.0, 500, 0),), 500, 0)
    course.reach(BEGAN + 4, 300, 0)
    course.reach(BEGAN + 6, 700, 0)
    assert [leg.rows for leg in course.legs] == [500, 300, 400]


def test_a_clock_that_is_behind_makes_no_leg_shorter_than_nothing() -> None:
    course = Course(BEGAN, (Leg(2.0, 500, 9),), 500, 9)
    course.reach(BEGAN + 1, 600, 9)
    assert course.legs[-1] == Leg(0.0, 100, 0)


def test_a_piece_that_loaders_of_the_version_before_began_has_one_leg_for_what_they_did() -> None:
    course = Course(BEGAN, (), 500, 7)
    course.reach(BEGAN + 10, 500, 7)
    assert course.legs == [Leg(10.0, 500, 7)]


def test_the_ledger_keeps_the_course_of_a_piece_over_a_hand_over(stage: Stage) -> None:
    piece = stage.piece_of(numbered(2_000))
    stage.load(piece, deadline=passes_after(3))
    stage.load(piece)
    (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
    assert entry.finished
    assert sum(leg.rows for leg in entry.legs) == 2_000
    assert abs(entry.started_at + sum(leg.seconds for leg in entry.legs) - entry.updated_at) < 0.2


def test_an_entry_with_all_its_legs_costs_one_write_unit(stage: Stage) -> None:
    ledger(stage).take_over()
    stage.aws.dynamodb.update_item(
        TableName=stage.ledger_table,
        Key={"loadId": {"S": stage.name}, "entry": {"S": "piece#00000"}},
        UpdateExpression="SET legs = :legs",
        ExpressionAttributeValues={":legs": {"S": ";".join(["123.4 83333 12345"] * MOST_LEGS)}},
    )
    loader = ledger(stage)
    loader.take_over()
    loader.record(
        Tally(
            next_row=2_000_000,
            written=2_000_000,
            item_bytes=1_800_000_000,
            write_units=2_000_000.0,
            recorded_keys=2_000_000,
            seconds=2961.612345,
            rows_throttled=296_280,
            throttled_seconds=900.512345,
            encoder="2, in rounds of 100",
        )
    )
    (item,) = stage.aws.dynamodb.scan(TableName=stage.ledger_table)["Items"]
    assert len(item["legs"]["S"].split(";")) == MOST_LEGS
    # A number takes a byte for two digits, and one or two more; an execution's name has 80 characters at most.
    values = [(kind, str(value)) for typed in item.values() for kind, value in typed.items()]
    size = sum(len(value) // 2 + 2 if kind == "N" else len(value) for kind, value in values)
    assert sum(map(len, item)) + size + 80 <= 1_024
