"""A loader notes until when it may be at work, and takes the note away when it is not: who loads next goes by that."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

import pytest

from dynamo_load.accounting.ledger import PieceLedger, pieces, reopen, stop_load
from dynamo_load.errors import LoadHasFailed, MissingFile, PieceTakenOver
from tests.unit.dynamo_load.conftest import NO_DEADLINE, numbered, passes_after

if TYPE_CHECKING:
    from tests.unit.dynamo_load.conftest import Stage

LATER = time.time() + 900


def busy_until(stage: Stage) -> float:
    (entry,) = pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)
    return entry.busy_until


def ledger(stage: Stage, until: float = LATER) -> PieceLedger:
    """The ledger of a loader that is killed before it can take its note away."""
    return PieceLedger(stage.aws.dynamodb, stage.ledger_table, stage.name, "00000", 60, busy_until=until)


def stop(stage: Stage) -> bool:
    return stop_load(stage.aws.dynamodb, stage.ledger_table, stage.name)


def test_a_loader_is_at_work_until_it_has_finished(stage: Stage) -> None:
    piece = stage.piece_of(numbered(60))
    seen: list[float] = []

    def look() -> float:
        seen.append(busy_until(stage))
        return NO_DEADLINE

    stage.load(piece, deadline=look, busy_until=LATER)
    assert set(seen) == {LATER}
    assert busy_until(stage) == 0
    stage.load(piece, busy_until=LATER)
    assert busy_until(stage) == 0


def test_nor_is_it_once_it_has_handed_its_piece_over(stage: Stage) -> None:
    stage.load(stage.piece_of(numbered(1_000)), deadline=passes_after(3), busy_until=LATER)
    assert busy_until(stage) == 0


def test_nor_once_it_has_failed(stage: Stage) -> None:
    piece = stage.piece_of(numbered(60))
    stage.aws.s3.delete_object(Bucket=stage.bucket, Key=piece.slices[0].key)
    with pytest.raises(MissingFile):
        stage.load(piece, busy_until=LATER)
    assert busy_until(stage) == 0


def test_one_that_lives_on_is_at_work_after_its_successor_has_finished(stage: Stage) -> None:
    piece = stage.piece_of(numbered(60))
    looks = itertools.count()

    def overtaken() -> float:
        if next(looks) == 0:
            stage.load(piece, busy_until=LATER + 60)
            assert busy_until(stage) == LATER
        return NO_DEADLINE

    with pytest.raises(PieceTakenOver):
        stage.load(piece, deadline=overtaken, busy_until=LATER)
    assert busy_until(stage) == 0


def test_one_that_was_killed_counts_as_at_work_until_its_time_is_up(stage: Stage) -> None:
    ledger(stage).take_over()
    assert stop(stage)
    assert stop(stage)
    past = PieceLedger(stage.aws.dynamodb, stage.ledger_table, "other", "00000", 60, busy_until=time.time() - 60)
    past.take_over()
    assert not stop_load(stage.aws.dynamodb, stage.ledger_table, "other")


def test_a_stopped_piece_is_nobodys_until_it_is_opened_again(stage: Stage) -> None:
    piece = stage.piece_of(numbered(60))
    killed = ledger(stage)
    killed.take_over()
    stop(stage)
    with pytest.raises(LoadHasFailed):
        stage.load(piece)
    for _ in range(2):
        reopen(stage.aws.dynamodb, stage.ledger_table, stage.name)
    with pytest.raises(PieceTakenOver):
        killed.record_failure(KeyError())
    assert stage.load(piece).written == 60
    assert stop(stage)
    killed.leave()
    assert not stop(stage)


def test_a_finished_piece_is_not_taken_from_anybody(stage: Stage) -> None:
    piece = stage.piece_of(numbered(60))
    stage.load(piece)
    assert not stop(stage)
    assert stage.load(piece).written == 60


def test_a_load_without_loaders_is_not_at_work(stage: Stage) -> None:
    assert not stop(stage)
    reopen(stage.aws.dynamodb, stage.ledger_table, stage.name)
    assert list(pieces(stage.aws.dynamodb, stage.ledger_table, stage.name)) == []
