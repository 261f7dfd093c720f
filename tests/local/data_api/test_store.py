"""What the store of statements remembers, and for how long; how much it takes, and how it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from local.redshift.api.authorization import Caller, Login
from local.redshift.api.errors import ActiveStatementsExceededError, ResourceNotFoundError, ValidationError
from local.redshift.api.statements import Statement, Status, Submission
from local.redshift.api.store import StatementStore
from local.redshift.api.target import Target
from local.redshift.sql.engine import Engine
from local.redshift.transfer.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator

HOUR = 3600
CALLER = Caller("arn:aws:sts::000000000000:assumed-role/caller/session", "AKIA", "us-east-1", "000000000000")


class World:
    """A store, the time it believes in, and the statements whose end it announced."""

    def __init__(self, engine: Engine) -> None:
        self.now = 1_700_000_000.0
        self.announced: list[str] = []
        storage = Storage(boto3.Session("test", "test"), None, None)
        self.store = StatementStore(engine, storage, lambda ended: self.announced.append(ended.id), lambda: self.now)

    def submit(self, sql: str, **members: Any) -> Statement:
        """Submit a statement with an event."""
        submission: dict[str, Any] = {
            "sqls": (sql,),
            "parameters": {},
            "name": "",
            "mode": None,
            "with_event": True,
            "client_token": None,
            "target": Target("ClusterIdentifier", "local-redshift", "arn"),
            "login": Login("dev", "awsuser"),
            "caller": CALLER,
            "echoed": {},
        }
        return self.store.submit(Submission(**{**submission, **members}))


def ended(statement: Statement) -> Statement:
    assert statement.ended.wait(30), "the statement did not end within 30 s"
    return statement


def started(statement: Statement) -> Statement:
    for _ in range(3000):
        if statement.ended.wait(0.01) or statement.status is Status.STARTED:
            return statement
    pytest.fail("the statement was not started within 30 s")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A SQL engine."""
    running = Engine(tmp_path_factory.mktemp("store") / "data")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def world(engine: Engine) -> Iterator[World]:
    """A store with a clock that stands."""
    opened = World(engine)
    yield opened
    opened.store.close()


def test_a_statement_and_its_result_are_kept_for_24_hours(world: World) -> None:
    statement = ended(world.submit("select 1"))

    world.now += 24 * HOUR
    assert world.store.find(statement.id, CALLER.owner) is statement
    world.now += 1
    with pytest.raises(ResourceNotFoundError, match="Query does not exist"):
        world.store.find(statement.id, CALLER.owner)
    assert world.store.submitted_by(CALLER.owner) == []


def test_a_client_token_is_remembered_for_8_hours(world: World) -> None:
    first = ended(world.submit("select 1", client_token="again"))

    world.now += 8 * HOUR
    assert world.submit("select 1", client_token="again") is first
    world.now += 1
    assert world.submit("select 1", client_token="again") is not first


def test_500_statements_may_be_active_and_no_more(world: World) -> None:
    gate = started(world.submit("select pg_advisory_lock(1), pg_sleep(100)"))
    waiting = [world.submit("select pg_advisory_lock(1)") for _ in range(499)]

    with pytest.raises(ActiveStatementsExceededError):
        world.submit("select 1")

    last = waiting[-1]
    assert last.status is Status.SUBMITTED
    with pytest.raises(ValidationError, match="already in SUBMITTED state"):
        world.store.cancel(last)
    world.store.cancel(gate)
    assert ended(last).status is Status.FINISHED
    assert ended(world.submit("select 1")).status is Status.FINISHED


def test_closing_cancels_what_runs_and_announces_nothing(engine: Engine) -> None:
    world = World(engine)
    running = started(world.submit("select pg_sleep(100)"))

    world.store.close()

    assert running.status is Status.ABORTED
    assert world.announced == []
