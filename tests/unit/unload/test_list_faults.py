"""RedshiftUnloadS3ListFunction with a fault before and after each of its calls, and its task tried again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import redshift_unload_s3_list.app
from tests.unit.outside_calls import (
    ANSWER_LOST,
    KILLED_AFTER,
    KILLED_BEFORE,
    THROTTLED,
    Fault,
    after_each_call,
    without_pauses,
)
from tests.unit.unload.conftest import ASKED, BUCKET, EXECUTION, PREFIX, STATEMENT, Unloaded, kept, prepare, reviews
from tests.unit.waiting_task import REGION, FunctionContext

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("target")

COLUMNS = [
    {"name": "id", "type": {"base": "character varying", "max_length": 20}},
    {"name": "stars", "type": {"base": "integer"}},
]
UPSERT: dict[str, Any] = {}
OTHERS: list[dict[str, Any]] = [
    {"mode": "changes"},
    {"mode": "mirror"},
    {"mode": "mirror", "dry_run": True},
    {"dry_run": True},
]


def forget_plans() -> None:
    s3 = boto3.client("s3", REGION)
    for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="loads/").get("Contents", []):
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])


def listing(asked: dict[str, Any]) -> Callable[[], Any]:
    """Unload two files, prepare a load, and return what lists for it."""
    unloaded = Unloaded(columns=COLUMNS)
    if "mode" in asked:
        unloaded.add_bucket(1, reviews(10))
        unloaded.add_bucket(3, reviews(10, first=10))
    else:
        unloaded.add("0000_part_00.parquet", reviews(10))
        unloaded.add("0001_part_00.parquet", reviews(10, first=10))
    unloaded.store()
    event = {
        "execution": {"Id": EXECUTION, "Input": asked, "Name": "monday"},
        "unload": {"statement_id": "1", "statement_name": STATEMENT},
        **ASKED,
        "target": prepare(asked)["target"],
        "known": {"buckets": 4, "progress": None},
    }
    return lambda: redshift_unload_s3_list.app.handler(json.loads(json.dumps(event)), FunctionContext())


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        *((UPSERT, fault) for fault in (KILLED_BEFORE, KILLED_AFTER, THROTTLED, ANSWER_LOST)),
        # Killed after one call is killed before the next.
        *((asked, KILLED_AFTER) for asked in OTHERS),
    ],
    ids=str,
)
def test_a_listing_that_goes_wrong_at_any_call_and_is_tried_again_comes_to_the_same(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], fault: Fault
) -> None:
    without_pauses(monkeypatch)
    list_unloaded = listing(asked)
    plan = list_unloaded()
    undisturbed = kept()
    assert f"{PREFIX}manifest" in undisturbed
    assert any(key.startswith("loads/") for key in undisturbed) == (plan["plan"] is not None)
    for _ in after_each_call(forget_plans, lambda _: list_unloaded(), fault):
        assert list_unloaded() == plan
        assert kept() == undisturbed
