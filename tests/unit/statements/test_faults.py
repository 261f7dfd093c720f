"""Each function of the callback mechanism, with a fault before and after each of its calls, and what mends it.

The state machine tries a task again, Lambda an event, the queue a message, the schedule the watchdog. Whatever happens
on the way: the SQL has run once, the newest token is told how it ended, and nothing is left to be watched.
"""

from __future__ import annotations

import itertools
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.dynamodb.models import dynamodb_backends

import aws_clients
import redshift_unload.app
import step_function_callback.app
from errors import PipelineError, TransientError
from tests.unit.outside_calls import (
    ANSWER_LOST,
    FAULTS,
    KILLED_AFTER,
    KILLED_BEFORE,
    THROTTLED,
    Fault,
    KilledError,
    OutsideCalls,
    after_each_call,
    without_pauses,
)
from tests.unit.statements.faults import retry_of
from tests.unit.statements.redshift import Redshift
from tests.unit.unload.conftest import ASKED, BUCKET
from tests.unit.unload.conftest import ENVIRONMENT as UNLOAD_ENVIRONMENT
from tests.unit.waiting_task import ACCOUNT, LEDGER_TABLE, REGION, TOKEN_TABLE, FunctionContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.statements.conftest import Pipeline

PROCEDURE = {"spname": "public.sp_etl_log_etl_event", "event_message": "it's done"}
NAMES = itertools.count()


@dataclass
class World:
    """One execution, whose task is told by whoever notices how its statement ended."""

    pipeline: Pipeline
    redshift: Redshift
    payload: dict[str, Any] = field(default_factory=lambda: PROCEDURE)
    unloads: bool = False
    event: dict[str, Any] = field(init=False)
    waiting: str = field(init=False)
    """The execution that waits for the newest token."""
    arn: str = field(init=False)

    def __post_init__(self) -> None:
        for table in (TOKEN_TABLE, LEDGER_TABLE):
            dynamodb_backends[ACCOUNT][REGION].get_table(table).items.clear()
        self.redshift.begin_anew()
        self.event = self.pipeline.start_task(self.payload, f"execution-{next(NAMES)}")
        self.waiting = self.arn = self.event["execution"]["Id"]

    def submit(self) -> None:
        """Invoke the function that submits for the newest token."""
        self.pipeline.causes.clear()
        if self.unloads:
            redshift_unload.app.handler(self.event | {"statement": "unload", **ASKED}, FunctionContext())
        else:
            self.pipeline.submit(self.event)

    def retry(self) -> None:
        """Let the state machine try the task again."""
        self.event, self.waiting = retry_of(self.pipeline, self.event, f"retry-{next(NAMES)}")

    def abort(self) -> None:
        """Abort the execution while its newest token waits."""
        for arn, token in ((self.arn, self.event["task_token"]), (self.waiting, self.event["task_token"])):
            self.pipeline.abort({"execution": {"Id": arn}, "task_token": token})

    def redrive(self) -> None:
        """Redrive it."""
        self.retry()
        self.event = self.event | {"execution": self.event["execution"] | {"RedriveCount": 1}}

    def stop(self) -> None:
        """Deliver a message of the queue: the execution was stopped."""
        self.pipeline.stop(self.arn)

    def call_back(self) -> None:
        """Deliver the event of the last statement that Redshift ran."""
        last = list(self.redshift.statements.values())[-1]
        detail = {"statementName": last.name, "statementId": last.id}
        event = {"time": "2026-11-26T03:00:00Z", "detail": detail}
        step_function_callback.app.handler(event, FunctionContext())

    def watch(self) -> None:
        """Let five minutes pass, and the watchdog look."""
        self.pipeline.let_pass(300)
        self.pipeline.watch()

    @property
    def failed(self) -> bool:
        """Whether the newest token was failed, which moto takes a moment for."""
        return bool(self.pipeline.causes)

    @property
    def unfinished(self) -> list[Any]:
        """The rows that the watchdog would look at."""
        rows = dynamodb_backends[ACCOUNT][REGION].get_table(TOKEN_TABLE).all_items()
        return [row for row in rows if "unfinished" in row.attrs]

    def has_succeeded(self, statements: int = 1) -> None:
        """Assert that all is well: so many statements ran, once each, and the newest token knows."""
        assert self.pipeline.outcome(self.waiting)[0] == "SUCCEEDED"
        assert len(self.redshift.ran) == len(set(self.redshift.ran)) == statements
        assert self.unfinished == []


