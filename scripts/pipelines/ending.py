"""How a run has ended, for people, and as a command's exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.pipelines.runs.model import Pipeline
from scripts.pipelines.wording import count, duration

if TYPE_CHECKING:
    from scripts.pipelines.context import Context
    from scripts.pipelines.runs.model import Outcome

ENDS = {"FAILED": "failed", "TIMED_OUT": "ran out of time", "ABORTED": "was stopped"}
STOPPED = "Somebody stopped it. Redrive the execution to go on, or start anew."
"""What to do about a run that was stopped: the runbook has no section on it, as it ends with no error."""

# By which write units a figure of a dry run goes, and to what it is rounded.
_ROUNDED = {
    "dollars": ("write_units", 0.01),
    "minutes": ("write_units", 0.1),
    "full_load_dollars": ("full_load_write_units", 0.01),
}


def show_end(context: Context, run: Outcome) -> None:
    """Say how it ended, what became of the rows, and what to do next."""
    screen, took = context.screen, duration(run.seconds())
    if not run.succeeded:
        screen.failed(f"{run.name} {ENDS.get(run.status, run.status)} after {took}")
        if run.error:
            screen.line(run.error, indent=2, style="bold")
        if run.cause:
            screen.line(run.cause, indent=2)
        screen.hint("What that means, and what to do", context.command("why", run.name))
        return
    screen.done(f"{run.name} succeeded in {took}")
    output = run.output if isinstance(run.output, dict) else {}
    if run.pipeline is Pipeline.PROCEDURE:
        screen.pairs([(name, _value(value)) for name, value in output.items()])
    elif "load_id" in output:
        screen.line(rows_balance(output), indent=2)
        screen.line(_effort(output), indent=2)
        if output["full_load_because"]:
            screen.line(f"Every row was written: {output['full_load_because']}", indent=2)
        if output["rows_rejected"]:
            screen.hint("See the rejected rows", context.command("rejects", "show", run.name))
    else:
        screen.line("A dry run: nothing was written to the table.", indent=2)
        screen.pairs([(name, _estimated(name, output)) for name in output])


def rows_balance(output: dict[str, Any]) -> str:
    """Where every row of a load went."""
    kinds = ("written", "unchanged", "rejected", "superseded")
    parts = [f"{output[f'rows_{kind}']:,} {kind}" for kind in kinds if output[f"rows_{kind}"] or kind == "written"]
    deleted = f"; {count(output['rows_deleted'], 'item')} deleted" if output["rows_deleted"] else ""
    unloaded = count(output["rows_unloaded"], "row")
    return f"{unloaded} unloaded for {output['table']} = {' + '.join(parts)}{deleted}"


def _effort(output: dict[str, Any]) -> str:
    words = [f"{output['write_units']:,.0f} write units"]
    # Of a load that had nothing left to write there is no rate to tell.
    if round(output["rows_per_second"]):
        words.insert(0, f"{output['rows_per_second']:,.0f} rows/s")
    if output["write_units_saved"]:
        words.append(f"{output['write_units_saved']:,} saved")
    if output["rows_throttled"]:
        words.append(f"throttled for {duration(output['throttled_seconds'])}")
    return ", ".join(words)


def _estimated(name: str, output: dict[str, Any]) -> str:
    """A figure of a dry run; what is little and not nothing isn't told as 0."""
    units, least = _ROUNDED.get(name, ("", 0))
    if output[name] == 0 and output.get(units):
        return f"< {least}"
    return _value(output[name])


def _value(value: Any) -> str:
    match value:
        case None | [] | {}:
            return ""
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"{value:,}"
        case list():
            return "\n".join(_value(part) for part in value)
        case dict():
            return ", ".join(f"{name} {_value(part)}" for name, part in value.items())
        case _:
            return str(value)
