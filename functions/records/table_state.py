"""Which records say what a table holds: one row of the ledger for each table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Generation:
    """The records that one load has written: an object for each of its `buckets`, a power of two."""

    load_id: str
    buckets: int


@dataclass(frozen=True)
class Progress:
    """How far incremental loads have come: the highest value of a column among the rows of one query.

    `query` is the digest of the query's text, `highest` the value as Redshift writes it.
    """

    column: str
    query: str
    highest: str


@dataclass(frozen=True)
class TableState:
    """What is noted of the table that was made at `made`.

    It holds what `current` says, save what the loads in `begun`, oldest first, may have changed since: they have not
    succeeded. `keys` is the number of keys in the current records. If `digests_hold` is false, something has changed
    items since without noting them, or the encoder that made them wrote otherwise: then only the keys are of use.
    `key_form` is what the text of a key depends on, `encoder` the version of the encoder that made the digests.
    """

    made: str
    key_form: str
    encoder: int
    current: Generation | None = None
    begun: tuple[Generation, ...] = ()
    keys: int = 0
    digests_hold: bool = True
    progress: Progress | None = None

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        current, progress = document["current"], document["progress"]
        typed = {
            "current": current and Generation(**current),
            "begun": tuple(Generation(**generation) for generation in document["begun"]),
            "progress": progress and Progress(**progress),
        }
        return cls(**{**document, **typed})
