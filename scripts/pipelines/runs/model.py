"""A run of one of the two pipelines, as it was at the moment it was looked at. All times are in UTC."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from data_bucket import rejects_url
from dynamo_load.accounting.ledger import Tally

if TYPE_CHECKING:
    from dynamo_load.accounting.ledger import PieceEntry
    from dynamo_load.plan import LoadPlan
    from statements.names import StatementKind


class Pipeline(StrEnum):
    """Which of the two state machines ran."""

    PROCEDURE = "procedure"
    LOAD = "load"


@dataclass(frozen=True)
class Failure:
    """An `error` by its name, why (`cause`) and when; a function's exception is read out of what Lambda makes of it."""

    error: str
    cause: str
    at: datetime


@dataclass(frozen=True)
class Stage:
    """One visit to a state of the machine; `kind` is its type: Task, Map, Wait, Choice, Pass, Succeed, Fail.

    `left_at` is None while it lasts. `failures` are those of its attempts, retried ones included. `output` is what it
    passed on, if the history has it.
    """

    name: str
    kind: str
    entered_at: datetime
    left_at: datetime | None
    failures: tuple[Failure, ...]
    output: Any

    def seconds(self, now: datetime | None = None) -> float:
        """How long it took, or has taken by `now`."""
        return ((self.left_at or now or datetime.now(UTC)) - self.entered_at).total_seconds()


@dataclass(frozen=True)
class Statement:
    """One statement that the run has submitted to Redshift.

    `status` is Redshift's own if it `is_told`, else the token table's: SUBMITTING, SUBMITTED, UNSUBMITTED, FORGOTTEN,
    or how it ended; `has_ended` goes by the same. Redshift tells only the role that submitted the statement (and root
    users), so `error`, `rows` and `seconds` may be None. `statement_id` is None until it is known. `attempts` counts
    how often a task was to wait for it, `is_stopping` is whether it is being cancelled.
    """

    name: str
    kind: StatementKind
    statement_id: str | None
    status: str
    is_told: bool
    has_ended: bool
    error: str | None
    rows: int | None
    seconds: float | None
    attempts: int
    is_stopping: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Load:
    """A load that has come as far as its plan; `pieces` are the ledger's entries of those that were begun."""

    plan: LoadPlan
    pieces: tuple[PieceEntry, ...]

    @property
    def load_id(self) -> str:
        """Its name in the ledger and in the bucket."""
        return self.plan.load_id

    @property
    def table(self) -> str:
        """The target table."""
        return self.plan.mapping.target.name

    @property
    def total(self) -> Tally:
        """The pieces' tallies added up; what can't be added (`next_row`, `encoder`, `finished`) is left out."""
        names = [field.name for field in fields(Tally) if field.name not in {"next_row", "encoder", "finished"}]
        return Tally(**{name: sum(getattr(piece.tally, name) for piece in self.pieces) for name in names})

    @property
    def begun_at(self) -> datetime | None:
        """When the first loader began."""
        return min((_moment(piece.started_at) for piece in self.pieces), default=None)

    @property
    def updated_at(self) -> datetime | None:
        """When a loader noted something last."""
        return max((_moment(piece.updated_at) for piece in self.pieces), default=None)

    @property
    def finished_pieces(self) -> int:
        """How many pieces are loaded whole."""
        return sum(piece.finished for piece in self.pieces)

    @property
    def rejects(self) -> str | None:
        """Where the rejected rows are; None if there are none."""
        return rejects_url(self.plan.bucket, self.load_id) if self.total.rejected else None


@dataclass(frozen=True)
class Summary:
    """A run in a list of runs; `status` is Step Functions'."""

    arn: str
    pipeline: Pipeline
    status: str
    started_at: datetime
    ended_at: datetime | None

    @property
    def name(self) -> str:
        """The execution's name, by which every command takes a run."""
        return self.arn.rpartition(":")[2]

    @property
    def is_running(self) -> bool:
        """Whether it has not ended, or is about to run again."""
        return self.ended_at is None

    @property
    def succeeded(self) -> bool:
        """Whether it has ended well."""
        return self.status == "SUCCEEDED"

    def seconds(self, now: datetime | None = None) -> float:
        """How long it took, or has taken by `now`."""
        return ((self.ended_at or now or datetime.now(UTC)) - self.started_at).total_seconds()


@dataclass(frozen=True)
class Outcome(Summary):
    """What the execution itself says: its input, and how it ended.

    `output` is None unless it succeeded; `error` and `cause` are None unless it did not.
    """

    redrives: int
    input: Any
    output: Any
    error: str | None
    cause: str | None


@dataclass(frozen=True)
class Run(Outcome):
    """All that is known of a run; `load` is None of a procedure, and until a load has its plan."""

    stages: tuple[Stage, ...]
    statements: tuple[Statement, ...]
    load: Load | None

    @property
    def stage(self) -> Stage | None:
        """The state that it is in, or was in last."""
        return self.stages[-1] if self.stages else None


def _moment(epoch_seconds: float) -> datetime:
    return datetime.fromtimestamp(epoch_seconds, UTC)
