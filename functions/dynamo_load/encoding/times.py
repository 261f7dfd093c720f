"""Dates and times as ISO 8601 text, and as the epoch seconds of DynamoDB's time to live."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

_DAY_SECONDS = 86_400
_TICKS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_EPOCH = datetime.date(1970, 1, 1)
# ISO 8601 without agreed extensions has years of four digits; Redshift's dates reach from 4713 BC to 294276.
_FIRST_SECOND = (datetime.date.min - _EPOCH).days * _DAY_SECONDS
_LAST_SECOND = ((datetime.date.max - _EPOCH).days + 1) * _DAY_SECONDS - 1


def date_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Return dates as `2015-08-31`; a year outside 1 to 9999 is a fault."""
    _check_years(values, faults)
    return values.cast(pa.large_string())


def timestamp_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Return timestamps as `datetime.isoformat` writes them.

    That is `2015-08-31T12:34:56`, or `2015-08-31T12:34:56.123456` when the row has a fraction of a second (nine
    digits when it has nanoseconds). An instant (a type with a time zone) is written in UTC, with a `Z`. A year outside
    1 to 9999 is a fault.
    """
    _check_years(values, faults)
    utc = values.view(pa.timestamp(values.type.unit))
    text = pc.utf8_replace_slice(_shortest_text(utc, pa.timestamp, ["s", "us", "ns"]), 10, 11, "T")
    return text if values.type.tz is None else pc.binary_join_element_wise(text, _LARGE_Z, _LARGE_EMPTY)


def time_text(values: pa.Array, _faults: RowFaults) -> pa.Array:
    """Return times of day as `12:34:56`, with a fraction where the row has one."""
    return _shortest_text(values, _time_of_day, ["s", "us", "ns"])


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


def _check_years(values: pa.Array, faults: RowFaults) -> None:
    """Reject the rows that ISO 8601 has no text for."""
    seconds = _seconds(values)
    outside = (seconds < _FIRST_SECOND) | (seconds > _LAST_SECOND)
    if outside.any():
        faults.add(np.flatnonzero(outside), "date_out_of_range", "year outside 0001 to 9999")


def _shortest_text(values: pa.Array, of_unit: Callable[[str], pa.DataType], units: list[str]) -> pa.Array:
    """Return each value as text in the coarsest of these units that holds it exactly."""
    unit, *finer = units
    coarse = values.cast(of_unit(unit), safe=False)
    text = coarse.cast(pa.large_string())
    exact = pc.equal(coarse.cast(values.type, safe=False), values)
    if not finer or not pc.any(pc.invert(exact)).as_py():
        return text
    return pc.if_else(exact, text, _shortest_text(values, of_unit, finer))


def _time_of_day(unit: str) -> pa.DataType:
    """Return Arrow's type for a time of day in seconds, microseconds or nanoseconds."""
    return pa.time32(unit) if unit == "s" else pa.time64(unit)


_LARGE_Z = pa.scalar("Z", pa.large_string())
_LARGE_EMPTY = pa.scalar("", pa.large_string())
