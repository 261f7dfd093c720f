"""Which rows an incremental load asks for, and how far it comes. What Redshift makes of it is in tests/local."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from records.table_state import Progress
from statements.errors import InvalidIdentifier
from unload.buckets import Counted, Known
from unload.errors import UnsuitableIncrementalColumn
from unload.incremental import newer_rows, next_progress
from unload.request import Incremental

QUERY = "SELECT * FROM t"
NOTHING = Known(None, None)
AT = Incremental(column="at")


def after(highest: str, query: str = QUERY, incremental: Incremental = AT) -> Known:
    """What is known after a load that came so far."""
    return Known(None, next_progress(incremental, query, NOTHING, Counted(1, highest)))


def test_the_first_load_takes_all_rows_and_the_next_those_beyond_and_those_without_a_value() -> None:
    assert newer_rows(AT, QUERY, NOTHING) is None
    assert newer_rows(AT, QUERY, after("it's")) == """"at" > 'it''s' OR "at" IS NULL"""
    assert newer_rows(None, QUERY, after("5")) is None


def test_progress_is_bound_to_its_column_and_query() -> None:
    assert newer_rows(Incremental(column="on"), QUERY, after("5")) is None
    assert newer_rows(AT, f"{QUERY} WHERE x", after("5")) is None
    assert newer_rows(AT, QUERY, after("5", incremental=Incremental(column="AT"))) is None


def test_a_load_that_finds_no_value_keeps_the_progress_of_its_own_column_and_query_only() -> None:
    known = after("5")
    nothing = Counted(0, None)
    assert next_progress(AT, QUERY, known, nothing) == known.progress
    assert next_progress(Incremental(column="on"), QUERY, known, nothing) is None
    assert next_progress(None, QUERY, known, Counted(1, "6")) is None


def test_a_column_is_one_name() -> None:
    with pytest.raises(InvalidIdentifier):
        newer_rows(Incremental(column='a" OR 1=1 --'), QUERY, Known(None, Progress('a" OR 1=1 --', _digest(), "5")))


def _digest() -> str:
    progress = after("5").progress
    assert progress
    return progress.query


@pytest.mark.parametrize(
    "highest",
    ["5", "20261126", "abc", "2026-11-26T03:00:00", "2026-13-26", "2026-11-26 25:00:00", "0001-01-01", "infinity"],
)
def test_an_overlap_that_cannot_be_subtracted_fails_the_first_load_already_and_quotes_no_value(highest: str) -> None:
    overlapping = Incremental(column="at", overlap_seconds=3600)
    with pytest.raises(UnsuitableIncrementalColumn, match="overlap_seconds") as refusal:
        next_progress(overlapping, QUERY, NOTHING, Counted(1, highest))
    assert highest not in str(refusal.value).replace("1 to 9999", "")
    assert refusal.value.__cause__ is None


def test_an_overlap_longer_than_time_is_refused() -> None:
    with pytest.raises(UnsuitableIncrementalColumn):
        next_progress(Incremental(column="at", overlap_seconds=10**20), QUERY, NOTHING, Counted(1, "2026-11-26"))


@given(
    st.datetimes().filter(lambda moment: moment.year > 1),
    st.sampled_from(["", "+00", "+05:30", "-08"]),
    st.integers(0, 10**6),
)
def test_any_timestamp_is_set_back_by_the_overlap_and_keeps_its_offset(
    highest: datetime, offset: str, overlap: int
) -> None:
    text = highest.isoformat(" ") + offset
    overlapping = Incremental(column="at", overlap_seconds=overlap)
    condition = newer_rows(overlapping, QUERY, after(text))
    assert condition
    since = condition.split("'")[1]
    assert datetime.fromisoformat(text) - datetime.fromisoformat(since) == timedelta(seconds=overlap)
