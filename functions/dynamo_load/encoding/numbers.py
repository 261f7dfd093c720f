"""Numbers as DynamoDB takes them: exact decimal text within 38 digits and 1E-130 to 9.99…E+125.

Limits: DynamoDB Developer Guide, "Constraints in Amazon DynamoDB", data types, Number.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, DecimalException, Inexact, Overflow
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

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


def float_text(values: pa.Array, faults: RowFaults) -> pa.Array:
    """Return REAL or DOUBLE values as the shortest text that reads back as the same value.

    The number is that of `Decimal(str(x))`, for REAL with the digits of a 32-bit float. NaN, infinities and what
    lies outside DynamoDB's range are faults.
    """
    magnitude = np.abs(values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64, copy=False))
    finite = np.isfinite(magnitude)
    in_range = (magnitude == 0) | ((magnitude >= _SMALLEST_FLOAT) & (magnitude < _FLOAT_BEYOND_LARGEST))
    if not in_range.all():
        faults.add(np.flatnonzero(~finite), "number_not_finite", "NaN or infinity; DynamoDB has neither")
        faults.add(np.flatnonzero(finite & ~in_range), "number_out_of_range", "magnitude outside 1E-130 to 9.99E+125")
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
    """Return the bytes DynamoDB counts for one number, by the rule of `sizes`."""
    sign, digits, _ = _WIDE.create_decimal(text).normalize(_WIDE).as_tuple()
    significant = 0 if digits == (0,) else len(digits)
    return (significant + 1) // 2 + 1 + sign


def sizes(texts: pa.Array) -> NDArray[np.int64]:
    """Return the bytes DynamoDB counts for each number, 0 for null.

    One byte for two significant digits (leading and trailing zeros don't count), one more, and one for a minus sign
    (DynamoDB Developer Guide, "DynamoDB item sizes and formats").
    """
    return integer_sizes(pc.replace_substring_regex(texts, "E.*|\\.", ""))


def integer_sizes(texts: pa.Array) -> NDArray[np.int64]:
    """Return what `sizes` returns, ten times sooner, for numbers without point and exponent."""
    significant = pc.binary_length(pc.ascii_trim(texts, "-0"))
    negative = pc.starts_with(texts, "-").cast(pa.int64())
    size = pc.add(pc.add(pc.shift_right(pc.add(significant, 1), 1), 1), negative)
    return np.asarray(size.fill_null(0).to_numpy())
