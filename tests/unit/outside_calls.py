"""The calls that functions make of AWS, one of which goes wrong: the process, the network or the service fails.

What a service or the network does happens where botocore sends a request, below its retries.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from threading import Lock, get_ident
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar

import botocore.endpoint
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

import aws_clients
from errors import PipelineError, TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pytest

SERVICES = ("s3", "dynamodb", "redshift-data", "stepfunctions")
ATTEMPTS = 5
"""How often the functions' clients try a call."""
NOWHERE = "https://nowhere.invalid/"

World = TypeVar("World")


class KilledError(BaseException):
    """The function's process is gone: nothing of it runs any more."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a call: before it has reached the service, or after the service has carried it out.

    The process is `killed`, or the connection breaks, or the service `answers` with an error's status and code. It
    happens to the first attempt, or `always`.
    """

    name: str
    after: bool = False
    always: bool = True
    killed: bool = False
    answers: tuple[int, str] | None = None

    def __str__(self) -> str:
        return self.name


KILLED_BEFORE = Fault("killed before", killed=True)
KILLED_AFTER = Fault("killed after", killed=True, after=True)
THROTTLED = Fault("throttled", answers=(400, "ThrottlingException"))
ANSWER_LOST = Fault("answer lost once", after=True, always=False)
FAULTS = (
    KILLED_BEFORE,
    KILLED_AFTER,
    THROTTLED,
    Fault("internal error", answers=(500, "InternalServerException")),
    Fault("reset once", always=False),
    Fault("reset"),
    ANSWER_LOST,
    Fault("answers lost", after=True),
)


@dataclass
class OutsideCalls:
    """A context in which the functions' call numbered `number`, from 0, meets a fault, in whatever thread."""

    fault: Fault
    number: int
    names: list[str] = field(default_factory=list)
    """The calls that were made."""
    attempts: int = 0
    """How often the call that meets the fault was sent."""
    dead: bool = False
    _lock: Lock = field(default_factory=Lock)
    _met_by: int | None = None
    """The thread whose call meets the fault, until it makes another."""

    def __enter__(self) -> Self:
        for events in _events():
            events.register_first("before-call", self._begin)
            events.register_first("before-send", self._send)
            events.register_last("before-send", self._sent)
            events.register_first("after-call", self._end)
        return self

    def __exit__(self, *_: object) -> None:
        for events in _events():
            events.unregister("before-call", self._begin)
            events.unregister("before-send", self._send)
            events.unregister("before-send", self._sent)
            events.unregister("after-call", self._end)

    @property
    def happened(self) -> bool:
        """Whether there was such a call."""
        return len(self.names) > self.number

    def pass_moment(self) -> None:
        """Count another moment than a call, in which the process may die, too."""
        self._count("")
        self._die(after=self.fault.after)

    def _begin(self, model: Any, **_: Any) -> None:
        self._count(model.name)
        self._die(after=False)

    def _count(self, name: str) -> None:
        with self._lock:
            if not self.dead:
                if len(self.names) == self.number:
                    self._met_by = get_ident()
                elif self._is_met:
                    self._met_by = None
                self.names.append(name)

    def _end(self, **_: Any) -> None:
        self._die(after=True)

    def _die(self, *, after: bool) -> None:
        # Other threads may have begun calls since.
        if self.dead or (self.happened and self.fault.killed and self.fault.after == after):
            self.dead = True
            raise KilledError

    def _send(self, request: Any, **_: Any) -> AWSResponse | None:
        self.attempts += self._is_met
        return None if self.fault.after else self._go_wrong(request)

    def _sent(self, request: Any, **_: Any) -> AWSResponse | None:
        return self._go_wrong(request) if self.fault.after else None

    @property
    def _is_met(self) -> bool:
        return self._met_by == get_ident()

    def _go_wrong(self, request: Any) -> AWSResponse | None:
        if not self._is_met or self.fault.killed or (self.attempts > 1 and not self.fault.always):
            return None
        if self.fault.answers is None:
            if self.fault.after and not botocore_stubber.enabled:
                # Over HTTP nobody has carried it out yet.
                URLLib3Session().send(request)
            raise ConnectionClosedError(endpoint_url=request.url)
        return answer(request, *self.fault.answers)


def after_each_call(
    make: Callable[[], World], run: Callable[[World], None], fault: Fault
) -> Iterator[tuple[World, BaseException | None]]:
    """For each call that is made when something is run: the world in which it met the fault, and what was raised then.

    What a service or the network does is tried again a few times, and then has a name that is worth another try.
    """
    for number in itertools.count():
        world, raised = make(), None
        with OutsideCalls(fault, number) as calls:
            try:
                run(world)
            except (KilledError, PipelineError) as error:
                raised = error
        if not calls.happened:
            assert number > 2, "hardly any calls"
            return
        if fault.killed:
            assert isinstance(raised, KilledError)
        else:
            assert raised is None or isinstance(raised, TransientError), raised
            assert calls.attempts == (ATTEMPTS if fault.always else 2)
        yield world, raised


def _events() -> Iterator[Any]:
    for service in SERVICES:
        yield aws_clients.client(service).meta.events  # type: ignore[call-overload]


def answer(request: Any, status: int, code_or_body: str | dict[str, Any]) -> AWSResponse:
    """Answer a request in place of moto, which then does not see it: with an error's code, or in JSON."""
    if not isinstance(code_or_body, str):
        body = json.dumps(code_or_body)
    elif ".s3." in request.url:
        body = f"<Error><Code>{code_or_body}</Code><Message>not now</Message></Error>"
    else:
        body = json.dumps({"__type": code_or_body, "message": "not now"})
    request.url = NOWHERE
    return AWSResponse(NOWHERE, status, HTTPHeaders(), MockRawResponse(body))


def without_pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the SDK's pauses between attempts take no time; return them."""
    pauses: list[float] = []
    monkeypatch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=pauses.append))
    return pauses
