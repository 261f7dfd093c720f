"""What every state machine's definition must have. Each check yields one line per fault."""

from __future__ import annotations

import ast
import json
import re
from typing import TYPE_CHECKING, Any

from tests.template.stack import Machine, mappings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ENDING = ("Succeed", "Fail")

# Errors of Step Functions, of Lambda's integration, of a timed-out function, and of other services (`SNS.…`).
_SERVICE_ERROR = re.compile(r"[A-Z][A-Za-z0-9]*\.[A-Za-z0-9]+")


def _targets(state: dict[str, Any]) -> Iterator[str]:
    """Where a state can lead: its Next and Default, and those of its Choices and Catches."""
    own = [state, *state.get("Choices", []), *state.get("Catch", [])]
    yield from (part[key] for part in own for key in ("Next", "Default") if key in part)


def targets_missing(machine: Machine) -> Iterator[str]:
    """Every Next, Default, Catch and StartAt names a state of the same scope."""
    for scope in machine.scopes():
        states = scope["States"]
        if scope["StartAt"] not in states:
            yield f"StartAt {scope['StartAt']} is no state"
        for name, state in states.items():
            yield from (
                f"{name} leads to {target}, which is no state" for target in _targets(state) if target not in states
            )


def states_unreachable(machine: Machine) -> Iterator[str]:
    """Every state can be reached from the start of its scope."""
    for scope in machine.scopes():
        reached: set[str] = set()
        ahead = [scope["StartAt"]]
        while ahead:
            name = ahead.pop()
            if name in scope["States"] and name not in reached:
                reached.add(name)
                ahead += _targets(scope["States"][name])
        yield from (f"{name} can't be reached" for name in scope["States"] if name not in reached)


def names_repeated(machine: Machine) -> Iterator[str]:
    """A state's name occurs once in the whole definition."""
    names = [name for name, _ in machine.states()]
    yield from (f"{name} is the name of several states" for name in sorted({n for n in names if names.count(n) > 1}))


def ends_missing(machine: Machine) -> Iterator[str]:
    """A state goes on or ends."""
    for name, state in machine.states():
        if state["Type"] not in (*_ENDING, "Choice") and not ("Next" in state) ^ (state.get("End") is True):
            yield f"{name} has neither Next nor End, or both"


def comments_missing(machine: Machine) -> Iterator[str]:
    """The machine and each of its states say what they are for."""
    if not machine.definition.get("Comment"):
        yield f"{machine.name} has no Comment"
    yield from (f"{name} has no Comment" for name, state in machine.states() if not state.get("Comment"))


def substitutions_unmatched(machine: Machine) -> Iterator[str]:
    """The template gives each ${Name} of the definition, and no other."""
    used = set(re.findall(r"\$\{(\w+)\}", machine.text))
    yield from (f"${{{name}}} is not given" for name in sorted(used - set(machine.substitutions)))
    yield from (f"{name} is given and not used" for name in sorted(set(machine.substitutions) - used))


def arns_literal(machine: Machine) -> Iterator[str]:
    """No ARN names a partition, region or account of its own."""
    yield from (f"{arn} is not a substitution" for arn in re.findall(r"arn:aws[^\s'\"]*|\b[0-9]{12}\b", machine.text))


def timeouts_missing(machine: Machine) -> Iterator[str]:
    """A task that never answers fails in the end."""
    for name, state in machine.states():
        if state["Type"] == "Task" and not {"TimeoutSeconds", "TimeoutSecondsPath"} & set(state):
            yield f"{name} has no TimeoutSeconds"


def defaults_missing(machine: Machine) -> Iterator[str]:
    """A choice knows what to do with what it does not know."""
    for name, state in machine.states():
        if state["Type"] == "Choice" and "Default" not in state:
            yield f"{name} has no Default"


def retries_unbounded(machine: Machine) -> Iterator[str]:
    """Retries name their errors, have a bound, and don't come all at once."""
    for name, state in machine.states():
        for retry in state.get("Retry", []):
            errors = retry["ErrorEquals"]
            for vague in ("States.ALL", "States.TaskFailed", "States.Runtime"):
                if vague in errors:
                    yield f"{name} retries {vague}"
            if "MaxAttempts" not in retry:
                yield f"{name} retries {errors} without MaxAttempts"
            if retry.get("JitterStrategy") != "FULL":
                yield f"{name} retries {errors} without JitterStrategy FULL"


def retries_differ(machines: list[Machine]) -> Iterator[str]:
    """An error is retried alike wherever it is: as often, as soon, as late."""
    numbers: dict[str, dict[str, Any]] = {}
    for machine in machines:
        for name, state in machine.states():
            for retry in state.get("Retry", []):
                waits = {key: value for key, value in retry.items() if key != "ErrorEquals"}
                for error in retry["ErrorEquals"]:
                    if numbers.setdefault(error, waits) != waits:
                        yield f"{name} of {machine.name} retries {error} otherwise than another state"


