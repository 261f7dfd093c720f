"""The work of one load cut into pieces, each the input of one loader: its buckets, or else pieces of about equal rows.

For the latter, a file with more rows than a piece is shared out by row groups, small files are put together; the order
of rows stays.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from math import ceil
from typing import NamedTuple, Protocol, TypeVar

from dynamo_load.plan import Piece, Slice
from unload.buckets import BUCKET_COLUMN
from unload.errors import BucketTooLarge, ManifestMismatch
from unload.manifest import UnloadedFile

# A piece shorter than this isn't worth a loader's start; a longer one than this costs too much to do again.
_FEWEST_ROWS = 25_000
_MOST_ROWS = 250_000
# Several pieces per loader let quick loaders take work from slow ones.
_PIECES_PER_LOADER = 4

# What a loader keeps of each row of its bucket, to settle duplicates and to compare, has to fit its memory.
_MOST_BUCKET_ROWS = 2_000_000
_BUCKET_FILE = re.compile(rf"{BUCKET_COLUMN}=(0|[1-9][0-9]*)/[^/]+", re.ASCII)

# A loader opens all files of its piece at once; of a bucket these may be more, as its bytes allow.
_MOST_SLICES = 200
# A child's input is limited to 256 KiB, the load plan included ("Service quotas", Step Functions developer guide).
_MOST_PIECE_BYTES = 100_000
_MOST_ROW_GROUP_BYTES = 50_000


def rows_per_piece(rows: int, loaders: int) -> int:
    """How many rows a piece should have, so that `loaders` at once share `rows` rows evenly."""
    return min(_MOST_ROWS, max(_FEWEST_ROWS, ceil(rows / (loaders * _PIECES_PER_LOADER))))


def cut(
    files: Iterable[UnloadedFile], most_rows: int, row_groups: Callable[[UnloadedFile], Sequence[int]]
) -> list[Piece]:
    """Cut the rows of all files into pieces of at most `most_rows` rows, or a single larger row group.

    `row_groups` gives the rows of each row group of a file; it is asked for files of more than `most_rows` rows only.
    """
    slices = [part for file in files if file.rows for part in _slices(file, most_rows, row_groups)]
    together = _joined(slices, _json_size, most_rows=most_rows, most_bytes=_MOST_PIECE_BYTES, most_parts=_MOST_SLICES)
    return [
        Piece(f"{number:05d}", sum(part.rows for part in parts), tuple(parts)) for number, parts in enumerate(together)
    ]


def in_buckets(files: Iterable[UnloadedFile], prefix: str, buckets: int) -> list[Piece]:
    """A piece of each bucket, also of those without rows, from the files in the buckets' folders under `prefix`.

    Raises ManifestMismatch if a file lies in no bucket's folder, and BucketTooLarge.
    """
    slices: dict[int, list[Slice]] = {bucket: [] for bucket in range(buckets)}
    for file in files:
        folder = _BUCKET_FILE.fullmatch(file.key.removeprefix(prefix))
        if folder is None or int(folder[1]) not in slices:
            raise ManifestMismatch(
                f"{file.key} lies in the folder of none of the {buckets:,} buckets: run the load again."
            )
        if file.rows:
            slices[int(folder[1])].append(Slice(file.key, None, file.rows))
    return [_bucket_piece(bucket, tuple(parts)) for bucket, parts in slices.items()]


def as_json(pieces: Iterable[Piece]) -> bytes:
    """The pieces as the JSON array that the Distributed Map reads; `Piece.from_json` reads one of its items."""
    return json.dumps([asdict(piece) for piece in pieces]).encode()


def _bucket_piece(bucket: int, slices: tuple[Slice, ...]) -> Piece:
    piece = Piece(f"{bucket:05d}", sum(part.rows for part in slices), slices, bucket)
    if piece.rows > _MOST_BUCKET_ROWS:
        raise BucketTooLarge(
            f"bucket {bucket} has {piece.rows:,} rows, more than the {_MOST_BUCKET_ROWS:,} that one loader takes: give "
            '"full": true, which counts the rows and makes more buckets of them. If the rows were just counted, very '
            "many of them have one key: have the query choose among these."
        )
    if sum(map(_json_size, slices)) > _MOST_PIECE_BYTES:
        raise BucketTooLarge(
            f"bucket {bucket} has {len(slices):,} files, more than a state passes on: have fewer slices of Redshift "
            "write them, or load in mode upsert without unique."
        )
    return piece


class _RowGroup(NamedTuple):
    number: int
    rows: int


def _slices(file: UnloadedFile, most_rows: int, row_groups: Callable[[UnloadedFile], Sequence[int]]) -> Iterator[Slice]:
    if file.rows <= most_rows:
        yield Slice(file.key, None, file.rows)
        return
    groups = [_RowGroup(number, rows) for number, rows in enumerate(row_groups(file)) if rows]
    even = ceil(file.rows / ceil(file.rows / most_rows))
    for part in _joined(groups, _json_size, most_rows=even, most_bytes=_MOST_ROW_GROUP_BYTES, most_parts=len(groups)):
        yield Slice(file.key, tuple(group.number for group in part), sum(group.rows for group in part))


class _Part(Protocol):
    @property
    def rows(self) -> int: ...


_P = TypeVar("_P", bound=_Part)


def _joined(
    parts: Iterable[_P], size: Callable[[_P], int], *, most_rows: int, most_bytes: int, most_parts: int
) -> Iterator[list[_P]]:
    """Put neighbours together while they stay within the limits; a part beyond them stands alone."""
    together: list[_P] = []
    rows = bytes_ = 0
    for part in parts:
        part_bytes = size(part)
        if together and (
            rows + part.rows > most_rows or bytes_ + part_bytes > most_bytes or len(together) == most_parts
        ):
            yield together
            together, rows, bytes_ = [], 0, 0
        together.append(part)
        rows += part.rows
        bytes_ += part_bytes
    if together:
        yield together


def _json_size(part: Slice | _RowGroup) -> int:
    return len(json.dumps(asdict(part))) + 2 if isinstance(part, Slice) else len(f"{part.number}, ")
