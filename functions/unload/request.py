"""The execution's input: what to unload and within which limits. `{}` runs the load the stack is configured for."""

from dataclasses import fields, replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from dynamo_load.plan import LoadLimits
from execution_input import USUAL_TIMEOUT_SECONDS, ExecutionInput, TimeoutSeconds

# A Distributed Map runs at most 10,000 children at once ("Map state in Distributed mode", Step Functions guide).
_MAX_LOADERS = 10_000

# The limits of a load don't change what it does, nor does waiting for its table.
_WITH_ANY = frozenset({"wait", "mail_on_success", *(field.name for field in fields(LoadLimits))})
_WITH_RESUME = _WITH_ANY | {"resume"}
_WITH_REPLAY = _WITH_ANY | {"replay", "write_over", "dry_run", "verify_sample"}

# A loader keeps its share, and reads it back within the half minute that it has at its end.
_MOST_SAMPLED = 100_000

AtLeastZero = Annotated[int, Field(ge=0)]
# A table's name, and never its ARN: one table has one lock.
TableName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]
Loaders = Annotated[int, Field(ge=1, le=_MAX_LOADERS)]
Share = Annotated[float, Field(ge=0, le=1)]
# A load that leaves everything free would never end.
Headroom = Annotated[float, Field(ge=0, le=0.9)]
LoadName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,89}$")]


class Incremental(ExecutionInput):
    """Only rows whose `column` lies beyond the highest value so far, less `overlap_seconds` for rows that come late."""

    column: str
    overlap_seconds: AtLeastZero = 0


class LoadRequest(ExecutionInput):
    """What to unload: `query`, or `table` with `columns` and `where`, or neither for the stack's own query.

    `max_write_units_per_second` is the write budget all loaders share (0: none), `loader_concurrency` how many loaders
    run at once, `rejects_allowed` how many rejected rows a load survives; each None means the default of `LoadLimits`.
    `headroom` is the share of the table's capacity that the load leaves free (None: nothing).
    `target_table` is loaded in the place of the stack's own, `attributes` gives columns another name in the items.
    `wait` lets a load wait for one into the same table. `dry_run` unloads and reports without writing to the target.
    `keep_statement` lets the UNLOAD run on when the execution is stopped. A statement that nothing was heard of for
    `timeout_seconds` is looked at again.

    `mode` `changes` writes only rows that differ from what the table is known to hold, `mirror` also deletes what the
    query no longer returns, unless that is more than the share `deletes_allowed` of what is known. `full` forgets what
    is known, and begins anew; `unique` does so for `upsert`, so that the last row of a key is written, and only that.
    `incremental` unloads only newer rows. `verify_sample` items are read back at the end.
    `resume` goes on with the failed load of that name, `replay` loads the corrected copy of its rejects: also over what
    later loads have written, if `write_over` says so. `mail_on_success` has the row balance mailed.
    """

    query: str | None = None
    table: str | None = None
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    where: str | None = None
    target_table: TableName | None = None
    max_write_units_per_second: AtLeastZero | None = None
    loader_concurrency: Loaders | None = None
    rejects_allowed: AtLeastZero | None = None
    headroom: Headroom | None = None
    attributes: dict[str, str] = Field(default_factory=dict)
    wait: bool = False
    dry_run: bool = False
    keep_statement: bool = False
    timeout_seconds: TimeoutSeconds = USUAL_TIMEOUT_SECONDS
    mode: Literal["upsert", "changes", "mirror"] = "upsert"
    deletes_allowed: Share = 0.1
    full: bool = False
    unique: bool = False
    incremental: Incremental | None = None
    verify_sample: Annotated[int, Field(ge=0, le=_MOST_SAMPLED)] = 0
    resume: LoadName | None = None
    replay: LoadName | None = None
    write_over: bool = False
    mail_on_success: bool = False

    @model_validator(mode="after")
    def _repeats_nothing(self) -> Self:
        given = self.model_fields_set
        if self.resume is not None and (others := sorted(given - _WITH_RESUME)):
            raise ValueError(f"a load that is resumed is what it was: leave out {', '.join(others)}")
        if self.replay is not None and (others := sorted(given - _WITH_REPLAY)):
            raise ValueError(f"rejects are replayed as their load was: leave out {', '.join(others)}")
        if self.replay is None and self.write_over:
            raise ValueError("write_over belongs to replay: any other load writes over what has its keys anyway")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.model_fields_set
        if self.query is not None and self.table is not None:
            raise ValueError("give query or table, not both")
        if self.table is None and (self.columns is not None or self.where is not None):
            raise ValueError("columns and where belong to table: name the table, or put them into query")
        if self.mode == "upsert" and self.full:
            raise ValueError("full belongs to the modes changes and mirror: upsert writes every row anyway")
        if self.mode != "upsert" and self.unique:
            raise ValueError("unique belongs to the mode upsert: the others write only the last row of a key anyway")
        if self.mode != "mirror" and "deletes_allowed" in given:
            raise ValueError("deletes_allowed belongs to the mode mirror: no other deletes anything")
        if self.incremental and self.mode == "mirror":
            raise ValueError("incremental is not for the mode mirror: it would delete all rows but the newest")
        if self.incremental and self.unique:
            raise ValueError("incremental is not for unique, which forgets what was loaded before: give mode changes")
        return self

    @property
    def has_buckets(self) -> bool:
        """Whether UNLOAD puts all rows of a key into one bucket, and the load keeps a record of what it writes."""
        return self.mode != "upsert" or self.unique

    @property
    def takes_table(self) -> bool:
        """Whether the load must be the only one: a dry run of an upsert writes nothing, and counts nothing exactly."""
        return self.has_buckets or not self.dry_run

    @property
    def forgets(self) -> bool:
        """Whether the load goes by nothing that is known of the table, and begins its record anew."""
        return self.full or self.unique


def requested_limits(request: LoadRequest, otherwise: LoadLimits) -> LoadLimits:
    """The limits that the input sets, and the others as they would be otherwise."""
    names = {field.name for field in fields(LoadLimits)}
    return replace(otherwise, **request.model_dump(include=names, exclude_none=True))
