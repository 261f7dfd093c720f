"""Which rows of a batch DynamoDB can never accept, and why; found column by column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class RejectedRow:
    """A row that can never be written.

    `row` is its index in the batch, `reason` a stable code such as `key_missing`, `detail` a sentence for a person;
    neither ever holds the row's contents.
    """

    row: int
    reason: str
    detail: str


class RowFaults:
    """The rejected rows of one batch; a row is listed once, with the first fault found in it."""

    def __init__(self) -> None:
        self._by_row: dict[int, RejectedRow] = {}

    def add(self, rows: NDArray[np.int64], reason: str, detail: str) -> None:
        """Reject these rows (indices in the batch), all for one reason."""
        for row in rows.tolist():
            self._by_row.setdefault(row, RejectedRow(row, reason, detail))

    def __bool__(self) -> bool:
        return bool(self._by_row)

    @property
    def rejected(self) -> list[RejectedRow]:
        """The rejected rows in the order of the batch."""
        return [self._by_row[row] for row in sorted(self._by_row)]

    def accepted(self, rows: int) -> NDArray[np.int64]:
        """Return the indices of the other rows of a batch of `rows` rows."""
        accepted = np.ones(rows, dtype=np.bool_)
        accepted[list(self._by_row)] = False
        return np.flatnonzero(accepted)
