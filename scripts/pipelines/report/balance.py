"""Where every row of a load went, and why some were rejected."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.pipelines.report import words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from scripts.pipelines.runs.model import Load, Run


@dataclass(frozen=True)
class Rejects:
    """Rejected rows by reason; not `all_read` if there were more of them than were read."""

    by_reason: Mapping[str, int]
    all_read: bool


@dataclass(frozen=True)
class Part:
    """A part of a whole, from `begin` on `width` units of 1,000."""

    kind: str
    label: str
    rows: str
    share: str
    begin: float
    width: float


def missing_because(run: Run) -> str:
    """Why there is no balance of a load that has come as far as its plan; empty if there is one."""
    load = run.load
    if load is None or load.pieces or not load.plan.pieces:
        return ""
    if run.is_running:
        return "No loader has begun yet."
    return "No loader has begun, or the ledger has forgotten it: it keeps a load for 30 days after its last note."


def balance(load: Load, *, is_running: bool) -> list[Part]:
    """The rows that were unloaded, by what has become of them."""
    total, plan = load.total, load.plan
    missing = plan.rows - total.rows
    would = plan.dry_run
    counts = [
        ("written", "To be written" if would else "Written", total.written),
        ("unchanged", "Unchanged, left alone", total.unchanged),
        ("superseded", "Superseded by a later row", total.superseded),
        ("rejected", "Rejected", total.rejected),
        ("missing", "Not settled yet" if is_running else "Unaccounted for", missing),
    ]
    return _parts([part for part in counts if part[2] > 0 or part[0] == "written"], plan.rows)


def reasons(rejects: Rejects) -> list[Part]:
    """The rows that were rejected, by reason, the most frequent first."""
    by_count = sorted(rejects.by_reason.items(), key=lambda item: -item[1])
    return _parts([("rejected", reason, rows) for reason, rows in by_count], sum(rejects.by_reason.values()))


def told(parts: Sequence[Part], whole: str) -> str:
    """The parts of a whole in a sentence."""
    return f"{whole}: " + ", ".join(f"{part.label} {part.rows} ({part.share})" for part in parts) + "."


def _parts(counts: Sequence[tuple[str, str, int]], whole: int) -> list[Part]:
    parts, begin = [], 0.0
    for kind, label, rows in counts:
        width = 1_000 * rows / whole if whole else 0.0
        parts.append(Part(kind, label, words.count(rows), words.share(rows, whole), round(begin, 1), round(width, 1)))
        begin += width
    return parts
