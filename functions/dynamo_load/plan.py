"""What a load has to do, as its functions hand it to each other through the state machine.

The plan goes to every loader, its pieces one to each; `dataclasses.asdict` makes JSON of them, `from_json` reads it.

The stack may be updated between the two. So a field that is new has a default, which is what the version before did;
what the version before cannot read is retried until it has been replaced (`docs/reliability.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from dynamo_load.errors import PlanOfAnotherVersion
from dynamo_load.mapping import ItemMapping
from records.table_state import Generation, Progress, generations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target.table import WriteCapacity


@dataclass(frozen=True)
class LoadLimits:
    """The limits of one load.

    `max_write_units_per_second` is the budget that all loaders share (0: none), `loader_concurrency` how many loaders
    run at once, `rejects_allowed` how many rejected rows the load survives, `headroom` the share of the table's
    capacity that the load leaves free.
    """

    max_write_units_per_second: int = 0
    # One sends what a table takes by default, a few what a table takes at most: more cost, as waiting does.
    loader_concurrency: int = 4
    rejects_allowed: int = 0
    headroom: float = 0.0

    def write_budget(self, capacity: WriteCapacity) -> int:
        """The budget for such a table (0: none): where its limit is known, what the headroom leaves of that at most."""
        if not self.headroom or capacity.limit is None:
            return self.max_write_units_per_second
        left = max(1, round(capacity.limit * (1 - self.headroom)))
        return min(left, self.max_write_units_per_second or left)

    def loaders_headroom(self, capacity: WriteCapacity) -> float:
        """The share that the loaders have to leave free of what they find that the table takes: no budget does."""
        return self.headroom if capacity.limit is None else 0.0


@dataclass(frozen=True)
class Refresh:
    """How a load writes only what differs from what the target is known to hold.

    The rows of a key stand in one of `buckets` folders, and each bucket is one piece. The target holds what the records
    of `current` say, save what the loads in `begun` may have changed; with neither, nothing is known of it. Only if
    `digests_hold`, a row can be found unchanged: else every row is written, as `full_because` says in words. `deletes`
    (mode `mirror`) is whether keys that the query does not return are deleted, and `deletes_allowed` the share of them
    that may be. `key_form` is what the text of a key, and its hash, depend on.
    """

    buckets: int
    key_form: str
    current: Generation | None = None
    begun: tuple[Generation, ...] = ()
    digests_hold: bool = True
    full_because: str | None = None
    deletes: bool = False
    deletes_allowed: float = 0.0

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` made of one."""
        return cls(**{**document, **generations(document)})


@dataclass(frozen=True)
class LoadPlan:
    """What every loader is told; its size does not grow with the rows.

    `load_id` names the load in the ledger and in the data bucket `bucket`, where the Distributed Map reads
    `pieces_key`; `pieces`, `files`, `rows` and `bytes` are totals. `refresh` is None if every row is written and none
    noted (mode `upsert`). A `dry_run` writes no item and no record. `verify_sample` is how many items of the whole load
    are read back. `progress` is how far an incremental load will have come. `mode` is the input's, or `replay` of a
    load that replays the rejects of `replayed`, directly or by replays between.
    """

    load_id: str
    bucket: str
    pieces_key: str
    pieces: int
    files: int
    rows: int
    bytes: int
    mapping: ItemMapping
    limits: LoadLimits
    refresh: Refresh | None = None
    dry_run: bool = False
    verify_sample: int = 0
    progress: Progress | None = None
    mode: str = "upsert"
    replayed: str | None = None

    @property
    def origin(self) -> str:
        """The load whose rows these were at first: itself, unless it is a replay."""
        return self.replayed or self.load_id

    @property
    def loaders(self) -> int:
        """How many loaders run at once."""
        return max(1, min(self.limits.loader_concurrency, self.pieces))

    @property
    def generation(self) -> Generation | None:
        """The records that the load makes, if it makes any."""
        return Generation(self.load_id, self.refresh.buckets) if self.refresh else None

    @property
    def knows_nothing(self) -> bool:
        """Whether the load is to make records, and has none to compare with."""
        return self.refresh is not None and self.refresh.current is None and not self.refresh.begun

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a plan. Raises PlanOfAnotherVersion if it has what this code does not know, or lacks what it needs."""
        try:
            refresh, progress = document.get("refresh"), document.get("progress")
            typed = {
                "mapping": ItemMapping.from_json(document["mapping"]),
                "limits": LoadLimits(**document["limits"]),
                "refresh": refresh and Refresh.from_json(refresh),
                "progress": progress and Progress(**progress),
            }
            return cls(**{**document, **typed})
        except (AttributeError, LookupError, TypeError) as error:
            raise PlanOfAnotherVersion(
                f"try again when the stack's update is complete, else start a new load: {type(error).__name__}: {error}"
            ) from error


@dataclass(frozen=True)
class Slice:
    """Row groups of one file, in this order; None means all."""

    key: str
    row_groups: tuple[int, ...] | None
    rows: int


@dataclass(frozen=True)
class Piece:
    """One loader's share of a load. Its rows count from 0, in the order of the slices.

    `bucket` is the number of the bucket that the piece is, all of it, in a load that has buckets.
    """

    name: str
    rows: int
    slices: tuple[Slice, ...]
    bucket: int | None = None

    @classmethod
    def from_json(cls, item: Mapping[str, Any]) -> Self:
        """Read an item of the Distributed Map."""
        return cls(
            name=item["name"],
            rows=item["rows"],
            slices=tuple(
                Slice(part["key"], None if part["row_groups"] is None else tuple(part["row_groups"]), part["rows"])
                for part in item["slices"]
            ),
            bucket=item.get("bucket"),
        )
