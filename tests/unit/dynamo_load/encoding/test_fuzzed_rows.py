"""Rows of every type with every fault: each is an item that reads back as it was, or a reject that is kept whole."""

from __future__ import annotations

import datetime as dt
import json
import math
from base64 import b64decode
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.reading.piece_reader import Chunk
from target.table import KeyAttribute
from tests.unit.dynamo_load.encoding.put_requests import mapping, typed_items

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

BAD = object()
"""What a value becomes that makes its row a reject."""

NOT_DOCUMENTS = ["", "{", "NaN", r'"\ud800"', "1e999", "[" * 40 + "]" * 40, '{"":1}', '{"a":1,"a":2}', "9" * 39]
MANY_LEVELS = "[" * 5_000 + "]" * 5_000
documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=4),
    max_leaves=12,
)
texts = st.one_of(
    st.text(max_size=30).map(str.encode),
    st.sampled_from([b"", b"  ", b"a  ", b"\xff", b"caf\xc3", b"\xed\xa0\x80", b"x" * 2_000, b'"\\\n\x00' * 400]),
)


def text(value: bytes) -> Any:
    try:
        return {"S": value.decode()}
    except UnicodeDecodeError:
        return BAD


def char(value: bytes) -> Any:
    kept = text(value)
    return kept if kept is BAD else {"S": kept["S"].rstrip(" ")}


def real(value: float) -> Any:
    if not math.isfinite(value) or (value and not 1e-130 <= abs(value) < 1e126):
        return BAD
    return {"N": Decimal(str(value))}


def moment(ticks: int) -> Any:
    seconds, micros = divmod(ticks, 1_000_000)
    try:
        at = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=seconds, microseconds=micros)  # noqa: DTZ001
    except OverflowError:
        return BAD
    return {"S": at.isoformat(timespec="microseconds")}


def day(days: int) -> Any:
    try:
        return {"S": (dt.date(1970, 1, 1) + dt.timedelta(days)).isoformat()}
    except OverflowError:
        return BAD


def document(value: bytes) -> Any:
    if value.decode(errors="replace") in [*NOT_DOCUMENTS, MANY_LEVELS] or text(value) is BAD:
        return BAD
    parsed = json.loads(value)
    return None if parsed is None else attribute_value(parsed)


def attribute_value(value: Any) -> Any:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": Decimal(value)}
        case str():
            return {"S": value}
        case list():
            return {"L": [attribute_value(element) for element in value]}
        case dict():
            return {"M": {name: attribute_value(member) for name, member in value.items()}}
    return {"NULL": True}


@dataclass(frozen=True)
class Kind:
    """A column's cells, the type they are stored as and the one that the file says, and what becomes of each."""

    cells: st.SearchStrategy[Any]
    stored: pa.DataType
    arrow_type: pa.DataType
    becomes: Callable[[Any], Any]


KINDS = {
    "text": Kind(texts, pa.binary(), pa.string(), text),
    "char": Kind(texts, pa.binary(), pa.string(), char),
    "document": Kind(
        documents.map(lambda value: json.dumps(value).encode())
        | st.sampled_from([*NOT_DOCUMENTS, MANY_LEVELS]).map(str.encode)
        | st.just(b'"\xff"'),
        pa.binary(),
        pa.string(),
        document,
    ),
    "whole": Kind(st.integers(-(2**63), 2**63 - 1), pa.int64(), pa.int64(), lambda n: {"N": Decimal(n)}),
    "exact": Kind(
        st.decimals(-(10**13), 10**13, places=6), pa.decimal128(20, 6), pa.decimal128(20, 6), lambda n: {"N": n}
    ),
    "real": Kind(st.floats(), pa.float64(), pa.float64(), real),
    "flag": Kind(st.booleans(), pa.bool_(), pa.bool_(), lambda flag: {"BOOL": flag}),
    "bytes": Kind(st.binary(max_size=40), pa.binary(), pa.binary(), lambda value: {"B": value}),
    "day": Kind(st.integers(-(2**31), 2**31 - 1) | st.integers(0, 40_000), pa.int32(), pa.date32(), day),
    "at": Kind(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 2**51), pa.int64(), pa.timestamp("us"), moment),
}
rows_of_every_kind = st.lists(
    st.tuples(st.booleans(), *(st.none() | kind.cells for kind in KINDS.values())), min_size=1, max_size=6
)


def readable(value: Any) -> Any:
    """An attribute value with its numbers and bytes as what they stand for."""
    ((data_type, content),) = value.items()
    match data_type:
        case "N":
            return {"N": Decimal(content)}
        case "L":
            return {"L": [readable(element) for element in content]}
        case "M":
            return {"M": {name: readable(member) for name, member in content.items()}}
        case "B":
            return {"B": b64decode(content, validate=True)}
    return value


@dataclass
class Kept:
    """The bucket of the rejects."""

    lines: list[Any] = field(default_factory=list)

    def put_object(self, *, Body: bytes, **_: Any) -> None:  # noqa: N803
        def refuse(name: str) -> None:
            raise AssertionError(f"{name} is not JSON")

        self.lines += [json.loads(line, parse_constant=refuse) for line in Body.decode().splitlines()]


@settings(max_examples=150)
@given(rows_of_every_kind, st.data())
def test_every_row_is_an_item_that_reads_back_or_a_reject_kept_whole(drawn: list[Any], data: st.DataObject) -> None:
    count = len(drawn)
    cells = dict(zip(["wide", *KINDS], zip(*drawn, strict=True), strict=True))
    columns = {
        "id": pa.array([str(row) for row in range(count)]),
        "pad": pa.array(["p" * (1_500 if wide else 3) for wide in cells["wide"]]),
    } | {name: pa.array(cells[name], kind.stored).view(kind.arrow_type) for name, kind in KINDS.items()}
    rows = pa.record_batch(columns)
    replaced = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    fitting = mapping(KeyAttribute("id", "S"), super_columns=["document"], char_columns=["char"])

    encoded = ItemEncoder(rows.schema, fitting).encode(rows, replaced)

    expected: dict[int, Any] = {}
    for row in np.flatnonzero(~replaced).tolist():
        item = {"id": {"S": str(row)}, "pad": {"S": rows.column("pad")[row].as_py()}}
        for name, kind in KINDS.items():
            if cells[name][row] is not None:
                item[name] = kind.becomes(cells[name][row])
        expected[row] = item
    rejected = [row for row, item in expected.items() if BAD in item.values()]
    assert [reject.row for reject in encoded.rejects] == rejected
    assert encoded.rows.tolist() == [row for row in expected if row not in rejected]
    found = [{name: readable(value) for name, value in item.items()} for item in typed_items(encoded)]
    assert found == [
        {name: value for name, value in expected[row].items() if value is not None} for row in encoded.rows.tolist()
    ]
    kept = Kept()
    if rejected:
        RejectedRows(cast("S3Client", kept), "bucket", "load", "piece").keep(Chunk(0, "file", 0, rows), encoded.rejects)
    assert [(line["piece_row"], set(line["row"])) for line in kept.lines] == [(row, set(columns)) for row in rejected]
