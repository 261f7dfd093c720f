"""What is to be written: batches of rows, and the requests that each becomes until all its rows are done with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

_PUT = b'{"PutRequest":'
# Within a JSON string quotation marks are escaped, and in an item a type's name follows every brace of a list's
# elements, so this can only be where a put request ends and the next begins.
_NEXT_PUT = b"," + _PUT


@dataclass(slots=True)
class Batch:
    """Up to 25 requests, ready to be sent, all to put items or all to delete them (`deletes`).

    `body_items` is the content of a JSON list without its brackets or spaces (`item,item,…`), `rows` how many items
    these are, `write_units` what they are estimated to consume, `last_row` the last one's ordinal in the piece.
    """

    body_items: bytes
    rows: int
    write_units: int
    last_row: int
    deletes: bool


B = TypeVar("B", bound=Batch)


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that DynamoDB refused when it was sent alone.

    `row` is its place in the batch, `item_bytes` the size of its put request there with the comma behind it, `detail`
    DynamoDB's code and words without the row's contents.
    """

    row: int
    item_bytes: int
    detail: str


@dataclass(slots=True)
class Delivery(Generic[B]):
    """What has become of a batch: its rows are written but for the refused ones, for `write_units` consumed."""

    batch: B
    write_units: float = 0.0
    refused: list[RefusedRow] = field(default_factory=list)
    requests: int = 1
    """How many requests that carry rows of it have not come to their end."""


class Request(Generic[B]):
    """Neighbouring rows of a batch that go together, `row_count` in all; of these, `rows` are still to be stored."""

    __slots__ = ("_first_row", "_text", "attempts", "delivery", "items", "row_count", "rows", "write_units")

    def __init__(self, delivery: Delivery[B], first_row: int, row_count: int, text: bytes) -> None:
        self.delivery = delivery
        self._first_row, self.row_count, self._text = first_row, row_count, text
        self.items, self.rows = text, row_count
        self.write_units = delivery.batch.write_units * row_count / delivery.batch.rows
        self.attempts = 0
        """Attempts in a row that stored nothing."""

    @classmethod
    def whole(cls, batch: B) -> Request[B]:
        """All rows of a batch."""
        return cls(Delivery(batch), 0, batch.rows, batch.body_items)

    def keep(self, rows: int, items: bytes) -> None:
        """Keep these rows, the others are stored."""
        self.attempts = 1 if rows < self.rows else self.attempts + 1
        self.write_units *= rows / self.rows
        self.items, self.rows = items, rows

    def halves(self) -> tuple[Request[B], Request[B]]:
        """Two requests in place of this one, which must be of several rows.

        They have all its rows, those that are stored already as well. DynamoDB may write a row that it gives back in
        other words than it was sent, so it can't be told from the rest; and to store a row twice does no harm.
        """
        puts = self._text.split(_NEXT_PUT)
        middle = self.row_count // 2
        first = Request(self.delivery, self._first_row, middle, _NEXT_PUT.join(puts[:middle]))
        second = Request(
            self.delivery,
            self._first_row + middle,
            self.row_count - middle,
            _PUT + _NEXT_PUT.join(puts[middle:]),
        )
        self.delivery.requests += 1
        return first, second

    @property
    def of_one_row(self) -> bool:
        """Whether a refusal is of this very row."""
        return self.row_count == 1

    def refuse(self, detail: str) -> None:
        """Note the refusal of the only row."""
        self.delivery.refused.append(RefusedRow(self._first_row, len(self._text) + 1, detail))
