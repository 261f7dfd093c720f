"""COPY: rows from Parquet or CSV files on S3 into a table.

AWS documentation: "COPY", "COPY from columnar data formats", "Using a manifest to specify data files".
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from local.redshift.sql.failures import NotImitated, SqlFailed
from local.redshift.sql.lexer import split
from local.redshift.sql.names import quoted
from local.redshift.transfer.clauses import Clauses, name
from local.redshift.transfer.storage import keys_under, split_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client

    from local.redshift.transfer.database import Database
    from local.redshift.transfer.storage import Storage

_BATCH_ROWS: Final = 16_384
_BLOCK_BYTES: Final = 4 * 1024 * 1024
_SUPER_TYPES: Final = frozenset({"super", "jsonb"})
_TEXT_TYPES: Final = frozenset({"varchar", "bpchar"})
# The modifier of VARCHAR(n) and CHAR(n) is n + 4.
_MODIFIER_OFFSET: Final = 4
# A year before the first one.
_BEFORE_CHRIST: Final = re.compile("^(?:0000|-[0-9]+)")


@dataclass
class Copy:
    """What a COPY statement asks for; `columns` is empty if the statement names none."""

    table: list[str]
    columns: list[str]
    bucket: str
    prefix: str
    role: str
    file_format: str = ""
    ignore_header: int = 0
    manifest: bool = False
    serialize_to_json: bool = False
    region: str | None = None


@dataclass(frozen=True)
class _Target:
    """A column that rows go into. `max_bytes` is 0 if it has no limit."""

    name: str
    is_super: bool
    is_text: bool
    is_char: bool
    max_bytes: int


def run(database: Database, statement: str, storage: Storage) -> int:
    """Carries out a COPY, all files or none, and returns how many rows it loaded.

    Raises `SqlFailed`, `psycopg.Error`, `ClientError`.
    """
    copy = read(statement, is_case_sensitive=database.session.is_case_sensitive)
    s3 = storage.as_role(copy.role, copy.region)
    table = ".".join(quoted(part) for part in copy.table)
    targets = _targets(database, copy)
    sources = _from_manifest(s3, copy) if copy.manifest else _under_prefix(s3, copy)
    if copy.file_format == "PARQUET" and not copy.serialize_to_json and any(target.is_super for target in targets):
        raise SqlFailed("COPY from PARQUET into a SUPER column needs SERIALIZETOJSON")
    names = ", ".join(quoted(target.name) for target in targets)
    rows = 0
    with database.load(table, names) as load:
        for bucket, key in sources:
            with tempfile.TemporaryFile() as file:
                s3.download_fileobj(bucket, key, file)
                file.seek(0)
                for batch in _batches(file, f"s3://{bucket}/{key}", copy, targets):
                    load(batch)
                    rows += batch.num_rows
    return rows


def read(statement: str, *, is_case_sensitive: bool = False) -> Copy:
    """The clauses of a COPY statement. Raises `SqlFailed`; `NotImitated` for clauses that this engine hasn't."""
    clauses = Clauses(statement, is_case_sensitive=is_case_sensitive)
    clauses.expect("COPY")
    table = [name(clauses.token())]
    while clauses.text == ".":
        clauses.expect(".")
        table.append(name(clauses.token()))
    columns = [name(part[0]) for part in split(clauses.group())] if clauses.text == "(" else []
    clauses.expect("FROM")
    bucket, prefix = split_url(clauses.string())
    copy = Copy(table, columns, bucket, prefix, clauses.role())
    while clauses:
        _read_option(clauses, copy)
    if not copy.file_format:
        raise NotImitated("COPY without FORMAT")
    if copy.ignore_header and copy.file_format == "PARQUET":
        raise SqlFailed("IGNOREHEADER is not supported for COPY from PARQUET")
    if copy.serialize_to_json and copy.file_format != "PARQUET":
        raise SqlFailed("SERIALIZETOJSON is for columnar formats only")
    return copy


def _read_option(clauses: Clauses, copy: Copy) -> None:
    token = clauses.token()
    match token.word:
        case "FORMAT":
            clauses.one_of({"AS"})
            copy.file_format = clauses.one_of({"PARQUET", "CSV"})
            if not copy.file_format:
                raise NotImitated(f"FORMAT {clauses.token().text}")
        case "PARQUET" | "CSV":
            copy.file_format = token.word
        case "IGNOREHEADER":
            copy.ignore_header = int(clauses.number())
        case "MANIFEST":
            copy.manifest = True
        case "REGION":
            copy.region = clauses.string()
        case "SERIALIZETOJSON":
            copy.serialize_to_json = True
        case _:
            raise NotImitated(f"{token.word or token.text} in COPY")


