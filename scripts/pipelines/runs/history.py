"""From the events of an execution's history to the states that it went through."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.pipelines.runs.model import Failure, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

# The details of events that tell of a failed attempt. What a state machine ends with is no attempt of a state.
_FAILURE_DETAILS = (
    "taskFailedEventDetails",
    "taskTimedOutEventDetails",
    "taskStartFailedEventDetails",
    "taskSubmitFailedEventDetails",
    "lambdaFunctionFailedEventDetails",
    "lambdaFunctionTimedOutEventDetails",
    "mapRunFailedEventDetails",
    "evaluationFailedEventDetails",
)

_ENDS = frozenset({"ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"})


def stages(events: Iterable[Mapping[str, Any]], ended_at: datetime | None) -> tuple[Stage, ...]:
    """The states that were visited, in their order; one that was left without a word ended when the next began.

    A state that was left when the execution ended, and is gone on with after a redrive, was visited twice: the time
    between is no state's. Step Functions doesn't enter it anew.
    """
    visited: list[Stage] = []
    redriven_at: datetime | None = None
    for event in events:
        at = event["timestamp"]
        entered = event.get("stateEnteredEventDetails")
        if redriven_at and visited and not entered:
            visited.append(replace(visited[-1], entered_at=redriven_at, left_at=None, failures=(), output=None))
        redriven_at = at if event["type"] == "ExecutionRedriven" else None
        if event["type"] in _ENDS:
            _leave(visited, at)
        elif entered:
            _leave(visited, at)
            visited.append(Stage(entered["name"], event["type"].removesuffix("StateEntered"), at, None, (), None))
        elif exited := event.get("stateExitedEventDetails"):
            _leave(visited, at, _document(exited.get("output")))
        elif visited and (details := _failure_details(event)) is not None:
            last = visited[-1]
            visited[-1] = replace(last, failures=(*last.failures, _failure(event["type"], details, at)))
    if ended_at:
        _leave(visited, ended_at)
    return tuple(visited)


def _leave(visited: list[Stage], at: datetime, output: Any = None) -> None:
    if visited and visited[-1].left_at is None:
        visited[-1] = replace(visited[-1], left_at=at, output=output)


def _failure_details(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    if event["type"].endswith(("Failed", "TimedOut")) and not event["type"].startswith("Execution"):
        return next((event[name] for name in _FAILURE_DETAILS if name in event), {})
    return None


def _failure(event_type: str, details: Mapping[str, Any], at: datetime) -> Failure:
    error = details.get("error") or ("States.Timeout" if event_type.endswith("TimedOut") else event_type)
    name, cause = told(error, details.get("cause", ""))
    return Failure(name, cause, at)


def told(error: str, cause: str) -> tuple[str, str]:
    """A failure's name and message, which a function's exception has in the JSON that Lambda makes of it."""
    document = _document(cause)
    if isinstance(document, dict) and {"errorMessage", "errorType"} <= document.keys():
        return str(document["errorType"]), str(document["errorMessage"])
    return error, cause


def _document(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        # A cause in words, or an output that the history has cut.
        return None
