"""Cutting the work: every row in exactly one piece, in order, within the bounds of a piece."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_load.plan import Piece, Slice
from unload.errors import BucketTooLarge, ManifestMismatch
from unload.manifest import UnloadedFile
from unload.work_list import as_json, cut, in_buckets, rows_per_piece

ROW_GROUPS = st.lists(st.integers(0, 400), max_size=12)


def files_of(groups: list[list[int]]) -> list[UnloadedFile]:
    return [
        UnloadedFile(f"unload/x/{number:04d}_part_00.parquet", bytes=1, rows=sum(rows))
        for number, rows in enumerate(groups)
    ]


def cut_up(groups: list[list[int]], most_rows: int) -> list[Piece]:
    files = files_of(groups)
    rows = dict(zip((file.key for file in files), groups, strict=True))
    return cut(files, most_rows, lambda file: rows[file.key])


def row_numbers(groups: list[list[int]], slices: list[Slice]) -> list[tuple[str, int]]:
    """Every row of some slices as (file, number in the file), in the order in which a loader reads them."""
    found = []
    by_key = {file.key: rows for file, rows in zip(files_of(groups), groups, strict=True)}
    for part in slices:
        rows = by_key[part.key]
        for number in range(len(rows)) if part.row_groups is None else part.row_groups:
            start = sum(rows[:number])
            found += [(part.key, row) for row in range(start, start + rows[number])]
    return found


@given(groups=st.lists(ROW_GROUPS, max_size=8), most_rows=st.integers(1, 1000))
def test_every_row_is_in_exactly_one_piece_and_in_order(groups: list[list[int]], most_rows: int) -> None:
    pieces = cut_up(groups, most_rows)
    everything = [Slice(file.key, None, file.rows) for file in files_of(groups)]
    assert row_numbers(groups, [part for piece in pieces for part in piece.slices]) == row_numbers(groups, everything)
    for piece in pieces:
        assert piece.rows == sum(part.rows for part in piece.slices) == len(row_numbers(groups, list(piece.slices)))
        assert all(part.rows == len(row_numbers(groups, [part])) for part in piece.slices)


@given(groups=st.lists(ROW_GROUPS, max_size=8), most_rows=st.integers(1, 1000))
def test_a_piece_keeps_its_bound_unless_one_row_group_alone_is_larger(groups: list[list[int]], most_rows: int) -> None:
    largest = max((rows for file in groups for rows in file), default=0)
    for piece in cut_up(groups, most_rows):
        assert 0 < piece.rows <= max(most_rows, largest)
        if piece.rows > most_rows:
            assert [len(part.row_groups or ()) for part in piece.slices] == [1]


@given(groups=st.lists(ROW_GROUPS, max_size=8), most_rows=st.integers(1, 1000))
def test_no_two_neighbouring_pieces_could_have_been_one(groups: list[list[int]], most_rows: int) -> None:
    pieces = cut_up(groups, most_rows)
    assert all(one.rows + next_.rows > most_rows for one, next_ in pairwise(pieces))


@given(groups=st.lists(ROW_GROUPS, max_size=8), most_rows=st.integers(1, 1000))
def test_the_loader_reads_the_pieces_back_as_they_were_cut(groups: list[list[int]], most_rows: int) -> None:
    pieces = cut_up(groups, most_rows)
    assert [Piece.from_json(item) for item in json.loads(as_json(pieces))] == pieces


def test_a_large_file_is_shared_out_evenly() -> None:
    pieces = cut_up([[10] * 21], most_rows=100)
    assert [piece.rows for piece in pieces] == [70, 70, 70]
    assert [piece.slices[0].row_groups for piece in pieces][1] == tuple(range(7, 14))


def test_small_files_are_put_together_and_need_no_look_into_them() -> None:
    files = files_of([[30], [30], [30], [30]])

    def look(file: UnloadedFile) -> list[int]:
        raise AssertionError(f"{file.key} was looked into")

    pieces = cut(files, 60, look)
    assert [[part.key[-20:-8] for part in piece.slices] for piece in pieces] == [
        ["0000_part_00", "0001_part_00"],
        ["0002_part_00", "0003_part_00"],
    ]
    assert all(part.row_groups is None for piece in pieces for part in piece.slices)


def test_files_without_rows_are_nobodys_work() -> None:
    assert cut_up([[], [0], [5], [0, 0]], most_rows=10) == [
        Piece("00000", 5, (Slice("unload/x/0002_part_00.parquet", None, 5),))
    ]
    assert cut_up([], most_rows=10) == []


def test_a_piece_of_very_many_or_very_long_names_stays_within_a_childs_input() -> None:
    key = "unload/" + "ü" * 80 + "/0123456789abcdef0123456789abcdef/{:04d}_part_00.parquet"
    files = [UnloadedFile(key.format(number), 1, 1) for number in range(1000)]
    pieces = cut(files, 1_000_000, lambda _file: [])
    assert sum(piece.rows for piece in pieces) == 1000
    assert all(len(piece.slices) <= 200 and len(as_json([piece])) <= 100_100 for piece in pieces)


def test_a_piece_has_at_most_as_many_files_as_a_loader_opens_at_once() -> None:
    pieces = cut([UnloadedFile(f"{number}", 1, 1) for number in range(500)], 1_000_000, lambda _file: [])
    assert [len(piece.slices) for piece in pieces] == [200, 200, 100]


def test_a_piece_of_very_many_row_groups_stays_within_a_childs_input() -> None:
    pieces = cut_up([[1] * 100_000], most_rows=90_000)
    assert sum(piece.rows for piece in pieces) == 100_000
    assert all(len(as_json([piece])) <= 100_100 for piece in pieces)


def test_loaders_get_several_pieces_each_within_reason() -> None:
    assert rows_per_piece(rows=4_000_000, loaders=10) == 100_000
    assert rows_per_piece(rows=100, loaders=1000) == 25_000
    assert rows_per_piece(rows=10**10, loaders=10) == 250_000


PREFIX = "unload/x/"


def bucket_file(bucket: object, rows: int, name: str = "0000_part_00.parquet") -> UnloadedFile:
    return UnloadedFile(f"{PREFIX}load_bucket={bucket}/{name}", 1, rows)


@given(
    buckets=st.sampled_from([1, 2, 8, 64]),
    rows=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 10_000)), max_size=50),
)
def test_each_bucket_is_a_piece_of_all_its_files_in_order(buckets: int, rows: list[tuple[int, int]]) -> None:
    files = [bucket_file(bucket % buckets, count, f"{number:04d}") for number, (bucket, count) in enumerate(rows)]
    pieces = in_buckets(files, PREFIX, buckets)
    assert [(piece.bucket, piece.name) for piece in pieces] == [(n, f"{n:05d}") for n in range(buckets)]
    assert [Piece.from_json(item) for item in json.loads(as_json(pieces))] == pieces
    for piece in pieces:
        mine = [file for file in files if file.rows and file.key.startswith(f"{PREFIX}load_bucket={piece.bucket}/")]
        assert piece.slices == tuple(Slice(file.key, None, file.rows) for file in mine)
        assert piece.rows == sum(file.rows for file in mine)


@pytest.mark.parametrize("folder", ["4", "-1", "01", "1.0", "__HIVE_DEFAULT_PARTITION__", "", "0/load_bucket=1"])
@pytest.mark.parametrize("rows", [0, 5])
def test_a_folder_that_is_no_bucket_is_refused(folder: str, rows: int) -> None:
    with pytest.raises(ManifestMismatch, match="none of the 4 buckets"):
        in_buckets([bucket_file(0, 1), bucket_file(folder, rows)], PREFIX, 4)


@pytest.mark.parametrize("key", ["0000_part_00.parquet", "place=1/0000_part_00.parquet"])
def test_a_file_outside_the_buckets_is_refused(key: str) -> None:
    with pytest.raises(ManifestMismatch):
        in_buckets([UnloadedFile(PREFIX + key, 1, 1)], PREFIX, 4)


def test_a_bucket_of_too_many_rows_or_files_is_refused() -> None:
    most = [bucket_file(1, 1_000_000, "a"), bucket_file(1, 1_000_000, "b")]
    assert in_buckets(most, PREFIX, 2)[1].rows == 2_000_000
    with pytest.raises(BucketTooLarge, match=r'bucket 1 has 2,000,001 rows.*"full": true'):
        in_buckets([*most, bucket_file(1, 1, "c")], PREFIX, 2)
    many = [bucket_file(0, 1, "x" * 60 + f"{number:04d}") for number in range(1_000)]
    assert len(as_json(in_buckets(many[:600], PREFIX, 1))) < 100_200
    with pytest.raises(BucketTooLarge, match="bucket 0 has 1,000 files"):
        in_buckets(many, PREFIX, 1)
