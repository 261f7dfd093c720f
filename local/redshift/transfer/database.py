"""The database as UNLOAD and COPY use it: they describe a query, stream rows out of it, and load rows into a table."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import pyarrow.csv

from local.redshift.sql.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import psycopg
    import pyarrow as pa

_BLOCK_BYTES: Final = 4 * 1024 * 1024


class Described(NamedTuple):
    """A column of a query, its type by PostgreSQL's name; what isn't limited is None."""

    name: str
    type_name: str
    precision: int | None
    scale: int
    length: int | None


class Database(Protocol):
    """What reaches the database in one transaction. Its methods raise `psycopg.Error` or `SqlFailed`."""

    @property
    def session(self) -> Session:
        """What the translation of a query asks."""

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """A cursor over the rows of a query with `%s` placeholders."""

    def describe(self, query: str) -> list[Described]:
        """The columns of a query."""

    def stream(self, selected: Sequence[str], source: str) -> Iterator[bytes]:
        """The rows of `SELECT selected FROM source` in blocks of whole lines of CSV, NULL as an empty field."""

    def load(self, table: str, columns: str) -> AbstractContextManager[Callable[[pa.RecordBatch], None]]:
        """What takes the rows that go into the columns of a table."""


class Connected:
    """The database over a connection that waits for nothing else."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    @property
    def session(self) -> Session:
        """What the translation of a query asks."""
        return Session(self._connection)

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """A cursor over the rows of a query."""
        return self._connection.execute(query.encode(), parameters)

    def describe(self, query: str) -> list[Described]:
        """The columns of a query."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM ({query}\n) AS described LIMIT 0".encode())  # noqa: S608
            types = self._connection.adapters.types
            return [
                Described(
                    column.name,
                    known.name if (known := types.get(column.type_code)) else column.type_display,
                    column.precision,
                    column.scale or 0,
                    column.display_size,
                )
                for column in cursor.description or []
            ]

    def stream(self, selected: Sequence[str], source: str) -> Iterator[bytes]:
        """The rows in blocks of CSV, a few megabytes at a time: PostgreSQL sends each row as one message."""
        command = f"COPY (SELECT {', '.join(selected)} FROM {source}) TO STDOUT (FORMAT csv)"  # noqa: S608
        rows, size = [], 0
        with self._connection.cursor() as cursor, cursor.copy(command.encode()) as copy:
            while row := copy.read():
                rows.append(row)
                size += len(row)
                if size >= _BLOCK_BYTES:
                    yield b"".join(rows)
                    rows, size = [], 0
        if rows:
            yield b"".join(rows)

    @contextmanager
    def load(self, table: str, columns: str) -> Iterator[Callable[[pa.RecordBatch], None]]:
        """What takes the rows that go into the columns of a table."""
        command = f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)"
        with self._connection.cursor() as cursor, cursor.copy(command.encode()) as stream:
            yield lambda batch: stream.write(_csv(batch))


def _csv(batch: pa.RecordBatch) -> bytes:
    text = io.BytesIO()
    options = pyarrow.csv.WriteOptions(include_header=False, batch_size=max(batch.num_rows, 1))
    pyarrow.csv.write_csv(batch, text, options)
    return text.getvalue()
