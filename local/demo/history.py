"""What an execution has been through, as its history tells while it runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

EVENTS_PER_LOOK = 1000


class History:
    """The states that an execution entered and left, read anew at each look."""

    def __init__(self, states: SFNClient, execution_arn: str) -> None:
        self._states = states
        self._execution_arn = execution_arn
        self._events_seen = 0
        self._outputs: dict[str, Any] = {}

    def look(self) -> list[str]:
        """Return the names of the states entered since the last look."""
        events = self._states.get_execution_history(executionArn=self._execution_arn, maxResults=EVENTS_PER_LOOK)[
            "events"
        ]
        entered = []
        for event in events[self._events_seen :]:
            if "stateEnteredEventDetails" in event:
                entered.append(event["stateEnteredEventDetails"]["name"])
            if "stateExitedEventDetails" in event:
                exited = event["stateExitedEventDetails"]
                self._outputs[exited["name"]] = json.loads(exited.get("output", "null"))
        self._events_seen = len(events)
        return entered

    def output_of(self, state: str) -> Any:
        """Return what a state put out, None if it wasn't left by the last look."""
        return self._outputs.get(state)