def _targets(database: Database, copy: Copy) -> list[_Target]:
    """The columns to fill: the named ones, else all but identity columns, in the table's order."""
    table = ".".join(quoted(part) for part in copy.table)
    found = database.execute(
        "SELECT attname, typname, atttypmod, attidentity <> '' FROM pg_catalog.pg_attribute "
        "JOIN pg_catalog.pg_type t ON t.oid = atttypid "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        [table],
    ).fetchall()
    if not found:
        raise SqlFailed(f'relation "{".".join(copy.table)}" does not exist')
    by_name = {
        column: _Target(
            column, kind in _SUPER_TYPES, kind in _TEXT_TYPES, kind == "bpchar", max(0, modifier - _MODIFIER_OFFSET)
        )
        for column, kind, modifier, _ in found
    }
    chosen = copy.columns or [column for column, _, _, is_identity in found if not is_identity]
    for column in chosen:
        if column not in by_name:
            raise SqlFailed(f'column "{column}" of relation "{copy.table[-1]}" does not exist')
    return [by_name[column] for column in chosen]


def _under_prefix(s3: S3Client, copy: Copy) -> list[tuple[str, str]]:
    keys = [key for key in keys_under(s3, copy.bucket, copy.prefix) if not key.endswith("/")]
    if not keys:
        raise SqlFailed(f"The specified S3 prefix '{copy.prefix}' does not exist")
    return [(copy.bucket, key) for key in keys]


def _from_manifest(s3: S3Client, copy: Copy) -> list[tuple[str, str]]:
    body = s3.get_object(Bucket=copy.bucket, Key=copy.prefix)["Body"].read()
    try:
        return [split_url(entry["url"]) for entry in json.loads(body)["entries"]]
    except (ValueError, KeyError, TypeError) as error:
        raise SqlFailed(f"The manifest s3://{copy.bucket}/{copy.prefix} is not a list of entries with a url") from error


def _batches(file: IO[bytes], url: str, copy: Copy, targets: list[_Target]) -> Iterator[pa.RecordBatch]:
    """The rows of one file, checked against the table's columns."""
    try:
        if copy.file_format == "PARQUET":
            # Pre-buffering would keep every column chunk that was read until the file is closed. An extension type
            # would hide that SUPER is text.
            source = pq.ParquetFile(file, pre_buffer=False, arrow_extensions_enabled=False)
            _check_count(url, len(source.schema_arrow), targets)
            batches = source.iter_batches(_BATCH_ROWS)
        else:
            batches = _csv_batches(file, copy, targets)
        for batch in batches:
            for column, target in zip(batch.columns, targets, strict=True):
                _check(url, column, target)
            yield pa.RecordBatch.from_arrays([_with_eras(column) for column in batch.columns], batch.schema.names)
    except pa.ArrowInvalid:
        # Arrow's own message may quote a value.
        raise SqlFailed(f"{url} is not a valid {copy.file_format} file for this table") from None


def _with_eras(column: pa.Array) -> pa.Array:
    """The column, as text if it holds times before Christ: Arrow counts years from 0 down, PostgreSQL writes BC."""
    if not (pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type)) or not len(column):
        return column
    texts = column.cast(pa.string())
    if not pc.any(pc.match_substring_regex(texts, _BEFORE_CHRIST.pattern)).as_py():
        return column
    return pa.array([text if text is None else _with_era(text) for text in texts.to_pylist()])


def _with_era(text: str) -> str:
    year = _BEFORE_CHRIST.match(text)
    return text if year is None else f"{1 - int(year.group()):04}{text[year.end() :]} BC"


def _csv_batches(file: IO[bytes], copy: Copy, targets: list[_Target]) -> Iterator[pa.RecordBatch]:
    r"""Text, in which `\N` is NULL; an empty field is an empty string in a text column, NULL in any other."""
    names = [str(index) for index in range(len(targets))]
    if not file.read(1):
        return
    file.seek(0)
    reader = pyarrow.csv.open_csv(
        file,
        read_options=pyarrow.csv.ReadOptions(column_names=names, skip_rows=copy.ignore_header, block_size=_BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), null_values=["\\N"], strings_can_be_null=True
        ),
    )
    for batch in reader:
        columns = [
            column if target.is_text else pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            for column, target in zip(batch.columns, targets, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(columns, names)


def _check_count(url: str, columns: int, targets: list[_Target]) -> None:
    if columns != len(targets):
        raise SqlFailed(f"{url} has {columns} columns, but {len(targets)} columns of the table are to be loaded")


def _check(url: str, column: pa.Array, target: _Target) -> None:
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise NotImitated(f"COPY of the Parquet type {column.type}")
    if not target.is_text or not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return
    longest = pc.max(pc.binary_length(column)).as_py() or 0
    if target.max_bytes and longest > target.max_bytes:
        raise SqlFailed(
            f'{url}: String length exceeds DDL length: column "{target.name}" takes {target.max_bytes} bytes, '
            f"a value has {longest}"
        )
    if target.is_char and pc.all(pc.string_is_ascii(column)).as_py() is False:
        raise SqlFailed(f'{url}: column "{target.name}" is CHAR and takes single-byte characters only')
