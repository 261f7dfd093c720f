"""The files of an UNLOAD: slices, parts and the manifest, written to disk and uploaded as each is complete."""

from __future__ import annotations

import io
import itertools
import json
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from local.redshift.transfer.storage import keys_under

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from local.redshift.transfer.unload_rows import UnloadColumn
    from local.redshift.transfer.unload_statement import Unload

SLICES: Final = 4
"""How many slices the imitated cluster has: a parallel UNLOAD writes at least as many files, given enough rows."""


@dataclass(frozen=True)
class _Entry:
    """One file in the manifest; `records` counts its header line, too."""

    url: str
    content_length: int
    records: int


class _Format(Protocol):
    """A file being written. `size` is in bytes, as far as it is known."""

    records: int

    def write(self, rows: pa.Table) -> None: ...

    def finish(self) -> None: ...

    @property
    def size(self) -> int: ...


class _ParquetFile:
    def __init__(self, file: IO[bytes], row_group_bytes: int) -> None:
        self.records = 0
        self._file = file
        self._row_group_bytes = row_group_bytes
        self._writer: pq.ParquetWriter | None = None
        self._pending: list[pa.Table] = []
        self._pending_bytes = 0

    @property
    def size(self) -> int:
        return self._file.tell() + self._pending_bytes

    def write(self, rows: pa.Table) -> None:
        # Without Arrow's own schema in the footer, which no file of Redshift's has.
        self._writer = self._writer or pq.ParquetWriter(
            self._file, rows.schema, compression="snappy", version="1.0", store_schema=False
        )
        self.records += rows.num_rows
        self._pending.append(rows)
        self._pending_bytes += rows.nbytes
        if self._pending_bytes >= self._row_group_bytes:
            self._write_row_group()

    def finish(self) -> None:
        if self._writer is not None:
            self._write_row_group()
            self._writer.close()

    def _write_row_group(self) -> None:
        if self._writer is not None and self._pending:
            group = pa.concat_tables(self._pending)
            self._writer.write_table(group, row_group_size=group.num_rows)
            self._pending, self._pending_bytes = [], 0


class _TextFile:
    def __init__(self, file: IO[bytes], header: str) -> None:
        self._file = file
        self.records = 1 if header else 0
        file.write(header.encode())

    @property
    def size(self) -> int:
        return self._file.tell()

    def write(self, rows: pa.Table) -> None:
        self.records += rows.num_rows
        for line in rows.column("line").to_pylist():
            self._file.write(line.encode())

    def finish(self) -> None:
        """Text needs no end."""


class _Slice:
    """The files that one slice writes into one folder: a new part begins when the last has its size."""

    def __init__(self, files: UnloadedFiles, folder: str, number: int) -> None:
        self._files = files
        self._folder = folder
        self._number = number
        self._part = 0
        self._file: IO[bytes] | None = None
        self._format: _Format | None = None

    def write(self, rows: pa.Table) -> None:
        if self._format is not None and self._format.size + rows.nbytes > self._files.unload.max_file_bytes:
            self.finish()
        if self._format is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by discard
            self._format = self._files.open_format(self._file)
        self._format.write(rows)

    def finish(self) -> None:
        if self._format is None or self._file is None:
            return
        self._format.finish()
        self._files.upload(self._key(), self._file, self._format.records)
        self._part += 1
        self.discard()

    def discard(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._format = None

    def _key(self) -> str:
        unload = self._files.unload
        extension = unload.extension or ("parquet" if unload.file_format == "PARQUET" else "")
        stem = f"{self._number:04d}_part_{self._part:02d}" if unload.parallel else f"{self._part:03d}"
        return f"{unload.prefix}{self._folder}{stem}{'.' if extension else ''}{extension.removeprefix('.')}"


class UnloadedFiles:
    """Everything that an UNLOAD writes. As a context manager it completes the files, unless an error leaves it."""

    def __init__(self, s3: S3Client, unload: Unload, columns: list[UnloadColumn]) -> None:
        self.unload = unload
        self.rows = 0
        self._s3 = s3
        self._columns = columns
        self._entries: list[_Entry] = []
        self._folder: str | None = None
        self._turn = 0
        self._slices: list[_Slice] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for a_slice in self._slices:
            if error is None:
                a_slice.finish()
            else:
                a_slice.discard()

    def write(self, folder: str, rows: pa.Table) -> None:
        """Deals rows out to the slices; all rows of a folder come one after the other. Raises `ClientError`."""
        if folder != self._folder:
            self._open_folder(folder)
        self.rows += rows.num_rows
        slices = len(self._slices)
        # Another slice begins each time, so that the slices grow alike however small the parts are.
        turn = self._turn
        self._turn += rows.num_rows
        bounds = [-(-rows.num_rows * index // slices) for index in range(slices + 1)]
        for index, (start, end) in enumerate(itertools.pairwise(bounds)):
            if end > start:
                self._slices[(index + turn) % slices].write(rows.slice(start, end - start))

    def write_manifest(self) -> None:
        """Writes the manifest, if one is asked for and there are files. Raises `ClientError`."""
        if not self.unload.manifest or not self._entries:
            return
        text = io.BytesIO(json.dumps(self._manifest(), indent=2, ensure_ascii=False).encode())
        self._s3.upload_fileobj(
            text, self.unload.bucket, f"{self.unload.prefix}manifest", ExtraArgs=self.unload.encryption
        )

    def open_format(self, file: IO[bytes]) -> _Format:
        """Begins a file in the format asked for."""
        if self.unload.file_format == "PARQUET":
            return _ParquetFile(file, self.unload.row_group_bytes)
        names = self.unload.delimiter.join(column.name for column in self._columns)
        return _TextFile(file, f"{names}\n" if self.unload.header else "")

    def upload(self, key: str, file: IO[bytes], records: int) -> None:
        """Uploads a complete file. Raises `ClientError`."""
        size = file.tell()
        file.seek(0)
        self._s3.upload_fileobj(file, self.unload.bucket, key, ExtraArgs=self.unload.encryption)
        self._entries.append(_Entry(f"s3://{self.unload.bucket}/{key}", size, records))

    def _open_folder(self, folder: str) -> None:
        for a_slice in self._slices:
            a_slice.finish()
        if folder and self.unload.clean_path:
            for key in keys_under(self._s3, self.unload.bucket, self.unload.prefix + folder):
                self._s3.delete_object(Bucket=self.unload.bucket, Key=key)
        self._folder, self._turn = folder, 0
        self._slices = [_Slice(self, folder, number) for number in range(SLICES if self.unload.parallel else 1)]

    def _manifest(self) -> dict[str, Any]:
        entries = sorted(self._entries, key=lambda entry: entry.url)
        if not self.unload.verbose:
            return {"entries": [{"url": entry.url} for entry in entries]}
        return {
            "entries": [
                {"url": entry.url, "meta": {"content_length": entry.content_length, "record_count": entry.records}}
                for entry in entries
            ],
            "schema": {"elements": [{"name": column.name, "type": column.schema_type} for column in self._columns]},
            "meta": {
                "content_length": sum(entry.content_length for entry in entries),
                "record_count": sum(entry.records for entry in entries),
            },
            "author": {"name": "Amazon Redshift", "version": "1.0.0"},
        }