@pytest.fixture
def make(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    """Make a world, each in place of the one before; the SDK makes no pauses."""
    without_pauses(monkeypatch)
    for variable, value in UNLOAD_ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    redshift_unload.app._settings.cache_clear()
    boto3.client("s3", REGION).create_bucket(Bucket=BUCKET)
    redshift = Redshift()
    redshift.connect()
    events: Any = aws_clients.client("redshift-data").meta.events
    events.unregister("before-call.redshift-data.ListStatements", pipeline.list_statements)
    return partial(World, pipeline, redshift)


few_faults = pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER, ANSWER_LOST], ids=str)


def running_already(world: World) -> None:
    world.submit()
    world.retry()


def ended_already(world: World) -> None:
    world.submit()
    world.redshift.end()
    world.retry()


def redriven(world: World) -> None:
    world.submit()
    world.abort()
    world.stop()
    world.call_back()
    world.redrive()


@dataclass(frozen=True)
class Attempt:
    """An attempt of a task: what there is before it, and how many statements will have run in the end."""

    name: str
    before: Callable[[World], None] = lambda _world: None
    statements: int = 1
    payload: dict[str, Any] = field(default_factory=lambda: PROCEDURE)
    unloads: bool = False

    def __str__(self) -> str:
        return self.name

    def begun(self, make: Callable[..., World]) -> World:
        world = make(self.payload, unloads=self.unloads)
        self.before(world)
        return world


# Killed after one call is killed before the next: both are tried of the first attempt alone.
FIRST = Attempt("first")
UNLOAD = Attempt("unload", payload={}, unloads=True)
LATER = [
    Attempt("statement runs", running_already),
    Attempt("statement has ended", ended_already),
    Attempt("redrive after a stop", redriven, statements=2),
    Attempt("singleton", payload=PROCEDURE | {"singleton": "nightly"}),
    UNLOAD,
]


@pytest.mark.parametrize(
    ("attempt", "fault"),
    [
        *((FIRST, fault) for fault in FAULTS),
        *((attempt, KILLED_AFTER) for attempt in LATER),
        # S3 is among what it calls.
        *((UNLOAD, fault) for fault in (THROTTLED, ANSWER_LOST)),
    ],
    ids=str,
)
def test_a_task_that_is_tried_again_runs_its_statement_once(
    make: Callable[..., World], attempt: Attempt, fault: Fault
) -> None:
    for world, raised in after_each_call(lambda: attempt.begun(make), World.submit, fault):
        if raised or world.failed:
            world.retry()
            world.submit()
        world.redshift.end()
        world.call_back()
        world.has_succeeded(attempt.statements)


@pytest.mark.parametrize("attempt", [FIRST, *LATER], ids=str)
def test_an_execution_that_is_stopped_after_its_function_died_leaves_nothing_running(
    make: Callable[..., World], attempt: Attempt
) -> None:
    for world, _ in after_each_call(lambda: attempt.begun(make), World.submit, KILLED_AFTER):
        world.abort()
        redrives = world.event["execution"]["RedriveCount"]
        for _ in range(2):
            # The message comes again until whoever submits can be at it no more.
            with suppress(TransientError):
                world.pipeline.stop(world.arn, redrives)
            world.pipeline.let_pass(300)
        assert world.redshift.running == []
        assert max(world.redshift.cancelled.values(), default=1) == 1
        world.watch()
        assert world.unfinished == []


