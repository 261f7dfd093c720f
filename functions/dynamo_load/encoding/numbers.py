"""Numbers as DynamoDB takes them: exact decimal text within 38 digits and 1E-130 to 9.99…E+125.

Limits: DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", data types, Number.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, DecimalException, Inexact, Overflow
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dynamo_load.encoding.json_strings import text_and_offsets

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

MAX_DIGITS = 38
_MIN_EXPONENT = -130
_MAX_EXPONENT = 125
_SMALLEST_FLOAT = 1e-130
_FLOAT_BEYOND_LARGEST = 1e126
# Reads any number exactly, so that it can be judged.
_WIDE = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact, Overflow])


def exact_text(values: pa.Array) -> pa.Array:
    """Return integers or decimals as text, digit for digit.

    A decimal keeps its scale (`1.10` of DECIMAL(3,2)), which is the text boto3 sends for that `Decimal`; DynamoDB
    itself drops zeros at the end.
    """
    return values.cast(pa.large_string())


def check_floats(values: pa.Array, faults: RowFaults) -> None:
    """Reject the rows with NaN, an infinity, or a REAL or DOUBLE outside DynamoDB's range."""
    magnitude = np.abs(values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64, copy=False))
    finite = np.isfinite(magnitude)
    in_range = (magnitude == 0) | ((magnitude >= _SMALLEST_FLOAT) & (magnitude < _FLOAT_BEYOND_LARGEST))
    if not in_range.all():
        faults.add(np.flatnonzero(~finite), "number_not_finite", "NaN or infinity; DynamoDB has neither")
        faults.add(np.flatnonzero(finite & ~in_range), "number_out_of_range", "magnitude outside 1E-130 to 9.99E+125")


def float_text(values: pa.Array) -> pa.Array:
    """Return REAL or DOUBLE values as the shortest text that reads back as the same value.

    The number is that of `Decimal(str(x))`, for REAL with the digits of a 32-bit float.
    """
    return pc.ascii_upper(values.cast(pa.large_string()))


def normal_number(text: str) -> str | None:
    """Return a JSON number as text DynamoDB accepts, or None when it is out of range or has more than 38 digits."""
    if len(text) <= MAX_DIGITS and "e" not in text and "E" not in text:
        return text
    try:
        number = _WIDE.create_decimal(text).normalize(_WIDE)
    except DecimalException:
        return None
    digits = len(number.as_tuple().digits)
    if number and (digits > MAX_DIGITS or not _MIN_EXPONENT <= number.adjusted() <= _MAX_EXPONENT):
        return None
    return str(number)


def size(text: str) -> int:
    """Return the bytes DynamoDB counts for one number.

    One, and one for two digits before the point and for two after it, each rounded up, zeros at both ends of the number
    left out; one more for a minus sign. The developer guide's rule ("DynamoDB item sizes and formats") is approximate;
    this one was measured on AWS to the byte (github.com/nubo-db/dynoxide, pull request 195).
    """
    if "e" in text or "E" in text:
        text = format(_WIDE.create_decimal(text).normalize(_WIDE), "f")
    whole, _, fraction = text.removeprefix("-").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if not fraction:
        whole = whole.rstrip("0")
    elif not whole:
        fraction = fraction.lstrip("0")
    negative = text.startswith("-") and bool(whole or fraction)
    return 1 + (len(whole) + 1) // 2 + (len(fraction) + 1) // 2 + negative


def sizes(texts: pa.Array) -> NDArray[np.int64]:
    """Return the bytes DynamoDB counts for each number, by the rule of `size`, 0 for null."""
    characters = text_and_offsets(texts)[0].tobytes()
    digits = pc.ascii_trim(texts, "-0")
    if b"." in characters:
        digits = pc.replace_substring_regex(digits, "^\\.0+", ".")
        digits = pc.replace_substring_regex(digits, "0*\\.$", "")
    length = pc.binary_length(digits)
    if b"." in characters:
        point = pc.find_substring(digits, ".")
        whole = pc.if_else(pc.less(point, 0), length, point)
        fraction = pc.if_else(pc.less(point, 0), 0, pc.subtract(pc.subtract(length, point), 1))
        pairs = pc.add(_halves(whole), _halves(fraction))
    else:
        pairs = _halves(length)
    negative = pc.and_(pc.starts_with(texts, "-"), pc.greater(length, 0)).cast(pa.int64())
    counted = np.array(pc.add(pc.add(pairs, negative), 1).fill_null(0).to_numpy())
    if b"E" in characters:
        scientific = np.flatnonzero(pc.match_substring(texts, "E").fill_null(False).to_numpy(zero_copy_only=False))
        counted[scientific] = [size(text) for text in texts.take(pa.array(scientific)).to_pylist()]
    return counted


def _halves(digits: pa.Array) -> pa.Array:
    return pc.shift_right(pc.add(digits, 1), 1)
