"""What ListDatabases, ListSchemas, ListTables and DescribeTable read from the database's own catalog."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from local.redshift import execution
from local.redshift.api import results
from local.redshift.api.errors import DatabaseConnectionError, ValidationError
from local.redshift.sql import names
from local.redshift.sql.engine import DatabaseNotFound, UserNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.redshift.api.authorization import Login
    from local.redshift.sql.engine import Engine
    from local.redshift.transfer.storage import Storage

# Schemas of the embedded engine that Redshift hasn't; they are no business of a client.
_FOREIGN_SCHEMA = "(n.nspname = 'redshift' OR n.nspname LIKE 'pg_toast%%' OR n.nspname LIKE 'pg_temp%%')"

_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname"
_SCHEMAS = f"""
    SELECT n.nspname FROM pg_namespace n
    WHERE NOT {_FOREIGN_SCHEMA} AND n.nspname LIKE %(schema)s ORDER BY n.nspname
"""  # noqa: S608 - made of constants
_TABLES = f"""
    SELECT CASE WHEN n.nspname IN ('pg_catalog', 'information_schema') THEN 'SYSTEM ' ELSE '' END
           || CASE WHEN c.relkind IN ('v', 'm') THEN 'VIEW' ELSE 'TABLE' END AS type, n.nspname, c.relname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT {_FOREIGN_SCHEMA}
          AND n.nspname LIKE %(schema)s AND c.relname LIKE %(table)s
    ORDER BY type, n.nspname, c.relname
"""  # noqa: S608 - made of constants


class Catalog:
    """The catalog of one database, read as one user."""

    def __init__(self, engine: Engine, storage: Storage, login: Login) -> None:
        self._engine = engine
        self._storage = storage
        self._login = login

    def databases(self) -> list[str]:
        """The names of the cluster's databases."""
        with closing(self._connect()) as connection:
            return [name for (name,) in connection.execute(_DATABASES)]

    def schemas(self, pattern: str) -> list[str]:
        """The names of the schemas that a LIKE pattern matches."""
        with closing(self._connect()) as connection:
            return [names.restored(name) for (name,) in connection.execute(_SCHEMAS, {"schema": pattern})]

    def tables(self, schema_pattern: str, table_pattern: str) -> list[dict[str, str]]:
        """The tables and views that two LIKE patterns match, as the API's TableMember."""
        with closing(self._connect()) as connection:
            return list(self._tables(connection, schema_pattern, table_pattern))

    def columns(self, schema: str | None, table: str) -> list[dict[str, Any]]:
        """The columns of the tables with a name, in one schema or in any, as the API's ColumnMetadata.

        Raises `ValidationError` if the user may not read such a table.
        """
        columns = []
        with closing(self._connect()) as connection:
            for found in self._tables(connection, _literally(schema) if schema else "%", _literally(table)):
                name = sql.Identifier(names.shortened(found["schema"]), names.shortened(found["name"]))
                query = sql.SQL("SELECT * FROM {} LIMIT 0").format(name).as_string(connection)
                try:
                    described = execution.run(connection, query, {}, self._storage)
                except execution.SqlFailed as error:
                    raise ValidationError(str(error)) from error
                columns += [
                    results.column_metadata(column, found["schema"], found["name"]) for column in described.columns
                ]
        return columns

    def _tables(
        self, connection: psycopg.Connection[Any], schema_pattern: str, table_pattern: str
    ) -> Iterator[dict[str, str]]:
        found = connection.execute(_TABLES, {"schema": schema_pattern, "table": table_pattern}).fetchall()
        return (
            {"type": kind, "schema": names.restored(schema), "name": names.restored(name)}
            for kind, schema, name in found
        )

    def _connect(self) -> psycopg.Connection[Any]:
        try:
            return self._login.connect(self._engine)
        except (DatabaseNotFound, UserNotFound) as error:
            raise DatabaseConnectionError(f"FATAL: {error}") from error


def _literally(name: str) -> str:
    return names.shortened(name).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
