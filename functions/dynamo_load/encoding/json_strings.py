"""Escaping whole columns of text for use inside JSON strings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dynamo_load.encoding.row_faults import RowFaults

# What JSON forbids raw inside a string (RFC 8259, section 7); everything else, non-ASCII included, stands as it is.
_ESCAPES = {ord(char): json.dumps(char)[1:-1].encode() for char in [*map(chr, range(0x20)), '"', "\\"]}
_GROWTH = np.zeros(256, dtype=np.int64)
for _byte, _escape in _ESCAPES.items():
    _GROWTH[_byte] = len(_escape) - 1

# Text is looked through and escaped in several passes, so piece by piece, each small enough for the L2 cache.
_PIECE_BYTES = 1 << 17


def escape(strings: pa.Array) -> pa.Array:
    """Escape every value of a `large_string` array for use between the quotes of a JSON string.

    The array itself is returned when nothing in it needs escaping.
    """
    text, offsets = text_and_offsets(strings)
    escaped: list[bytes | memoryview] = []
    positions, growths = [], []
    for start in range(0, len(text), _PIECE_BYTES):
        piece = text[start : start + _PIECE_BYTES]
        special = _special_positions(piece)
        if special.size:
            positions.append(start + special)
            growths.append(_GROWTH[piece[special]])
            escaped.append(_escaped(piece.tobytes(), set(piece[special].tolist())))
        else:
            escaped.append(piece.data)
    if not positions:
        return strings
    growth_before = np.concatenate(([0], np.cumsum(np.concatenate(growths))))
    new_offsets = offsets + growth_before[np.searchsorted(np.concatenate(positions), offsets)]
    return pa.Array.from_buffers(
        pa.large_string(),
        len(strings),
        [_validity(strings), pa.py_buffer(new_offsets), pa.py_buffer(b"".join(escaped))],
    )


def without_broken_utf8(strings: pa.Array, faults: RowFaults) -> pa.Array:
    """Return a `large_string` array with null for values that aren't UTF-8, and report those rows.

    Parquet readers pass text on unchecked, and one such value makes DynamoDB refuse a whole request.
    """
    try:
        strings.validate(full=True)
    except pa.ArrowInvalid:
        broken = np.array([not _is_utf8(value) for value in strings.cast(pa.large_binary()).to_pylist()])
        faults.add(np.flatnonzero(broken), "not_utf8", "text that is not UTF-8")
        return pc.if_else(pa.array(broken), pa.scalar(None, pa.large_string()), strings)
    return strings


def _is_utf8(value: bytes | None) -> bool:
    try:
        return value is None or value.decode() is not None
    except UnicodeDecodeError:
        return False


def text_and_offsets(strings: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of a `large_string` array's values, one after the other, and where each begins and ends."""
    _, offset_buffer, text_buffer = strings.buffers()
    if not len(strings) or text_buffer is None:
        return np.empty(0, dtype=np.uint8), np.zeros(len(strings) + 1, dtype=np.int64)
    offsets = np.frombuffer(offset_buffer, dtype=np.int64)[strings.offset : strings.offset + len(strings) + 1]
    return np.frombuffer(text_buffer, dtype=np.uint8)[offsets[0] : offsets[-1]], offsets - offsets[0]


def _special_positions(text: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return where the bytes stand that need an escape."""
    # Exclusive-or with 2 swaps the quote (0x22) and the blank (0x20) and keeps control characters together,
    # so that one comparison finds quote and control characters.
    special = (text ^ 0x02) < 0x21  # noqa: PLR2004
    special |= text == ord("\\")
    return np.flatnonzero(special)


def _escaped(text: bytes, special: set[int]) -> bytes:
    """Return the text with these bytes escaped, which are all in it that need it."""
    # The backslash comes first: the other escapes bring in backslashes of their own.
    for byte in sorted(special, key=lambda byte: byte != ord("\\")):
        text = text.replace(bytes([byte]), _ESCAPES[byte])
    return text


def _validity(strings: pa.Array) -> pa.Buffer | None:
    """Return the array's validity bitmap, moved to begin at bit 0."""
    if not strings.null_count:
        return None
    return pa.py_buffer(np.packbits(strings.is_valid().to_numpy(zero_copy_only=False), bitorder="little"))
