"""Which rows of a batch become no item: those that a later row replaces, and those that DynamoDB can never accept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
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
    """The rejects of one batch, found column by column; a row is rejected once, for the first fault found in it.

    `accepted` marks the rows that are neither rejected nor replaced; what is wrong with a replaced row is no fault.
    """

    def __init__(self, accepted: NDArray[np.bool_]) -> None:
        self.accepted = accepted
        self._rejected: list[RejectedRow] = []

    def add(self, rows: NDArray[np.int64], reason: str, detail: str) -> None:
        """Reject these rows (indices in the batch), all for one reason."""
        self._rejected += [RejectedRow(row, reason, detail) for row in rows[self.accepted[rows]].tolist()]
        self.accepted[rows] = False

    @property
    def rejected(self) -> list[RejectedRow]:
        """The rejected rows in the order of the batch."""
        return sorted(self._rejected, key=lambda rejected: rejected.row)
