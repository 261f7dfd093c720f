"""The execution's input: everything optional, nothing unknown, and limits that the input may override."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynamo_load.plan import LoadLimits
from errors import InvalidInput
from execution_input import parse_input
from unload.query import requested_query
from unload.request import LoadRequest, requested_limits

EVENTS = Path(__file__).parents[3] / "events"
DEFAULTS = LoadLimits(max_write_units_per_second=1000, loader_concurrency=10, rejects_allowed=5)


def test_an_empty_input_is_the_configured_load() -> None:
    request = parse_input(LoadRequest, {})
    assert (request.query, request.table, request.dry_run) == (None, None, False)
    assert requested_limits(request, DEFAULTS) == DEFAULTS


def test_the_input_overrides_single_limits_and_zero_is_a_value() -> None:
    request = parse_input(LoadRequest, {"max_write_units_per_second": 0, "rejects_allowed": 7})
    assert requested_limits(request, DEFAULTS) == LoadLimits(
        max_write_units_per_second=0, loader_concurrency=10, rejects_allowed=7
    )


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"tabel": "reviews"}, "tabel"),
        ({"query": 5}, "query"),
        ({"query": "SELECT 1", "table": "t"}, "query or table"),
        ({"columns": ["a"]}, "columns and where belong to table"),
        ({"query": "SELECT 1", "where": "a > 1"}, "columns and where belong to table"),
        ({"table": "t", "columns": []}, "columns"),
        ({"table": "t", "columns": "a"}, "columns"),
        ({"max_write_units_per_second": -1}, "max_write_units_per_second"),
        ({"max_write_units_per_second": "100"}, "max_write_units_per_second"),
        ({"max_write_units_per_second": 1.5}, "max_write_units_per_second"),
        ({"loader_concurrency": 0}, "loader_concurrency"),
        ({"timeout_seconds": 9}, "timeout_seconds"),
        ({"timeout_seconds": 28_801}, "timeout_seconds"),
        ({"timeout_seconds": 60.5}, "timeout_seconds"),
        ({"timeout_seconds": "60"}, "timeout_seconds"),
        ({"loader_concurrency": 10_001}, "loader_concurrency"),
        ({"loader_concurrency": True}, "loader_concurrency"),
        ({"rejects_allowed": -1}, "rejects_allowed"),
        ({"headroom": -0.1}, "headroom"),
        ({"headroom": 0.91}, "headroom"),
        ({"headroom": "0.5"}, "headroom"),
        ({"attributes": ["id"]}, "attributes"),
        ({"attributes": {"id": 5}}, "attributes.id"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"mode": "delta"}, "mode"),
        ({"full": True}, "full belongs to the modes changes and mirror"),
        ({"full": True, "unique": True}, "full belongs to"),
        ({"mode": "changes", "unique": True}, "unique belongs to the mode upsert"),
        ({"mode": "mirror", "unique": True}, "unique belongs to the mode upsert"),
        ({"deletes_allowed": 0.1}, "deletes_allowed belongs to the mode mirror"),
        ({"mode": "changes", "deletes_allowed": 0}, "deletes_allowed"),
        ({"mode": "mirror", "deletes_allowed": 1.1}, "deletes_allowed"),
        ({"mode": "mirror", "incremental": {"column": "at"}}, "incremental is not for the mode mirror"),
        ({"unique": True, "incremental": {"column": "at"}}, "incremental is not for unique"),
        ({"incremental": "at"}, "incremental"),
        ({"incremental": {"overlap_seconds": 5}}, "incremental.column"),
        ({"incremental": {"column": "at", "overlap_seconds": -1}}, "incremental.overlap_seconds"),
        ({"verify_sample": -1}, "verify_sample"),
        ({"resume": "monday/../tuesday"}, "resume"),
        ({"resume": "monday-1", "mode": "changes", "query": "SELECT 1"}, "leave out mode, query"),
        ({"resume": "monday-1", "dry_run": False}, "leave out dry_run"),
        ({"resume": "monday-1", "target_table": "reviews"}, "leave out target_table"),
        ([], "the input"),
        (None, "the input"),
        ("SELECT 1", "the input"),
    ],
)
def test_a_wrong_field_is_named(value: Any, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        parse_input(LoadRequest, value)


@pytest.mark.parametrize(
    ("value", "has_buckets", "forgets"),
    [
        ({}, False, False),
        ({"incremental": {"column": "at", "overlap_seconds": 60}}, False, False),
        ({"unique": True}, True, True),
        ({"mode": "changes"}, True, False),
        ({"mode": "changes", "full": True, "incremental": {"column": "at"}}, True, True),
        ({"mode": "mirror", "deletes_allowed": 1}, True, False),
        ({"mode": "mirror", "full": True, "dry_run": True, "verify_sample": 5}, True, True),
        ({"resume": "monday-1", "wait": True, "rejects_allowed": 5, "loader_concurrency": 3}, False, False),
        ({"resume": "monday-1", "max_write_units_per_second": 0, "headroom": 0.5}, False, False),
    ],
)
def test_a_mode_says_whether_there_are_buckets_and_whether_what_is_known_counts(
    value: Any, *, has_buckets: bool, forgets: bool
) -> None:
    request = parse_input(LoadRequest, value)
    assert (request.has_buckets, request.forgets) == (has_buckets, forgets)


@pytest.mark.parametrize("headroom", [0, 0.25, 0.9])
def test_headroom_is_a_limit_that_only_the_input_sets(headroom: float) -> None:
    request = parse_input(LoadRequest, {"headroom": headroom})
    assert requested_limits(request, DEFAULTS) == replace(DEFAULTS, headroom=headroom)


@pytest.mark.parametrize("path", sorted(EVENTS.glob("redshift_to_dynamo_*.json")), ids=lambda path: path.stem)
def test_the_sample_inputs_are_taken(path: Path) -> None:
    request = parse_input(LoadRequest, json.loads(path.read_text()))
    assert requested_query(request, "SELECT 1")
