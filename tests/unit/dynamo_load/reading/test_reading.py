"""Rows come out of Parquet files whole and in order, however these are built; what can't be read has a name."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dynamo_load.errors import CorruptParquetFile, FileReadInterrupted, MissingFile
from dynamo_load.plan import Piece, Slice
from dynamo_load.reading.piece_reader import CHUNK_ROWS, PieceReader, short_columns
from dynamo_load.reading.s3_file import S3File
from tests.unit.dynamo_load.conftest import numbered, session_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3 import S3Client

    from tests.unit.dynamo_load.conftest import Stage


DEADLINE_SECONDS = 30
# Behind the four letters that a Parquet file begins with.
FIRST_ROW_GROUP = 4


def reader(stage: Stage, piece: Piece, short: tuple[str, ...] = ()) -> PieceReader:
    return PieceReader(stage.aws.s3, stage.bucket, piece, short)


@contextmanager
def arrow_memory() -> Iterator[pa.MemoryPool]:
    """A count of the memory that Arrow takes meanwhile."""
    usual = pa.default_memory_pool()
    counted = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(counted)
    try:
        yield counted
    finally:
        pa.set_memory_pool(usual)


def read(stage: Stage, piece: Piece, start: int = 0) -> pa.Table:
    return pa.Table.from_batches([chunk.rows for chunk in reader(stage, piece).chunks(start)])


class TestChunks:
    def test_chunks_hold_all_rows_in_order_and_know_their_places(self, stage: Stage) -> None:
        piece = stage.piece(
            stage.put_file(numbered(CHUNK_ROWS + 10), "unload/0000", row_group_rows=CHUNK_ROWS + 3),
            {**stage.put_file(numbered(90, first=100_000), "unload/0001", row_group_rows=30), "row_groups": [2, 0]}
            | {"rows": 60},
        )

        chunks = list(reader(stage, piece).chunks(0))

        assert [(chunk.first_row, chunk.key, chunk.file_row, len(chunk.rows)) for chunk in chunks] == [
            (0, "unload/0000", 0, CHUNK_ROWS),
            (CHUNK_ROWS, "unload/0000", CHUNK_ROWS, 3),
            (CHUNK_ROWS + 3, "unload/0000", CHUNK_ROWS + 3, 7),
            (CHUNK_ROWS + 10, "unload/0001", 60, 30),
            (CHUNK_ROWS + 40, "unload/0001", 0, 30),
        ]
        numbers = [number for chunk in chunks for number in chunk.rows["number"].to_pylist()]
        assert numbers == [*range(CHUNK_ROWS + 10), *range(100_060, 100_090), *range(100_000, 100_030)]

    @pytest.mark.parametrize("row", [0, 1, 29, 30, 59, 60, 89])
    def test_reading_from_a_row_begins_with_its_chunk_and_ends_alike(self, stage: Stage, row: int) -> None:
        piece = stage.piece_of(numbered(90), row_group_rows=30)
        everything = list(reader(stage, piece).chunks(0))

        start = reader(stage, piece).chunk_start(row)
        chunks = list(reader(stage, piece).chunks(start))

        assert start == row - row % 30
        assert chunks == [chunk for chunk in everything if chunk.first_row >= start]
        ids = pa.Table.from_batches(reader(stage, piece).columns(["id"], start))["id"].to_pylist()
        assert ids == [f"row-{number}" for number in range(start, 90)]

    def test_a_chunk_of_wide_rows_has_fewer_of_them(self, stage: Stage) -> None:
        text = [f"{number:05}" * 20_000 for number in range(400)]
        piece = stage.piece_of(pa.table({"id": [str(number) for number in range(400)], "text": text}))

        chunks = list(reader(stage, piece).chunks(0))

        assert max(chunk.rows.nbytes for chunk in chunks) < 20_000_000
        assert [value for chunk in chunks for value in chunk.rows["text"].to_pylist()] == text

    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.json_()])
    def test_long_values_that_repeat_do_not_fill_the_memory(self, stage: Stage, kind: pa.DataType) -> None:
        # One value of a dictionary stands for 200 MB of text, so that the file doesn't show how much its rows come to.
        # The first rows have it, so that the average of a batch doesn't either.
        texts = [f'"{"x" * 100_000}"'] * 2_000 + ["1"] * 8_000
        rows = pa.table({"id": [str(number) for number in range(10_000)], "text": pa.array(texts).cast(kind)})
        opened = reader(stage, stage.piece_of(rows))

        with arrow_memory() as memory:
            sizes = [(chunk.first_row, len(chunk.rows), chunk.rows.nbytes) for chunk in opened.chunks(0)]

        assert opened.schema.equals(rows.schema)
        assert [first for first, _, _ in sizes] == [sum(count for _, count, _ in sizes[:n]) for n in range(len(sizes))]
        assert sum(count for _, count, _ in sizes) == 10_000
        assert max(size for _, _, size in sizes) < 50_000_000
        assert memory.max_memory() < 100_000_000

    def test_columns_are_short_as_long_as_they_are_so_together(self) -> None:
        assert short_columns({}) == ()
        assert short_columns({"body": 65_535, "id": 36, "title": 256}) == ("id", "title")
        assert len(short_columns({f"column_{number}": 256 for number in range(100)})) == 12
        assert len(short_columns({f"column_{number}": 1 for number in range(1_600)})) < 250

    def test_short_text_is_read_without_dictionaries_and_in_bounds_wherever_it_repeats(
        self, stage: Stage, read_as_dictionaries: set[str]
    ) -> None:
        lengths = {f"column_{number}": 256 for number in range(12)} | {"long": 20_000}
        rows = pa.table({name: ["x" * length] * 10_000 for name, length in lengths.items()})
        opened = reader(stage, stage.piece_of(rows), short_columns(lengths))

        with arrow_memory() as memory:
            sizes = [(len(chunk.rows), chunk.rows.nbytes) for chunk in opened.chunks(0)]

        assert read_as_dictionaries == {"long"}
        assert sum(count for count, _ in sizes) == 10_000
        assert max(size for _, size in sizes) < 50_000_000
        assert memory.max_memory() < 150_000_000

    def test_a_column_that_arrow_wrote_as_a_dictionary_stays_one(self, stage: Stage) -> None:
        texts = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0], pa.int32()), ["a", "b"])
        rows = pa.table({"id": ["1", "2", "3", "4"], "text": texts})

        assert read(stage, stage.piece_of(rows)).equals(rows)

    def test_values_that_take_no_room_in_the_file_do_in_memory(self, stage: Stage) -> None:
        names = [f"column_{number}" for number in range(600)]
        piece = stage.piece_of(pa.table({name: pa.array([7] * 5_000, pa.int64()) for name in names}))

        chunks = list(reader(stage, piece).chunks(0))

        assert max(chunk.rows.nbytes for chunk in chunks) < 10_000_000
        assert sum(len(chunk.rows) for chunk in chunks) == 5_000

    def test_rows_may_be_read_again_while_a_thread_reads_ahead_in_the_same_file(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stopped, goes_on = threading.Event(), threading.Event()

        class StoppingFile(S3File):
            """Stops who first seeks the first row group, before it is read."""

            def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
                position = super().seek(offset, whence)
                if position == FIRST_ROW_GROUP and not stopped.is_set():
                    stopped.set()
                    goes_on.wait(DEADLINE_SECONDS)
                return position

        monkeypatch.setattr("dynamo_load.reading.piece_reader.S3File", StoppingFile)
        piece = stage.piece_of(numbered(40_000), row_group_rows=20_000)
        opened = reader(stage, piece)

        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(lambda: next(opened.chunks(0)))
            assert stopped.wait(DEADLINE_SECONDS)
            try:
                again = next(opened.chunks(20_000))
            finally:
                goes_on.set()
            read_ahead = ahead.result()

        assert read_ahead.rows["number"].to_pylist() == list(range(10_000))
        assert again.rows["number"].to_pylist() == list(range(20_000, 30_000))

    def test_a_large_row_group_is_fetched_bit_by_bit(self, stage: Stage) -> None:
        noise = np.random.default_rng(0).bytes(70_000_000)
        values = [noise[start : start + 100_000] for start in range(0, len(noise), 100_000)]
        rows = pa.table({"id": [str(number) for number in range(700)], "noise": values})

        piece = stage.piece_of(rows)
        ranges = []
        stage.aws.s3.meta.events.register(
            "provide-client-params.s3.GetObject", lambda params, **_: ranges.append(params["Range"]), unique_id="ranges"
        )

        assert read(stage, piece).equals(rows)
        stage.aws.s3.meta.events.unregister("provide-client-params.s3.GetObject", unique_id="ranges")
        starts_and_ends = [map(int, asked.removeprefix("bytes=").split("-")) for asked in ranges[1:]]
        assert max(end - start for start, end in starts_and_ends) < 11_000_000


class TestBadFiles:
    def test_a_file_that_is_not_there_is_named(self, stage: Stage) -> None:
        with pytest.raises(MissingFile, match=f"s3://{stage.bucket}/unload/none"):
            reader(stage, stage.piece({"key": "unload/none", "row_groups": None, "rows": 1}))

    @pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet at all", b"PAR1" + bytes(100) + b"PAR1"])
    def test_a_file_that_is_not_parquet_is_named(self, stage: Stage, content: bytes) -> None:
        stage.aws.s3.put_object(Bucket=stage.bucket, Key="unload/0000", Body=content)

        with pytest.raises(CorruptParquetFile, match=f"s3://{stage.bucket}/unload/0000"):
            reader(stage, stage.piece({"key": "unload/0000", "row_groups": None, "rows": 1}))

    def test_a_file_with_damaged_pages_is_named(self, stage: Stage) -> None:
        file = io.BytesIO()
        pq.write_table(numbered(10_000), file, compression="snappy", use_dictionary=False)
        content = bytearray(file.getvalue())
        content[10:30_000] = bytes(29_990)
        stage.aws.s3.put_object(Bucket=stage.bucket, Key="unload/0000", Body=bytes(content))

        with pytest.raises(CorruptParquetFile, match="unload/0000"):
            read(stage, stage.piece({"key": "unload/0000", "row_groups": None, "rows": 10_000}))

    @pytest.mark.parametrize("whole_file", [True, False])
    def test_a_page_that_is_not_what_its_checksum_says_is_named(self, stage: Stage, *, whole_file: bool) -> None:
        rows = pa.table({"id": [f"row-{number}" for number in range(1_000)], "text": ["found"] * 1_000})
        file = io.BytesIO()
        pq.write_table(rows, file, compression="none", use_dictionary=["text"], write_page_checksum=True)
        damaged = file.getvalue().replace(b"row-500", b"row-5oo").replace(b"found", b"f0und", 1)
        stage.aws.s3.put_object(Bucket=stage.bucket, Key="unload/0000", Body=damaged)
        opened = reader(stage, stage.piece({"key": "unload/0000", "row_groups": None, "rows": 1_000}))

        with pytest.raises(CorruptParquetFile, match=r"unload/0000.*CRC"):
            list(opened.chunks(0) if whole_file else opened.columns(["id"], 0))

    def test_other_rows_than_the_work_list_has_are_refused(self, stage: Stage) -> None:
        file = stage.put_file(numbered(10), "unload/0000")

        with pytest.raises(CorruptParquetFile, match="10 rows in place of the 11 that are listed"):
            reader(stage, stage.piece({**file, "rows": 11}))

    def test_a_row_group_that_the_file_does_not_have_is_refused(self, stage: Stage) -> None:
        file = stage.put_file(numbered(10), "unload/0000")

        with pytest.raises(CorruptParquetFile, match="no row group 4"):
            reader(stage, stage.piece({**file, "row_groups": [4]}))

    def test_files_of_different_columns_are_refused(self, stage: Stage) -> None:
        one = stage.put_file(numbered(10), "unload/0000")
        other = stage.put_file(numbered(10).rename_columns(["id", "count"]), "unload/0001")

        with pytest.raises(CorruptParquetFile, match=r"unload/0001 has other columns than .*unload/0000"):
            reader(stage, stage.piece(one, other))

    def test_a_file_replaced_while_it_is_read_is_refused(self, stage: Stage) -> None:
        piece = stage.piece_of(numbered(200_000))
        opened = reader(stage, piece)
        stage.piece_of(numbered(200_000, first=7))

        with pytest.raises(CorruptParquetFile, match="was replaced"):
            list(opened.chunks(0))

    def test_an_answer_that_breaks_off_is_worth_another_try(self, breaking_s3: S3Client) -> None:
        piece = Piece("00000", 1, (Slice("unload/0000", None, 1),))

        with pytest.raises(FileReadInterrupted, match="s3://bucket/unload/0000 broke off"):
            PieceReader(breaking_s3, "bucket", piece)


@pytest.fixture
def breaking_s3() -> Iterator[S3Client]:
    """An S3 that closes every connection in the middle of its answer."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(206)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Range", "bytes 0-999/1000")
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"PAR1")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        session = session_for(f"http://127.0.0.1:{server.server_port}")
        yield boto3.Session(botocore_session=session).client("s3")
        server.shutdown()
        thread.join()