@pytest.mark.parametrize(
    ("status", "fault"),
    [*(("FINISHED", fault) for fault in FAULTS), ("FAILED", KILLED_AFTER)],
    ids=str,
)
def test_an_event_that_is_delivered_again_tells_the_task(make: Callable[..., World], status: str, fault: Fault) -> None:
    def begun() -> World:
        world = make()
        world.submit()
        world.redshift.end(status)
        return world

    for world, _ in after_each_call(begun, World.call_back, fault):
        world.call_back()
        assert world.unfinished == []
        if status == "FINISHED":
            world.has_succeeded()
        assert world.pipeline.outcome(world.waiting)[0] == ("SUCCEEDED" if status == "FINISHED" else "FAILED")


@few_faults
def test_a_stop_that_is_delivered_again_cancels_once(make: Callable[..., World], fault: Fault) -> None:
    def begun() -> World:
        world = make()
        world.submit()
        world.abort()
        return world

    for world, _ in after_each_call(begun, World.stop, fault):
        world.stop()
        assert world.redshift.cancelled.total() == 1
        world.call_back()
        assert world.unfinished == []
        world.redrive()
        world.submit()
        world.redshift.end()
        world.call_back()
        world.has_succeeded(statements=2)


def lost_event(world: World) -> None:
    world.submit()
    world.redshift.end()


def lost_id(world: World) -> None:
    """Its submitter has died when Redshift had taken the statement."""
    with suppress(KilledError), OutsideCalls(KILLED_AFTER, SUBMITTED_BY_CALL):
        world.submit()
    assert len(world.redshift.ran) == 1
    world.redshift.end()


def lost_stop(world: World) -> None:
    world.submit()
    world.abort()


SUBMITTED_BY_CALL = 3
"""Before it the row is looked for and made, and the execution's row."""


@pytest.mark.parametrize(
    ("before", "fault"),
    [
        *((lost_event, fault) for fault in (KILLED_BEFORE, KILLED_AFTER, THROTTLED)),
        (lost_id, KILLED_AFTER),
        (lost_stop, KILLED_AFTER),
    ],
    ids=lambda value: str(getattr(value, "__name__", value)),
)
def test_what_the_watchdog_did_not_get_done_it_does_at_its_next_look(
    make: Callable[..., World], before: Callable[[World], None], fault: Fault
) -> None:
    def begun() -> World:
        world = make()
        before(world)
        world.pipeline.let_pass(300)
        return world

    def watch(world: World) -> None:
        world.pipeline.watch()

    for world, _ in after_each_call(begun, watch, fault):
        for _ in range(2):
            world.watch()
        if before is lost_stop:
            assert world.redshift.cancelled.total() == 1
            assert world.unfinished == []
        else:
            world.has_succeeded()


@pytest.mark.parametrize("overtaking", ["redrive", "attempt before it"])
def test_a_redrive_and_the_attempt_before_it_that_overtake_each_other_run_one_statement(
    make: Callable[..., World], overtaking: str
) -> None:
    """Whoever was to submit when the execution was stopped may begin late, or be slow, and nobody has told it yet."""
    for number in itertools.count():
        world = make()
        calls: list[str] = []
        late = dict(world.event)

        def submit_late(world: World = world, late: dict[str, Any] = late) -> None:
            with suppress(PipelineError):
                world.pipeline.submit(late)

        def redrive(world: World = world) -> None:
            world.redrive()
            world.submit()

        overtaker, slow = (redrive, submit_late) if overtaking == "redrive" else (submit_late, redrive)

        def overtaken(
            model: Any,
            number: int = number,
            calls: list[str] = calls,
            overtaker: Callable[[], None] = overtaker,
            **_: Any,
        ) -> None:
            calls.append(model.name)
            if len(calls) == number + 1:
                overtaker()

        client: Any = aws_clients.client
        for service in ("dynamodb", "redshift-data"):
            client(service).meta.events.register_first("before-call", overtaken, "overtaken")
        slow()
        for service in ("dynamodb", "redshift-data"):
            client(service).meta.events.unregister("before-call", unique_id="overtaken")
        if len(calls) <= number:
            assert number > 2
            return
        if world.failed:
            world.retry()
            world.submit()
        assert len(world.redshift.ran) == 1, f"overtaken at call {number}, {calls[number]}"
        world.redshift.end()
        world.call_back()
        assert world.pipeline.outcome(world.waiting)[0] == "SUCCEEDED"
