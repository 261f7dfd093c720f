"""How many buckets a load has, told before anything is unloaded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_input import parse_input
from records.table_state import Generation, Progress, TableState
from target.table import KeyAttribute, TargetTable
from tests.unit.unload.conftest import counted
from unload.buckets import Counted, Known, buckets_for, buckets_of, known_of, must_count
from unload.errors import RowsNotCounted
from unload.request import LoadRequest

PROGRESS = Progress("at", "digest", "2026-11-26")
TARGET = TargetTable("reviews", (KeyAttribute("id", "S"),), made="today")
STATE = TableState(
    made="today", key_form="k", encoder=1, current=Generation("sunday", 2), keys=3_000_000, progress=PROGRESS
)
NEWER = {"incremental": {"column": "at"}}


def asked(**fields: Any) -> LoadRequest:
    return parse_input(LoadRequest, fields)


@given(st.integers(0, 10**12))
def test_buckets_are_a_power_of_two_and_none_is_expected_to_have_more_than_half_a_million_rows(rows: int) -> None:
    buckets = buckets_for(rows)
    assert buckets.bit_count() == 1
    assert rows <= buckets * 500_000
    assert buckets == 1 or rows > buckets * 250_000


@pytest.mark.parametrize(
    ("rows", "buckets"), [(0, 1), (1, 1), (500_000, 1), (500_001, 2), (1_000_001, 4), (10**9, 2048)]
)
def test_small_tables_have_one_bucket(rows: int, buckets: int) -> None:
    assert buckets_for(rows) == buckets


@pytest.mark.parametrize(
    ("fields", "state", "known", "counts"),
    [
        ({"mode": "changes"}, STATE, Known(8, PROGRESS), False),
        ({"mode": "mirror"}, STATE, Known(8, PROGRESS), False),
        ({"mode": "changes"}, None, Known(None, None), True),
        ({"mode": "changes", "full": True}, STATE, Known(None, None), True),
        ({"unique": True}, STATE, Known(None, None), True),
        ({}, STATE, Known(None, PROGRESS), False),
        ({}, None, Known(None, None), False),
        (NEWER, STATE, Known(None, PROGRESS), True),
        ({"mode": "changes", **NEWER}, STATE, Known(8, PROGRESS), True),
    ],
)
def test_rows_are_counted_where_no_record_tells_or_the_highest_value_is_needed(
    fields: dict[str, Any], state: TableState | None, known: Known, *, counts: bool
) -> None:
    assert known_of(asked(**fields), TARGET, state) == known
    assert must_count(asked(**fields), known) is counts


@pytest.mark.parametrize(
    "state",
    [
        TableState(made="yesterday", key_form="k", encoder=1, current=Generation("x", 2), keys=9, progress=PROGRESS),
        TableState(made="today", key_form="k", encoder=1, begun=(Generation("x", 2),), progress=PROGRESS),
    ],
    ids=["of a table that is gone", "of loads that all failed"],
)
def test_a_state_that_does_not_tell_how_many_keys_there_are_counts_for_nothing(state: TableState) -> None:
    assert known_of(asked(mode="changes"), TARGET, state) == Known(None, None)


def test_the_record_goes_before_the_count_and_a_mode_without_buckets_has_none() -> None:
    rows = Counted.from_output(counted(700_000))
    assert buckets_of(asked(mode="changes"), Known(8, None), rows) == 8
    assert buckets_of(asked(mode="changes"), Known(None, None), rows) == 2
    assert buckets_of(asked(), Known(None, PROGRESS), rows) is None


def test_a_count_that_cannot_be_read_says_why() -> None:
    output = counted(0) | {"result": None, "result_omitted": "GetStatementResult was refused"}
    with pytest.raises(RowsNotCounted, match="GetStatementResult was refused"):
        Counted.from_output(output)
    with pytest.raises(RowsNotCounted, match="how many rows"):
        buckets_of(asked(mode="changes"), Known(None, None), None)


@pytest.mark.parametrize("progress", [None, {"column": "at", "query": "digest", "highest": "2026-11-26"}])
def test_what_is_known_survives_the_state_machine(progress: Any) -> None:
    assert Known.from_json({"buckets": 4, "progress": progress}) == Known(4, PROGRESS if progress else None)