def failures_told_differently(machines: list[Machine]) -> Iterator[str]:
    """What a failure leads to is the same in all machines, but for the name and the comment of the Fail state."""
    told = [_told(machine) for machine in machines]
    for machine, states in zip(machines, told, strict=True):
        different = sorted(name for name in states | told[0] if states.get(name) != told[0].get(name))
        yield from (f"{machine.name}: {name} is not what it is in {machines[0].name}" for name in different)


def _told(machine: Machine) -> dict[str, str]:
    """The states that States.ALL leads to, as text in which the Fail state goes by the name of its type."""
    states = machine.definition["States"]
    ahead = [
        catch["Next"]
        for state in states.values()
        for catch in state.get("Catch", [])
        if catch["ErrorEquals"] == ["States.ALL"] and not _changes_nothing(state, catch)
    ]
    told: dict[str, str] = {}
    while ahead:
        name = ahead.pop()
        if name not in told:
            told[name] = json.dumps({key: value for key, value in states[name].items() if key != "Comment"})
            ahead += _targets(states[name])
    (end,) = (name for name in told if states[name]["Type"] == "Fail")
    return {name if name != end else "Fail": text.replace(end, "Fail") for name, text in told.items()}


def timeouts_retried_without_reason(machine: Machine) -> Iterator[str]:
    """Whoever retries States.Timeout says in a comment right above why that may help."""
    lines = machine.text.splitlines()
    retries_end = re.compile(r"^\s*(Retry|Catch):")
    section = ""
    for number, line in enumerate(lines):
        if match := retries_end.match(line):
            section = match[1]
        if section == "Retry" and "States.Timeout" in line:
            start = next(n for n in range(number, -1, -1) if "ErrorEquals" in lines[n])
            if not lines[start - 1].strip().startswith("#"):
                yield f"line {number + 1}: States.Timeout is retried without a reason"


def failures_uncaught(machine: Machine) -> Iterator[str]:
    """Outside a Map, whatever fails is caught: the last Catch takes States.ALL.

    That leaves out States.DataLimitExceeded, which another one leads to the same place ("Handling errors in Step
    Functions workflows", Error names).
    """
    for name, state in machine.definition["States"].items():
        if state["Type"] not in ("Task", "Map", "Parallel"):
            continue
        catches = state.get("Catch", [])
        if not catches or catches[-1]["ErrorEquals"] != ["States.ALL"]:
            yield f"{name} does not catch States.ALL last"
        elif catches[-1] | {"ErrorEquals": ["States.DataLimitExceeded"]} not in catches:
            yield f"{name} does not catch States.DataLimitExceeded as it does States.ALL"


def failures_end_as_success(machine: Machine) -> Iterator[str]:
    """What States.ALL leads to ends in a Fail state, whichever way it takes, unless it changes no way."""
    states = machine.definition["States"]
    for name, state in states.items():
        for catch in state.get("Catch", []):
            if catch["ErrorEquals"] != ["States.ALL"] or _changes_nothing(state, catch):
                continue
            ends, seen, ahead = set(), set(), [catch["Next"]]
            while ahead:
                reached = ahead.pop()
                if reached in states and reached not in seen:
                    seen.add(reached)
                    further = list(_targets(states[reached]))
                    ahead += further
                    if states[reached].get("End") or not further:
                        ends.add(reached)
            yield from (f"{name} fails, yet can end in {end}" for end in sorted(ends) if states[end]["Type"] != "Fail")


def _changes_nothing(state: dict[str, Any], catch: dict[str, Any]) -> bool:
    """Whether a mail that can't be sent lets the execution go on as one that was sent."""
    return str(state.get("Resource")).endswith(":sns:publish") and catch["Next"] == state.get("Next")


def errors_unknown(machine: Machine, code: Path) -> Iterator[str]:
    """A caught or retried error is a service's or a class in an errors.py, and a retried one is transient."""
    known = error_classes(code)
    for name, state in machine.states():
        for kind in ("Catch", "Retry"):
            for error in (error for rule in state.get(kind, []) for error in rule["ErrorEquals"]):
                if _SERVICE_ERROR.fullmatch(error):
                    continue
                if error not in known:
                    yield f"{name}: no errors.py has a class {error}"
                elif kind == "Retry" and "TransientError" not in known[error]:
                    yield f"{name} retries {error}, which is not a TransientError"


def transient_errors_never_retried(machines: list[Machine], code: Path) -> Iterator[str]:
    """Every transient error that the code can raise is retried by a state."""
    retried = {
        error
        for machine in machines
        for mapping in mappings(machine.definition)
        for retry in mapping.get("Retry", [])
        for error in retry["ErrorEquals"]
    }
    for error, bases in sorted(error_classes(code).items()):
        if "TransientError" in bases and error not in retried:
            yield f"{error} is a TransientError that no state retries"


def error_classes(code: Path) -> dict[str, set[str]]:
    """The classes of all errors.py files, each with the names of all its bases there."""
    bases = {
        node.name: {base.id for base in node.bases if isinstance(base, ast.Name)}
        for file in sorted(code.rglob("errors.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    }

    def all_bases(name: str) -> set[str]:
        return bases.get(name, set()).union(*map(all_bases, bases.get(name, set())))

    return {name: all_bases(name) for name in bases}
