"""What is let through of hostile input does what it should, and changes nothing in the database.

The statements are those that the functions make, and they really run.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from errors import PipelineError
from execution_input import parse_input
from local.redshift.execution import SqlFailed
from statements.errors import InvalidIdentifier
from statements.procedure_call import ProcedureRequest, procedure_call
from target.table import KeyAttribute, TargetTable
from unload.errors import InvalidQuery
from unload.query import single_select, table_query
from unload.statement import UnloadOptions, all_rows, rows_in_buckets, selected, unload_statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from statements.data_api import Statement
    from tests.local.sql_engine.conftest import Bucket, Sql

ATTACKS: dict[str, list[Any]] = yaml.safe_load(Path(__file__).with_name("attacks.yaml").read_text(encoding="utf-8"))
FOLDER = "unload/it's-0f1e/"
PIECES = [
    *("SELECT", "WITH a AS", "FROM canary", "1", "*", "n", "AS b", "UNION", "WHERE n = 1", "(", ")", ",", ";", "\n"),
    *("--", "/*", "*/", "'", "''", "\\", "\\'", '"', "$$", "$a$", "E'", "x$$", "{", "}", ":a", "\r", "INTO stolen"),
    *("DELETE FROM canary", "RETURNING *", "DROP TABLE canary", "UPDATE canary SET n = 2", "TRUNCATE canary"),
    *("set_config('search_path', 'x', false)", "CALL sp_destroy()", "CREATE TABLE stolen AS", "UNLOAD ('SELECT 1')"),
    *("TO 's3://elsewhere/' IAM_ROLE default FORMAT PARQUET", ") AS unloaded", "SELECT * FROM ("),
]


class Canary:
    """A database with something to lose."""

    def __init__(self, sql: Sql, bucket: Bucket) -> None:
        self.sql = sql
        self.bucket = bucket
        for statement in (
            "CREATE TABLE canary (n INTEGER, note VARCHAR(20))",
            "INSERT INTO canary VALUES (1, 'alive')",
            "CREATE TABLE notes (note VARCHAR(99))",
            "CREATE PROCEDURE sp_note(t VARCHAR(99)) AS $$ BEGIN INSERT INTO notes VALUES (t); END $$ LANGUAGE plpgsql",
            "CREATE PROCEDURE sp_destroy() AS $$ BEGIN DELETE FROM canary; END; $$ LANGUAGE plpgsql",
        ):
            sql.run(statement)

    def state(self) -> list[Any]:
        """All that a statement could change: rows, tables, routines, users, settings."""
        connection = self.sql.connection
        return [
            connection.execute("SELECT n, note FROM public.canary").fetchall(),
            connection.execute("SELECT relname, relacl FROM pg_class ORDER BY relname").fetchall(),
            connection.execute("SELECT count(*) FROM pg_proc").fetchall(),
            connection.execute("SELECT rolname FROM pg_roles ORDER BY rolname").fetchall(),
            connection.execute("SHOW search_path").fetchall(),
        ]

    def unload(self, query: str) -> list[list[str]]:
        """Run the statement that the pipeline makes of a query; return what it wrote, as text."""
        self.run(_unload(all_rows(selected(query, None)), self.bucket))
        assert all(key.startswith(FOLDER) for key in self.bucket.keys())  # noqa: SIM118 - not a dictionary
        return sorted([str(value) for value in row.values()] for row in self.bucket.rows(FOLDER))

    def run(self, statement: Statement) -> None:
        self.sql.run(statement.sql, **statement.parameters)


def _unload(rows: str, bucket: Bucket) -> Statement:
    options = UnloadOptions("default")
    return unload_statement(rows, f"s3://{bucket.name}/{FOLDER}", options, encrypt_with_kms=False)


@pytest.fixture
def canary(sql: Sql, bucket: Bucket) -> Canary:
    return Canary(sql, bucket)


def is_as_foreseen(canary: Canary, attack: dict[str, Any], make: Callable[[], Any], use: Callable[[Any], Any]) -> None:
    before = canary.state()
    if "refused" in attack:
        with pytest.raises(PipelineError, match=attack["refused"]):
            make()
        return
    made = make()
    if "fails" in attack:
        with pytest.raises(SqlFailed, match=f"(?i){attack['fails']}"):
            use(made)
    else:
        assert use(made) == attack["reads"]
    assert canary.state() == before


def _text(attack: Any) -> str:
    return ascii(attack if isinstance(attack, str) else next(iter(attack.values())))


@pytest.mark.parametrize("attack", ATTACKS["queries"], ids=_text)
def test_a_query_reads_or_is_refused(canary: Canary, attack: dict[str, Any]) -> None:
    is_as_foreseen(canary, attack, lambda: single_select(attack["query"]), canary.unload)


@pytest.mark.parametrize("attack", ATTACKS["wheres"], ids=_text)
def test_a_condition_stays_one(canary: Canary, attack: dict[str, Any]) -> None:
    is_as_foreseen(canary, attack, lambda: table_query("canary", None, attack["where"]), canary.unload)


@pytest.mark.parametrize("attack", ATTACKS["names"], ids=_text)
def test_a_name_is_a_name(canary: Canary, attack: dict[str, Any]) -> None:
    is_as_foreseen(canary, attack, lambda: table_query(attack["name"], None, None), canary.unload)
    is_as_foreseen(canary, attack, lambda: table_query("canary", [attack["name"]], None), canary.unload)


@pytest.mark.parametrize("attack", ATTACKS["procedures"], ids=_text)
def test_a_procedures_name_is_a_name(canary: Canary, attack: dict[str, Any]) -> None:
    payload = {"spname": attack["name"], "event_message": "x"}

    def make() -> Statement:
        return procedure_call(parse_input(ProcedureRequest, payload), ["*"])

    is_as_foreseen(canary, attack, make, canary.run)


@pytest.mark.parametrize("kind", ATTACKS["types"], ids=_text)
def test_an_arguments_type_is_one_of_those_offered(kind: str) -> None:
    with pytest.raises(PipelineError, match="not a type"):
        parse_input(ProcedureRequest, {"spname": "sp_note", "arguments": [{"value": "x", "type": kind}]})


@pytest.mark.parametrize("payload", [{"event_message": "{}"}, {"arguments": [{"value": "{}", "type": "varchar(99)"}]}])
@pytest.mark.parametrize("text", ATTACKS["texts"], ids=_text)
def test_an_argument_is_a_value(canary: Canary, payload: dict[str, Any], text: str) -> None:
    before = canary.state()
    filled = {"spname": "sp_note", **_filled(payload, text)}
    canary.run(procedure_call(parse_input(ProcedureRequest, filled), ["sp_*"]))
    assert canary.sql.rows("SELECT note FROM notes") == [(text,)]
    assert canary.state() == before


def _filled(node: Any, text: str) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, text) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, text) for value in node]
    return text if node == "{}" else node


@pytest.mark.parametrize("column", [*ATTACKS["texts"], 'key" FROM canary; DROP TABLE canary; --'], ids=_text)
def test_a_columns_name_that_the_input_gives_for_a_key_is_a_name(canary: Canary, column: str) -> None:
    before = canary.state()
    target = TargetTable(name="target", key=(KeyAttribute("id", "S"),), index_keys=())
    rows = rows_in_buckets(selected("SELECT * FROM canary", None), target, {column: "id"}, 8)
    with pytest.raises(SqlFailed, match="does not exist"):
        canary.run(_unload(rows, canary.bucket))
    assert canary.state() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=9))
@example(["1", ")", "AS b", ";", "DROP TABLE canary", ";", "SELECT * FROM (", "SELECT", "1"])
@example(["*", "INTO stolen", "FROM canary"])
def test_nothing_that_is_made_of_hostile_pieces_changes_anything(canary: Canary, pieces: list[str]) -> None:
    for query in (f"SELECT {' '.join(pieces)}", f"WITH a AS ({''.join(pieces)}) SELECT 1"):
        try:
            taken = single_select(query)
        except InvalidQuery:
            continue
        before = canary.state()
        with suppress(SqlFailed):
            canary.run(_unload(all_rows(selected(taken, None)), canary.bucket))
        for key in canary.bucket.keys():  # noqa: SIM118 - not a dictionary
            assert key.startswith(FOLDER)
            canary.bucket.s3.delete_object(Bucket=canary.bucket.name, Key=key)
        assert canary.state() == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.text(alphabet=st.sampled_from("a\"'.;-\\$: \n(\0é"), max_size=10))
def test_whatever_is_taken_as_a_name_selects_from_nothing_else(canary: Canary, name: str) -> None:
    for table, columns in ((name, None), ("canary", [name])):
        try:
            query = table_query(table, columns, None)
        except InvalidIdentifier:
            continue
        before = canary.state()
        with pytest.raises(SqlFailed, match=r"does not exist|cross-database"):
            canary.unload(query)
        assert canary.state() == before
