"""A Redshift Data API that runs a client token once, as AWS's does and moto's does not, and lists and cancels."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import moto.core.models

import aws_clients
from tests.unit.outside_calls import NOWHERE, answer

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse

RUNNING = "STARTED"


@dataclass
class RanStatement:
    """One statement."""

    id: str
    name: str
    status: str = RUNNING


@dataclass
class Redshift:
    """Answers the functions' calls from when it is `connected`; `cancelled` counts statements that ran until then."""

    statements: dict[str, RanStatement] = field(default_factory=dict)
    """By client token."""
    cancelled: Counter[str] = field(default_factory=Counter)

    def connect(self) -> None:
        """Be what the functions call, in place of moto."""
        events: Any = aws_clients.client("redshift-data").meta.events
        events.unregister("before-send", moto.core.models.botocore_stubber)
        events.register("before-send", self._answer)

    def begin_anew(self) -> None:
        """Forget all statements."""
        self.statements.clear()
        self.cancelled.clear()

    @property
    def ran(self) -> list[str]:
        """The names of the statements that were run."""
        return [statement.name for statement in self.statements.values()]

    @property
    def running(self) -> list[RanStatement]:
        return [statement for statement in self.statements.values() if statement.status == RUNNING]

    def end(self, status: str = "FINISHED") -> None:
        """Let what runs end."""
        for statement in self.running:
            statement.status = status

    def _answer(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        if request.url == NOWHERE:  # answered already, with a fault
            return None
        asked = json.loads(request.body)
        status, body = getattr(self, "_" + event_name.rpartition(".")[2])(asked)
        return answer(request, status, body)

    def _ExecuteStatement(self, asked: dict[str, Any]) -> tuple[int, Any]:  # noqa: N802 - the operation's name
        made = RanStatement(f"id-{len(self.statements)}", asked["StatementName"])
        return 200, {"Id": self.statements.setdefault(asked["ClientToken"], made).id}

    def _DescribeStatement(self, asked: dict[str, Any]) -> tuple[int, Any]:  # noqa: N802
        for statement in self.statements.values():
            if statement.id == asked["Id"]:
                return 200, {"Id": statement.id, "Status": statement.status}
        return 400, "ResourceNotFoundException"

    def _ListStatements(self, asked: dict[str, Any]) -> tuple[int, Any]:  # noqa: N802
        found = [known for known in self.statements.values() if known.name.startswith(asked["StatementName"])]
        return 200, {"Statements": [{"Id": known.id, "StatementName": known.name} for known in found]}

    def _CancelStatement(self, asked: dict[str, Any]) -> tuple[int, Any]:  # noqa: N802
        for statement in self.running:
            if statement.id == asked["Id"]:
                statement.status = "ABORTED"
                self.cancelled[statement.name] += 1
                return 200, {"Status": True}
        return 400, "ValidationException"
