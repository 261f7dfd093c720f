import pytest

from tests.unit.dynamo_load.loading.conftest import Stage, numbered


@pytest.mark.parametrize("rows", [0, 1, 24, 25, 26])
def test_every_row_of_a_piece_becomes_an_item(stage: Stage, rows: int) -> None:
    piece = stage.piece_of(numbered(rows))

    tally = stage.load(piece)

    assert {key: int(item["number"]) for key, item in stage.items().items()} == {f"row-{n}": n for n in range(rows)}
    assert (tally.next_row, tally.written, tally.rejected, tally.superseded) == (rows, rows, 0, 0)
