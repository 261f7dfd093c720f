"""Some of the items are read back in the end: what the target does not hold as the rows say fails the piece."""

from __future__ import annotations

import time
from contextlib import nullcontext
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from dynamo_load.errors import ItemsDiffer
from tests.unit.dynamo_load.conftest import near_when, numbered

if TYPE_CHECKING:
    from dynamo_load.plan import Piece
    from tests.unit.dynamo_load.conftest import Stage

EVERY = 1_000


def change(stage: Stage, key: str, number: str) -> None:
    """Let another writer change an item."""
    stage.aws.dynamodb.update_item(
        TableName=stage.name,
        Key={"id": {"S": key}},
        UpdateExpression="SET #number = :number",
        ExpressionAttributeNames={"#number": "number"},
        ExpressionAttributeValues={":number": {"N": number}},
    )


def hand_over(stage: Stage, piece: Piece, key: str) -> None:
    """Load until the target holds a key, and a little further."""
    assert not stage.load(piece, deadline=near_when(lambda: key in stage.items()), sample=EVERY).finished


def test_items_of_every_type_are_what_was_written(stage: Stage) -> None:
    columns: dict[str, Any] = {
        "id": ["a", "b", "c"],
        "exact": pa.array([Decimal("1.50"), Decimal("0.00"), None], pa.decimal128(9, 2)),
        "real": pa.array([1e30, -0.0, None]),
        "flag": [True, None, False],
    }
    assert stage.load(stage.piece_of(pa.table(columns)), sample=EVERY).finished


def test_neither_rejected_nor_superseded_rows_are_looked_for(stage: Stage) -> None:
    rows = pa.table({"id": ["a", "a", "", None], "number": [1, 2, 3, 4]})
    assert stage.load(stage.piece_of(rows), sample=EVERY).written == 1


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_sample_is_no_more_than_asked_for(stage: Stage, size: int) -> None:
    read: list[int] = []

    def count(params: dict[str, Any], **_: Any) -> None:
        read.append(len(params["RequestItems"][stage.name]["Keys"]))

    stage.aws.dynamodb.meta.events.register("provide-client-params.dynamodb.BatchGetItem", count)
    try:
        stage.load(stage.piece_of(numbered(300)), sample=size)
    finally:
        stage.aws.dynamodb.meta.events.unregister("provide-client-params.dynamodb.BatchGetItem", count)
    assert sum(read) == size


def test_an_item_that_another_has_changed_is_named_whoever_wrote_it_and_however_often_it_is_tried(stage: Stage) -> None:
    piece = stage.piece_of(numbered(500))
    hand_over(stage, piece, "row-3")
    change(stage, "row-3", "-1")
    for _ in range(2):
        with pytest.raises(ItemsDiffer, match=r"1 of 500 items .* such as id=row-3:"):
            stage.load(piece, sample=EVERY)


@pytest.mark.parametrize(("seconds", "differing"), [(-5, False), (3_600, True)])
def test_an_item_may_be_gone_if_it_has_expired_and_not_else(stage: Stage, *, seconds: int, differing: bool) -> None:
    stage.ttl_attribute = "until"
    until = pa.array([int(time.time()) + seconds] * 500, pa.int64())
    piece = stage.piece_of(numbered(500).append_column("until", until))
    hand_over(stage, piece, "row-3")
    stage.aws.dynamodb.delete_item(TableName=stage.name, Key={"id": {"S": "row-3"}})
    with pytest.raises(ItemsDiffer, match="id=row-3:") if differing else nullcontext():
        stage.load(piece, sample=EVERY)
