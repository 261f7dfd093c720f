"""Where loaders agree on a pace: a row of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dynamo_load.writing.common_pace import ENTRY, FRESH_SECONDS, CommonPace
from dynamo_load.writing.ledger_client import ledger_client
from errors import AwsRefused
from tests.unit.dynamo_load.conftest import session_for

if TYPE_CHECKING:
    from tests.unit.dynamo_load.conftest import Stage

NOWHERE = "http://127.0.0.1:1"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def loader(stage: Stage, clock: Clock, load_id: str = "monday", loaders: int = 2) -> CommonPace:
    return CommonPace(ledger_client(stage.aws.session), stage.ledger_table, load_id, loaders, clock=clock)


def test_two_meet_half_way_and_a_third_begins_where_the_last_one_was(stage: Stage, clock: Clock) -> None:
    first, second = loader(stage, clock), loader(stage, clock)
    assert first.known() is None
    assert first.meet(1_000.0) == 1_000.0
    assert second.meet(2_000.0) == 1_500.0
    assert loader(stage, clock).known() == 2_000.0


def test_a_loader_does_not_meet_itself(stage: Stage, clock: Clock) -> None:
    alone = loader(stage, clock)
    alone.meet(1_000.0)
    clock.now += 2
    assert alone.meet(3_000.0) == 3_000.0


def test_another_load_has_a_pace_of_its_own(stage: Stage, clock: Clock) -> None:
    loader(stage, clock).meet(1_000.0)
    assert loader(stage, clock, load_id="tuesday").known() is None


def test_a_pace_that_nobody_has_renewed_is_forgotten(stage: Stage, clock: Clock) -> None:
    loader(stage, clock).meet(1_000.0)
    clock.now += FRESH_SECONDS + 1
    assert loader(stage, clock).known() is None
    assert loader(stage, clock).meet(2_000.0) == 2_000.0


@pytest.mark.parametrize(("loaders", "meetings"), [(1, 40), (100, 4)])
def test_all_loaders_together_meet_ten_times_a_second_at_most(
    stage: Stage, clock: Clock, loaders: int, meetings: int
) -> None:
    pace, moments = loader(stage, clock, loaders=loaders), set()
    for _ in range(160):
        clock.now += 0.25
        pace.meet(1_000.0)
        key = {"loadId": {"S": "monday"}, "entry": {"S": ENTRY}}
        moments.add(stage.aws.dynamodb.get_item(TableName=stage.ledger_table, Key=key)["Item"]["at"]["N"])
    assert len(moments) == pytest.approx(meetings, rel=0.3)


def test_a_loader_goes_on_by_itself_when_the_ledger_does_not_answer(
    stage: Stage, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    alone = CommonPace(ledger_client(session_for(NOWHERE)), stage.ledger_table, "monday", 2, clock=clock)
    assert alone.known() is None
    assert alone.meet(1_000.0) == 1_000.0
    assert "the loader keeps its own pace" in caplog.text


def test_a_ledger_that_may_not_be_used_is_an_error(stage: Stage, clock: Clock) -> None:
    with pytest.raises(AwsRefused):
        CommonPace(ledger_client(stage.aws.session), "no-such-table", "monday", 2, clock=clock).known()
