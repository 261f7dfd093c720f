"""The execution's input: what to unload and within which limits. `{}` runs the load the stack is configured for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from environment import whole_number
from statements.inputs import ExecutionInput

# A Distributed Map runs at most 10,000 children at once ("Map state in Distributed mode", Step Functions guide).
_MAX_LOADERS = 10_000

AtLeastZero = Annotated[int, Field(ge=0)]
Loaders = Annotated[int, Field(ge=1, le=_MAX_LOADERS)]


class LoadRequest(ExecutionInput):
    """What to unload: `query`, or `table` with `columns` and `where`, or neither for the stack's own query.

    `max_write_units_per_second` is the write budget all loaders share (0: none), `loader_concurrency` how many loaders
    run at once, `rejects_allowed` how many rejected rows a load survives; each None means the stack's parameter.
    `dry_run` unloads and reports without writing to the target.
    """

    query: str | None = None
    table: str | None = None
    columns: Annotated[list[str], Field(min_length=1)] | None = None
    where: str | None = None
    max_write_units_per_second: AtLeastZero | None = None
    loader_concurrency: Loaders | None = None
    rejects_allowed: AtLeastZero | None = None
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.query is not None and self.table is not None:
            raise ValueError("give query or table, not both")
        if self.table is None and (self.columns is not None or self.where is not None):
            raise ValueError("columns and where belong to table: name the table, or put them into query")
        return self


@dataclass(frozen=True)
class LoadLimits:
    """The limits of one load; `max_write_units_per_second` 0 means no budget."""

    max_write_units_per_second: int
    loader_concurrency: int
    rejects_allowed: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """The stack's parameters; raises MissingConfiguration."""
        return cls(
            max_write_units_per_second=whole_number(environment, "MAX_WRITE_UNITS_PER_SECOND"),
            loader_concurrency=whole_number(environment, "LOADER_CONCURRENCY"),
            rejects_allowed=whole_number(environment, "REJECTS_ALLOWED"),
        )

    def overridden_by(self, request: LoadRequest) -> "LoadLimits":
        """These limits, save those that the input sets."""
        return LoadLimits(
            max_write_units_per_second=_given(request.max_write_units_per_second, self.max_write_units_per_second),
            loader_concurrency=_given(request.loader_concurrency, self.loader_concurrency),
            rejects_allowed=_given(request.rejects_allowed, self.rejects_allowed),
        )


def _given(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
