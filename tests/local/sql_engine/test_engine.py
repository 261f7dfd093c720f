from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from local.redshift.sql.engine import DatabaseNotFound, Engine, EngineNotRunning, UnknownParameter, UserNotFound
from local.redshift.sql.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

_START_AND_WAIT = """
import sys, pathlib
from local.redshift.sql.engine import Engine
Engine(pathlib.Path(sys.argv[1])).start()
print("started", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="sql-engine-"))
    yield directory
    shutil.rmtree(directory)


def _servers_in(directory: Path) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if process.info["cmdline"]
        and "-D" in process.info["cmdline"]
        and str(directory) in str(process.info["cmdline"])
    ]


def test_a_database_that_does_not_exist_is_named(engine: Engine) -> None:
    with pytest.raises(DatabaseNotFound, match='database "sales" does not exist'):
        engine.connect("sales", "awsuser")


def test_a_user_that_does_not_exist_is_named(engine: Engine) -> None:
    with pytest.raises(UserNotFound, match='user "bob" does not exist'):
        engine.connect("dev", "bob")


def test_a_connection_begins_a_transaction_of_its_own(engine: Engine) -> None:
    with engine.connect("dev", "awsuser") as first, engine.connect("dev", "awsuser") as second:
        first.execute("CREATE TABLE uncommitted (a int)")
        assert second.execute("SELECT to_regclass('uncommitted')").fetchone() == (None,)
        first.rollback()


def test_a_parameter_group_holds_for_every_session(directory: Path) -> None:
    engine = Engine(directory / "data", {"enable_case_sensitive_identifier": "true"})
    engine.start()
    try:
        with engine.connect("dev", "awsuser") as connection:
            assert Session(connection).is_case_sensitive
    finally:
        engine.stop()


@pytest.mark.parametrize("parameters", [{"max_concurrency": "5"}, {"enable_case_sensitive_identifier": "'; evil = '"}])
def test_a_parameter_that_is_not_imitated_is_refused(directory: Path, parameters: dict[str, str]) -> None:
    with pytest.raises(UnknownParameter, match=next(iter(parameters))):
        Engine(directory / "data", parameters).start()


def test_a_stopped_engine_leaves_no_process_and_refuses_connections(directory: Path) -> None:
    engine = Engine(directory / "data")
    engine.start()
    assert _servers_in(directory)
    engine.stop()
    assert not _servers_in(directory)
    with pytest.raises(EngineNotRunning):
        engine.connect("dev", "awsuser")


def test_the_server_ends_when_the_process_that_started_it_is_killed(directory: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", _START_AND_WAIT, str(directory / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        text=True,
    )
    with starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "started\n"
        servers = _servers_in(directory)
        assert servers
        starter.send_signal(signal.SIGKILL)
        deadline = time.monotonic() + 20
        while _servers_in(directory):
            assert time.monotonic() < deadline, "the server still runs 20 s after its parent was killed"
            time.sleep(0.05)
