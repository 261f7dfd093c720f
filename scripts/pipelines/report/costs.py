"""What a run has cost, and what it has saved, each by a formula that the page shows.

What DynamoDB charged for the target's writes is counted by its own answers; the rest is worked out from what the ledger
and the history tell. Redshift's own time is not in it: it runs on what is paid for anyway, or by a price of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.pipelines import prices
from scripts.pipelines.report import words

if TYPE_CHECKING:
    from scripts.pipelines.runs.model import Load, Run

SUBMITTER_MEMORY_MB = 256
"""What the template gives to RedshiftRunSpsFunction, which submits a procedure."""
UNLOADED_DAYS = 15
"""For which the stack's bucket keeps what was unloaded."""
WRITES_PER_PIECE = 4
"""Of the ledger, beside checkpoints: a loader takes the piece over, notes its end, and leaves; its load's lock."""
SECONDS_PER_CHECKPOINT = 2
WRITES_PER_STATEMENT = 6
"""Of the token table and the ledger, for a statement from its submission to its end."""
WAITING_STATES = frozenset({"Run Stored Procedure", "Count Rows", "Unload Redshift Table"})
"""In which an execution waits for Redshift."""
_LONGEST_FUNCTION_SECONDS = 900


@dataclass(frozen=True)
class Cost:
    """One thing that was charged, or not charged: what, the arithmetic in words, US dollars, whose figures they are."""

    what: str
    arithmetic: str
    dollars: float
    source: str


@dataclass(frozen=True)
class Bill:
    """What a run has `cost` and `saved`; `notes` say what the figures leave out."""

    cost: tuple[Cost, ...]
    saved: tuple[Cost, ...]
    notes: tuple[str, ...]

    @property
    def total(self) -> float:
        """All that it has cost, in US dollars."""
        return sum(cost.dollars for cost in self.cost)

    @property
    def total_saved(self) -> float:
        """All that it has saved, in US dollars."""
        return sum(cost.dollars for cost in self.saved)


def bill(run: Run, waited_seconds: float) -> Bill:
    """Work out the bill of a run, which has waited for Redshift for so many seconds."""
    cost, saved, notes = [_transitions(run)], [_waiting(waited_seconds)], []
    ledger_writes = float(WRITES_PER_STATEMENT * len(run.statements))
    if run.load:
        total, provisioned = run.load.total, run.load.plan.mapping.target.capacity.provisioned
        ledger_writes += WRITES_PER_PIECE * len(run.load.pieces) + total.seconds / SECONDS_PER_CHECKPOINT
        if run.load.plan.dry_run:
            notes.append("A dry run writes no item, so the table's write units are none.")
        elif provisioned:
            notes.append(
                f"The table's {provisioned:,} provisioned write units are paid by the hour, used or not: its "
                f"{words.count(total.write_units)} write units cost nothing more."
            )
        else:
            cost.insert(0, _write_units("Writes to the target table", total.write_units, "counted by DynamoDB"))
            if total.units_saved:
                unchanged = f"{words.count(total.unchanged)} rows that had not changed"
                saved.insert(0, _write_units(unchanged, total.units_saved, "by the size of these rows"))
        cost += [_loaders(total.seconds), _storage(run.load)]
    cost.append(_write_units("Ledger and tokens", ledger_writes, "worked out"))
    region = run.arn.split(":")[3]
    other = "" if region == prices.REGION else f"; {region} may have others"
    notes.append(
        f"Prices are those of {prices.REGION}, on demand, without what is free each month{other}. Redshift's own time "
        "comes on top, and so do logs, requests to S3 and the functions beside the loaders, which are a small part."
    )
    return Bill(tuple(cost), tuple(saved), tuple(notes))


def _write_units(what: str, units: float, source: str) -> Cost:
    return Cost(
        what,
        f"{words.count(units)} write units x ${prices.PER_MILLION_WRITE_UNITS:g} per million",
        units * prices.PER_MILLION_WRITE_UNITS / 1_000_000,
        f"{source}; https://aws.amazon.com/dynamodb/pricing/on-demand/",
    )


def _loaders(seconds: float) -> Cost:
    return Cost(
        "Loaders",
        _function_seconds(seconds, prices.LOADER_MEMORY_MB),
        seconds * prices.LOADER_MEMORY_MB / 1_024 * prices.PER_GB_SECOND,
        "their time by the ledger; https://aws.amazon.com/lambda/pricing/",
    )


def _storage(load: Load) -> Cost:
    gigabytes, months = load.plan.bytes / 1_024**3, UNLOADED_DAYS / 30
    return Cost(
        "Unloaded files",
        f"{words.size(load.plan.bytes)} x {UNLOADED_DAYS} days x ${prices.PER_GB_MONTH:g} per GB and month",
        gigabytes * months * prices.PER_GB_MONTH,
        "their size by the manifest; https://aws.amazon.com/s3/pricing/",
    )


def _transitions(run: Run) -> Cost:
    of_pieces = prices.TRANSITIONS_PER_PIECE * len(run.load.pieces) if run.load else 0
    transitions = len(run.stages) + sum(len(stage.failures) for stage in run.stages) + of_pieces
    return Cost(
        "Step Functions",
        f"{transitions:,} state transitions x ${prices.PER_THOUSAND_TRANSITIONS:g} per 1,000",
        transitions * prices.PER_THOUSAND_TRANSITIONS / 1_000,
        "by the history, four for each piece; https://aws.amazon.com/step-functions/pricing/",
    )


def _waiting(seconds: float) -> Cost:
    too_long = ", which no function could have done: it is ended after 900 s"
    return Cost(
        f"No function waited for Redshift{too_long if seconds > _LONGEST_FUNCTION_SECONDS else ''}",
        _function_seconds(seconds, SUBMITTER_MEMORY_MB),
        seconds * SUBMITTER_MEMORY_MB / 1_024 * prices.PER_GB_SECOND,
        "by the history; https://aws.amazon.com/lambda/pricing/",
    )


def _function_seconds(seconds: float, memory_mb: int) -> str:
    return f"{words.count(seconds)} s x {memory_mb:,} / 1,024 GB x ${prices.PER_GB_SECOND:.10f} per GB-second"
