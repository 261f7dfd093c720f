"""What is to be written: batches of rows, and the requests that each becomes until all its rows are done with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

MOST_ROWS = 25
MOST_BYTES = 1024 * 1024
"""BatchWriteItem takes 25 requests and 16 MB ("Constraints in Amazon DynamoDB").

Far fewer bytes, so that wide rows in flight don't fill the memory; an item that is larger goes alone.
"""

_PUT = b'{"PutRequest":'
# Within a JSON string quotation marks are escaped, and in an item a type's name follows every brace of a list's
# elements, so this can only be where a put request ends and the next begins.
_NEXT_PUT = b"," + _PUT


@dataclass(slots=True)
class Batch:
    """Up to 25 requests, ready to be sent, all to put items or all to delete them (`deletes`).

    `body_items` is the content of a JSON list without its brackets or spaces (`item,item,…`), `rows` how many items
    these are, `write_units` what they are estimated to consume, `last_row` the last one's ordinal in the piece.
    `few_keys` is whether its rows are of so few partition keys that their partitions are the limit, not the table.
    """

    body_items: bytes
    rows: int
    write_units: int
    last_row: int
    deletes: bool
    few_keys: bool


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


@dataclass(frozen=True, slots=True)
class _Part(Generic[B]):
    """Neighbouring rows of a batch, `rows` from its row `first_row` on, and the text of their requests."""

    delivery: Delivery[B]
    first_row: int
    rows: int
    text: bytes


class Request(Generic[B]):
    """Rows that go together, all to be put or all to be deleted; of them, `rows` are still to be stored.

    They are one part of one batch, or parts of several. `write_units` is what the rows that are left are estimated to
    consume.
    """

    __slots__ = ("_parts", "attempts", "items", "may_be_joined", "rows", "write_units")

    def __init__(self, parts: list[_Part[B]], items: bytes, rows: int, write_units: float) -> None:
        self._parts = parts
        self.items, self.rows, self.write_units = items, rows, write_units
        self.may_be_joined = False
        self.attempts = 0
        """Attempts in a row that stored nothing."""

    @classmethod
    def whole(cls, batch: B) -> Request[B]:
        """All rows of a batch."""
        part = _Part(Delivery(batch), 0, batch.rows, batch.body_items)
        request = cls([part], part.text, batch.rows, batch.write_units)
        request.may_be_joined = True
        return request

    @classmethod
    def joined(cls, requests: list[Request[B]]) -> Request[B]:
        """One in place of several.

        Of which of them a row is that DynamoDB gives back can't be told, so the request is never joined with others
        again: their batches would all be done at the very end.
        """
        if len(requests) == 1:
            return requests[0]
        joined = cls(
            [part for request in requests for part in request._parts],
            b",".join(request.items for request in requests),
            sum(request.rows for request in requests),
            sum(request.write_units for request in requests),
        )
        joined.attempts = max(request.attempts for request in requests)
        return joined

    @property
    def deletes(self) -> bool:
        """Whether the rows are keys to delete."""
        return self._parts[0].delivery.batch.deletes

    @property
    def last_row(self) -> int:
        """The last row's ordinal in the piece, or a later one's."""
        return max(part.delivery.batch.last_row for part in self._parts)

    @property
    def of_one_row(self) -> bool:
        """Whether a refusal is of this very row."""
        return len(self._parts) == 1 and self._parts[0].rows == 1

    def keep(self, rows: int, items: bytes) -> None:
        """Keep these rows, the others are stored."""
        self.attempts = 1 if rows < self.rows else self.attempts + 1
        self.write_units *= rows / self.rows
        self.items, self.rows = items, rows

    def charge(self, write_units: float) -> None:
        """Add what was consumed to the deliveries of the batches, by their rows."""
        rows = sum(part.rows for part in self._parts)
        for part in self._parts:
            part.delivery.write_units += write_units * (part.rows / rows)

    def halves(self) -> tuple[Request[B], Request[B]]:
        """Two requests in place of this one, which must be of several rows.

        They have all its rows, those that are stored already as well. DynamoDB may write a row that it gives back in
        other words than it was sent, so it can't be told from the rest; and to store a row twice does no harm.
        """
        if len(self._parts) > 1:
            middle = len(self._parts) // 2
            return Request._of(self._parts[:middle]), Request._of(self._parts[middle:])
        (part,) = self._parts
        puts = part.text.split(_NEXT_PUT)
        middle = part.rows // 2
        first = _Part(part.delivery, part.first_row, middle, _NEXT_PUT.join(puts[:middle]))
        second = _Part(part.delivery, part.first_row + middle, part.rows - middle, _PUT + _NEXT_PUT.join(puts[middle:]))
        part.delivery.requests += 1
        return Request._of([first]), Request._of([second])

    def refuse(self, detail: str) -> None:
        """Note the refusal of the only row."""
        (part,) = self._parts
        part.delivery.refused.append(RefusedRow(part.first_row, len(part.text) + 1, detail))

    def end(self) -> list[Delivery[B]]:
        """Note that no row is left to be stored, and return the deliveries that have ended with it."""
        ended = []
        for part in self._parts:
            part.delivery.requests -= 1
            if not part.delivery.requests:
                ended.append(part.delivery)
        return ended

    @classmethod
    def _of(cls, parts: list[_Part[B]]) -> Request[B]:
        return cls(
            parts,
            b",".join(part.text for part in parts),
            sum(part.rows for part in parts),
            sum(part.delivery.batch.write_units * part.rows / part.delivery.batch.rows for part in parts),
        )


@dataclass(frozen=True, slots=True)
class Throttling:
    """What a table throttled: rows, each as often as it was, and for how many seconds anything was."""

    rows: int = 0
    seconds: float = 0.0
