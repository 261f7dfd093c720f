"""The corrected copy of a load's rejects: what a person made of the lines that `rejects` wrote, read back as rows.

A line is known again by the `file` and the `file_row` that it came from, so nothing else can come in by this door, and
what of a row is not a person's to change, the hash of its key, is taken from the reject itself.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from aws_errors import named_failures
from data_bucket import corrected_prefix, rejects_prefix
from dynamo_load.errors import CorrectedRowsInvalid, CorrectedRowsMissing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mypy_boto3_s3 import S3Client

_ENDING = ".jsonl"
# All lines are held in memory, as Python's objects, which take several times as much.
_MOST_BYTES = 100 * 1024 * 1024

# What Arrow writes of a moment whose year has more than five digits.
_BEYOND_ALL_YEARS = re.compile(r"<value out of range: (-?[0-9]+)>", re.ASCII)

Place = tuple[str, int]
"""Where a reject came from: the file, and the row in it."""


@dataclass(frozen=True)
class _Line:
    """A line of an object, called `where` for people."""

    where: str
    place: Place
    row: dict[str, Any]


@dataclass(frozen=True)
class CorrectedRows:
    """The rows of a corrected copy, `lines` in the order of their objects, and of each the reject that it was."""

    lines: Sequence[_Line]
    rejects: Mapping[Place, Mapping[str, Any]] = field(repr=False)

    @property
    def file(self) -> str:
        """The key of a file that a reject came from: all of a load have the same columns."""
        return self.lines[0].place[0]

    def rows(self, schema: pa.Schema, fixed: str | None) -> pa.Table:
        """Return the rows in the columns of `schema`; a column that a line lacks is null.

        The values of the column `fixed`, if there is one, are those of the rejects. Raises CorrectedRowsInvalid if a
        value is not one of its column, or a line has a column that the load does not have.
        """
        for line in self.lines:
            if unknown := sorted(line.row.keys() - set(schema.names)):
                raise CorrectedRowsInvalid(f"{line.where}: the load has no column {unknown[0]!r}: take it out.")
        columns = [self._column(column, fixed == column.name) for column in schema]
        return pa.Table.from_arrays(columns, schema=pa.schema([pa.field(f.name, _plain(f.type)) for f in schema]))

    def same(self, columns: Sequence[str]) -> bool:
        """Whether no line has changed any of these columns."""
        return all(
            line.row.get(column) == self.rejects[line.place].get(column) for line in self.lines for column in columns
        )

    def _column(self, column: pa.Field, fixed: bool) -> pa.Array:
        kind = _plain(column.type)
        read = _reader(kind)
        values = []
        for line in self.lines:
            value = (self.rejects[line.place] if fixed else line.row).get(column.name)
            try:
                values.append(None if value is None else read(value))
            except (ValueError, TypeError, ArithmeticError):
                # The chain is cut: the errors quote the value.
                raise _not_of(line, column) from None
        try:
            return _array(values, kind)
        except (pa.ArrowException, OverflowError, ValueError):
            for line, value in zip(self.lines, values, strict=True):
                try:
                    _array([value], kind)
                except (pa.ArrowException, OverflowError, ValueError):
                    raise _not_of(line, column) from None
            raise


def corrected_rows(s3: S3Client, bucket: str, load_id: str) -> CorrectedRows:
    """Read the corrected copy of a load's rejects. A line that stands twice, the same both times, counts once.

    Raises CorrectedRowsMissing if there is none, CorrectedRowsInvalid if it can't be read as lines of that load's
    rejects, AwsUnavailable and AwsRefused.
    """
    lines: dict[Place, _Line] = {}
    prefix = corrected_prefix(load_id)
    for line in _lines(s3, bucket, prefix, _MOST_BYTES):
        before = lines.setdefault(line.place, line)
        if before.row != line.row:
            raise CorrectedRowsInvalid(f"{line.where} is another version of {before.where}: leave one of them.")
    if not lines:
        raise CorrectedRowsMissing(
            f"put the corrected lines of s3://{bucket}/{rejects_prefix(load_id)} under s3://{bucket}/{prefix}, in "
            f"objects whose names end in {_ENDING}: there are none."
        )
    rejects = {
        line.place: line.row for line in _lines(s3, bucket, rejects_prefix(load_id), None) if line.place in lines
    }
    for place, line in lines.items():
        if place not in rejects:
            raise CorrectedRowsInvalid(
                f"{line.where}: load {load_id} rejected no row {place[1]} of {place[0]}: leave file and file_row as "
                "they were, and put the rejects of another load under its own name."
            )
    return CorrectedRows(list(lines.values()), rejects)


def _lines(s3: S3Client, bucket: str, prefix: str, most_bytes: int | None) -> Iterator[_Line]:
    total = 0
    for key, size in _objects(s3, bucket, prefix):
        total += size
        if most_bytes is not None and total > most_bytes:
            raise CorrectedRowsInvalid(
                f"s3://{bucket}/{prefix} has more than the {most_bytes // 1024**2} MB that one replay takes: put a "
                "part of the lines there, and the others when these are loaded."
            )
        with named_failures():
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        url = f"s3://{bucket}/{key}"
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise CorrectedRowsInvalid(f"{url} is not UTF-8: save it as that.") from None
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield _line(line, f"line {number} of {url}")


def _objects(s3: S3Client, bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    with named_failures():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", []):
                if found["Size"] and not found["Key"].endswith(_ENDING):
                    raise CorrectedRowsInvalid(
                        f"s3://{bucket}/{found['Key']} is no object of lines: let its name end in {_ENDING}, or remove "
                        "it."
                    )
                yield found["Key"], found["Size"]


def _line(text: str, where: str) -> _Line:
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError:
        # The chain is cut: the error keeps the text.
        raise CorrectedRowsInvalid(f"{where} is not JSON: each row is one object on one line.") from None
    match document:
        case {"file": str(file), "file_row": int(file_row), "row": dict(row)}:
            return _Line(where, (file, file_row), row)
    raise CorrectedRowsInvalid(f"{where} lacks file, file_row or row, which a reject's line has: leave them there.")


def _not_of(line: _Line, column: pa.Field) -> CorrectedRowsInvalid:
    return CorrectedRowsInvalid(
        f"{line.where}: the value of {column.name!r} is none of the type {column.type}: write it as rejects are "
        "written, with exact numbers, times and dates as text and bytes in base64."
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    if isinstance(kind, pa.JsonType):
        return pa.ExtensionArray.from_storage(kind, _array(values, kind.storage_type))
    if pa.types.is_large_string(kind):
        return pa.array(values, pa.large_binary()).view(kind)
    if pa.types.is_string(kind):
        # Viewed and not converted: text that is not UTF-8 is for the loader to reject.
        return pa.array(values, pa.binary()).view(kind)
    return pa.array(values, kind)


def _reader(kind: pa.DataType) -> Callable[[Any], Any]:
    """Return what makes of a value in JSON the one that Arrow takes; it raises what is wrong with the value."""
    if isinstance(kind, pa.JsonType):
        kind = kind.storage_type
    for of_type, read in _READERS:
        if of_type(kind):
            return lambda value: read(value, kind)
    raise TypeError(f"no line of rejects has values of type {kind}.")


def _checked(value: Any, *kinds: type) -> Any:
    # JSON's true is no number, though Python's is.
    if type(value) not in kinds:
        raise TypeError
    return value


def _since_epoch(text: str, unit: Any) -> int:
    """Return a date or a time as Arrow holds it; NumPy reads all years that Arrow writes, Python's dates would not."""
    if beyond := _BEYOND_ALL_YEARS.fullmatch(text):
        return int(beyond[1])
    moment = np.datetime64(text.removesuffix("Z"), unit)
    if np.isnat(moment):
        raise ValueError
    return int(moment.astype(np.int64))


def _text(value: Any, _kind: pa.DataType) -> bytes:
    # Bytes that are no UTF-8 stand in the line as surrogates, which are no text either.
    return bytes(_checked(value, str).encode("utf-8", "surrogateescape"))


_READERS: list[tuple[Callable[[pa.DataType], bool], Callable[[Any, pa.DataType], Any]]] = [
    (pa.types.is_string, _text),
    (pa.types.is_large_string, _text),
    (pa.types.is_binary, lambda value, _: base64.b64decode(_checked(value, str), validate=True)),
    (pa.types.is_boolean, lambda value, _: _checked(value, bool)),
    (pa.types.is_integer, lambda value, _: _checked(value, int)),
    (pa.types.is_floating, lambda value, _: float(_checked(value, int, Decimal, str))),
    (pa.types.is_decimal, lambda value, _: Decimal(_checked(value, int, Decimal, str))),
    (pa.types.is_date, lambda value, _: _since_epoch(_checked(value, str), "D")),
    (pa.types.is_timestamp, lambda value, kind: _since_epoch(_checked(value, str), kind.unit)),
    (pa.types.is_time, lambda value, kind: _since_epoch(f"1970-01-01 {_checked(value, str)}", kind.unit)),
]
