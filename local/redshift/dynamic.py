"""What a procedure's dynamic SQL asks while its CALL runs: the text translated, or an UNLOAD or COPY carried out.

The questions come as notices over the connection that the CALL keeps busy, each conversation is held by a thread, and
its answers go in over a connection of their own (`redshift.translated` in sql/compatibility/dynamic.sql is the other
side). Whatever an answer needs of the database is run by the procedure itself, in its own transaction.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pyarrow as pa
from botocore.exceptions import ClientError

from local.redshift.sql import dialect, lexer
from local.redshift.sql.engine import SUPERUSER
from local.redshift.sql.failures import SqlFailed
from local.redshift.sql.session import Session
from local.redshift.transfer import copy_from, unload
from local.redshift.transfer.database import Described
from local.redshift.transfer.storage import storage_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psycopg.errors import Diagnostic

    from local.redshift.transfer.storage import Storage

_QUESTION: Final = "RS001"
_NOTHING: Final = "SELECT 1"  # what is left to execute when all is done
_MODIFIER_OFFSET: Final = 4


class _Ended(Exception):
    """The CALL has ended without waiting for the answer."""


@contextmanager
def answered(connection: psycopg.Connection[Any], storage: Storage) -> Iterator[None]:
    """Answers what dynamic SQL asks over the connection, until the block is left."""
    conversations: dict[str, _Conversation] = {}

    def heard(notice: Diagnostic) -> None:
        if notice.sqlstate != _QUESTION:
            return
        message = json.loads(notice.message_primary or "{}")
        name = message["conversation"]
        if name not in conversations:
            conversations[name] = _Conversation(name, connection.info.dsn, storage)
        conversations[name].hear(message["question"])

    connection.add_notice_handler(heard)
    try:
        yield
    finally:
        connection.remove_notice_handler(heard)
        for conversation in conversations.values():
            conversation.end()


class _Conversation:
    """One statement of dynamic SQL: its text comes first, then the rows of each query asked back."""

    def __init__(self, name: str, dsn: str, storage: Storage) -> None:
        self._name = name
        self._dsn = dsn
        self._storage = storage
        self._heard: SimpleQueue[dict[str, Any] | None] = SimpleQueue()
        self._turn = 0
        self._thread = threading.Thread(target=self._hold, name=f"dynamic-sql-{name}")
        self._thread.start()

    def hear(self, question: dict[str, Any]) -> None:
        """Takes the next message of the procedure."""
        self._heard.put(question)

    def end(self) -> None:
        """Waits for the end of the conversation, which ends now if it waits for the procedure."""
        self._heard.put(None)
        self._thread.join()

    def _hold(self) -> None:
        with psycopg.connect(self._dsn, user=SUPERUSER, autocommit=True) as answers:

            def tell(kind: str, sql: str) -> None:
                answer = json.dumps({"kind": kind, "sql": sql})
                answers.execute("INSERT INTO redshift.answers VALUES (%s, %s, %s)", [self._name, self._turn, answer])
                self._turn += 1

            def ask(kind: str, sql: str) -> list[tuple[Any, ...]]:
                tell(kind, sql)
                return [tuple(row.values()) for row in self._next().get("rows") or []]

            try:
                tell("answer", self._answer(self._next()["statement"], _Busy(ask)))
            except _Ended:
                pass
            except SqlFailed as error:
                tell("failure", str(error).removeprefix("ERROR: "))
            except ClientError as error:
                tell("failure", storage_error(error))
            except Exception as error:  # noqa: BLE001 - the procedure waits, and would wait for ever
                tell("failure", f"{type(error).__name__}: {error}")
            while self._heard.get() is not None:
                pass  # until the CALL has ended, the procedure may not have read the last answer yet
            answers.execute("DELETE FROM redshift.answers WHERE conversation = %s", [self._name])

    def _answer(self, statement: str, database: _Busy) -> str:
        texts = lexer.statements(statement)
        if len(texts) != 1:
            return statement
        match next(lexer.tokens(texts[0])).word:
            case "UNLOAD":
                unload.run(database, texts[0], self._storage)
            case "COPY":
                copy_from.run(database, texts[0], self._storage)
            case _:
                return dialect.translate(texts[0], database.session).text
        return _NOTHING

    def _next(self) -> dict[str, Any]:
        question = self._heard.get()
        if question is None:
            raise _Ended
        return question


class _Busy:
    """The database over the connection that the CALL keeps busy: `ask` has the procedure run an SQL text."""

    def __init__(self, ask: Callable[[str, str], list[tuple[Any, ...]]]) -> None:
        self._ask = ask

    @property
    def session(self) -> Session:
        """What the translation of a query asks."""
        return Session(self)

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> _Rows:
        """The rows of a query."""
        before, *others = query.split("%s")
        values = (lexer.string_literal(str(value)) for value in parameters)
        return _Rows(self._ask("query", before + "".join(f"{next(values)}{other}" for other in others)))

    def describe(self, query: str) -> list[Described]:
        """The columns of a query, found as those of a view."""
        self._ask("run", f"CREATE TEMP VIEW redshift_described AS {query}")
        found = self.execute(
            "SELECT attname, typname, atttypmod FROM pg_catalog.pg_attribute "
            "JOIN pg_catalog.pg_type t ON t.oid = CASE WHEN atttypid = 'redshift.super'::regtype "
            "THEN 'jsonb'::regtype ELSE atttypid END WHERE attrelid = 'redshift_described'::regclass ORDER BY attnum"
        ).fetchall()
        self._ask("run", "DROP VIEW redshift_described")
        return [_described(*column) for column in found]

    def stream(self, selected: Sequence[str], source: str) -> Iterator[bytes]:
        """The rows of a query, all in one block."""
        aliases = [f"f{index}" for index in range(len(selected))]
        fields = ", ".join(f"{expression} AS {alias}" for expression, alias in zip(selected, aliases, strict=True))
        line = " || ',' || ".join(f"redshift.csv_field(f.{alias}::text, ',')" for alias in aliases)
        rows = self._ask("query", f"SELECT {line} AS line FROM (SELECT {fields} FROM {source}) AS f")  # noqa: S608
        if rows:
            yield "".join(f"{line}\n" for (line,) in rows).encode()

    @contextmanager
    def load(self, table: str, columns: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
        """What takes the rows that go into the columns of a table."""

        def insert(batch: pa.RecordBatch) -> None:
            texts = [column.cast(pa.string()).to_pylist() for column in batch.columns]
            rows = ", ".join(f"({', '.join(map(_literal, row))})" for row in zip(*texts, strict=True))
            if rows:
                self._ask("run", f"INSERT INTO {table} ({columns}) VALUES {rows}")  # noqa: S608

        yield insert


class _Rows(list[tuple[Any, ...]]):
    """Rows that were fetched, as a cursor offers them."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row."""
        return self[0] if self else None


def _literal(text: str | None) -> str:
    return "NULL" if text is None else lexer.string_literal(text)


def _described(name: str, type_name: str, modifier: int) -> Described:
    size = modifier - _MODIFIER_OFFSET if modifier >= 0 else None
    if type_name == "numeric" and size is not None:
        return Described(name, type_name, size >> 16, size & 0xFFFF, None)
    return Described(name, type_name, None, 0, size if type_name in {"varchar", "bpchar"} else None)
