"""Dates and times as ISO 8601 text, and as the epoch seconds of DynamoDB's time to live."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

_DAY_SECONDS = 86_400
_TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = datetime.date(1970, 1, 1)
# ISO 8601 without agreed extensions has years of four digits; Redshift's dates reach from 4713 BC to 294276.
_FIRST_SECOND = (datetime.date.min - _EPOCH).days * _DAY_SECONDS
_LAST_SECOND = ((datetime.date.max - _EPOCH).days + 1) * _DAY_SECONDS - 1


def date_text(values: pa.Array) -> pa.Array:
    """Return dates as `2015-08-31`."""
    return values.cast(pa.large_string())


def timestamp_text(values: pa.Array) -> pa.Array:
    """Return timestamps as ISO 8601 text, `2015-08-31T12:34:56`, with as many digits in every row, so that it sorts.

    A type of milliseconds, microseconds or nanoseconds has 3, 6 or 9 digits after a point. An instant (a type with a
    time zone) is written in UTC, with a `Z`.
    """
    utc = values.view(pa.timestamp(values.type.unit))
    text = pc.utf8_replace_slice(utc.cast(pa.large_string()), 10, 11, "T")
    return text if values.type.tz is None else pc.binary_join_element_wise(text, _LARGE_Z, _LARGE_EMPTY)


def time_text(values: pa.Array) -> pa.Array:
    """Return times of day as `12:34:56`, with as many digits after a point as the type has."""
    return values.cast(pa.large_string())


def check_years(values: pa.Array, faults: RowFaults) -> None:
    """Reject the rows whose date or timestamp is outside the years 1 to 9999, the only ones that sort as text."""
    seconds = _seconds(values)
    outside = (seconds < _FIRST_SECOND) | (seconds > _LAST_SECOND)
    if outside.any():
        faults.add(np.flatnonzero(outside), "date_out_of_range", "year outside 0001 to 9999")


def epoch_seconds(values: pa.Array) -> pa.Array:
    """Return dates (their midnight in UTC) or timestamps as `int64` seconds since 1970, rounded down."""
    return pa.array(_seconds(values), mask=values.is_null().to_numpy(zero_copy_only=False))


def _seconds(values: pa.Array) -> NDArray[np.int64]:
    """Return the epoch seconds of dates or timestamps, 0 for null."""
    if pa.types.is_date(values.type):
        days = values.cast(pa.date32()).view(pa.int32()).fill_null(0).to_numpy()
        return np.asarray(np.multiply(days, _DAY_SECONDS, dtype=np.int64))
    ticks = values.view(pa.int64()).fill_null(0).to_numpy()
    return np.asarray(ticks // _TICKS_PER_SECOND[values.type.unit], dtype=np.int64)


_LARGE_Z = pa.scalar("Z", pa.large_string())
_LARGE_EMPTY = pa.scalar("", pa.large_string())
