"""What a way of loading is asked to do, and what it cost. Imported by every way, so it imports next to nothing."""

from __future__ import annotations

from dataclasses import dataclass

# A table whose records are kept, when it was made, and the load that makes new ones.
TABLE, MADE, LOAD = "sink", "made", "load"
LEDGER = "ledger"
"""The ledger's table."""
BUCKET = "benchmark"
"""The object store's."""


@dataclass(frozen=True)
class Task:
    """Load `rows` rows: the first ones of these row groups of a Parquet file."""

    way: str
    """Name of a module in `benchmarks.ways`."""
    file: str
    """Path of the Parquet file, which the object store has too, under its name."""
    row_groups: list[int]
    rows: int
    key: str
    """The column that is the table's partition key."""
    ledger_url: str
    load: str
    """The load's name in the ledger, which no other has there."""
    loaders: int
    """How many load at once."""
    in_flight: int
    sort_key: str | None = None
    """The column that is the table's sort key, if it has one; the loader alone knows it."""
    piece: str = "00000"
    core: int | None = None
    """The core to stay on; None leaves it to the system."""
    imports: tuple[str, ...] = ()
    """Modules to import besides those that the way needs."""
    known: str | None = None
    """The load whose record a refresh compares with; None where it knows nothing."""


@dataclass(frozen=True)
class Usage:
    """What one process used for its task; the clock starts when everything is imported and clients are made."""

    rows: int
    began_at: float
    """Seconds on the machine's monotonic clock, as is `ended_at`."""
    ended_at: float
    cpu_seconds: float
    """User and system time of this process while it loaded."""
    peak_bytes: int
    """The most memory that the process ever had resident, interpreter and libraries included."""
    start_seconds: float
    """From the start of the process until it could begin, so: imports and clients."""
    start_cpu_seconds: float

    @property
    def wall_seconds(self) -> float:
        """Seconds of loading."""
        return self.ended_at - self.began_at
