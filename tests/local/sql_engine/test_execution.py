from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.redshift.execution import SqlCancelled, SqlFailed, run

if TYPE_CHECKING:
    import psycopg

    from local.redshift.sql.engine import Engine
    from tests.local.sql_engine.conftest import Sql

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(text=_TEXT)
@example(text='it\'s \\ $$ :x "q" -- c\r\n/* \u4e2d\U0001f600')
@example(text="%s %(a)s $1 NULL")
def test_any_text_bound_as_a_parameter_is_stored_exactly(sql: Sql, text: str) -> None:
    sql.run("CREATE TABLE IF NOT EXISTS kept (t VARCHAR(65535))")
    sql.run("TRUNCATE kept")
    sql.run("INSERT INTO kept VALUES (:text)", text=text)
    assert sql.rows("SELECT t FROM kept") == [(text,)]


def test_a_parameter_takes_the_type_of_the_place_where_it_stands(sql: Sql) -> None:
    sql.run("CREATE TABLE typed (i INT, d DATE, n DECIMAL(5, 2), t VARCHAR(9), b BOOLEAN)")
    sql.run(
        "INSERT INTO typed VALUES (:one, :day, :one::decimal(5,2) / 4, :one, :yes)",
        one="1",
        day="2024-02-29",
        yes="true",
    )
    assert sql.rows("SELECT * FROM typed WHERE i = :one AND t = :one", one="1") == [
        (1, "2024-02-29", "0.25", "1", True)
    ]


def test_a_placeholder_in_a_string_or_comment_stays_as_it_is(sql: Sql) -> None:
    assert sql.rows("SELECT ':a', :a -- :a", a="x") == [(":a", "x")]


def test_a_placeholder_without_a_value_is_named(sql: Sql) -> None:
    with pytest.raises(SqlFailed, match=":b was given no value"):
        sql.run("SELECT :a, :b", a="x")


def test_a_numbered_parameter_is_refused(sql: Sql) -> None:
    with pytest.raises(SqlFailed, match=r"there is no parameter \$1"):
        sql.run("SELECT $1, :a", a="secret")


@pytest.mark.parametrize("text", ["SELECT 1; SELECT 2", "SELECT 1;; CREATE TABLE leaked (a int)"])
def test_several_statements_are_refused_and_none_is_run(sql: Sql, text: str) -> None:
    with pytest.raises(SqlFailed, match="cannot insert multiple commands into a prepared statement"):
        sql.run(text)
    assert sql.value("to_regclass('leaked')") is None


@pytest.mark.parametrize("text", ["SELECT 1 \0 + 1", "SELECT 'a\0b'"])
def test_a_null_character_is_refused_and_hides_nothing(sql: Sql, text: str) -> None:
    with pytest.raises(SqlFailed, match="invalid byte sequence"):
        sql.run(text)
    with pytest.raises(SqlFailed, match="NUL"):
        sql.run("SELECT :a", a=text)


def test_a_semicolon_and_comments_around_one_statement_do_no_harm(sql: Sql) -> None:
    assert sql.rows("-- first\nSELECT 1; -- last\n") == [(1,)]


def test_values_come_as_numbers_booleans_and_redshifts_text(sql: Sql) -> None:
    (row,) = sql.rows(
        "SELECT 1::smallint, 2::bigint, 1.5::real, 2.5::float8, true, 1.50::decimal(9,2), 'x'::char(3), "
        "date '2024-02-29', timestamp '2024-02-29 12:00:00.5', timestamptz '2024-02-29 12:00:00+02', "
        'json_parse(\'{"a": [1, "b, c"]}\'), NULL'
    )
    assert row == (
        *(1, 2, 1.5, 2.5, True, "1.50", "x  "),
        *("2024-02-29", "2024-02-29 12:00:00.5", "2024-02-29 10:00:00+00"),
        *('{"a":[1,"b, c"]}', None),
    )


def test_columns_have_redshifts_types_and_say_whether_they_may_be_null(sql: Sql) -> None:
    sql.run("CREATE TABLE described (i INT NOT NULL, t VARCHAR(20), n DECIMAL(10, 2), s SUPER, ts TIMESTAMP)")
    columns = sql.run("SELECT d.*, i + 1 AS more FROM described d").columns
    assert [(c.name, c.type_name, c.nullable, c.precision, c.scale) for c in columns] == [
        ("i", "int4", False, 10, 0),
        ("t", "varchar", True, 20, 0),
        ("n", "numeric", True, 10, 2),
        ("s", "super", True, 0, 0),
        ("ts", "timestamp", True, 29, 6),
        ("more", "int4", True, 10, 0),
    ]


def test_rows_are_counted_where_they_mean_something(sql: Sql) -> None:
    assert sql.run("CREATE TABLE counted (a INT)").rows == -1
    assert sql.run("INSERT INTO counted VALUES (1), (2)").rows == 2
    empty = sql.run("SELECT a FROM counted WHERE a > 2")
    assert (empty.rows, empty.records, len(empty.columns)) == (0, [], 1)
    assert sql.run("DELETE FROM counted WHERE a = 1").rows == 1


def test_an_error_has_redshifts_words_and_no_row_contents(sql: Sql) -> None:
    sql.run("CREATE TABLE strict (a VARCHAR(20) NOT NULL, b VARCHAR(20))")
    with pytest.raises(SqlFailed, match=r"^ERROR: null value in column") as failure:
        sql.run("INSERT INTO strict VALUES (NULL, :secret)", secret="secret")
    assert "secret" not in str(failure.value)


def test_outside_autocommit_the_statement_joins_the_open_transaction(engine: Engine, sql: Sql) -> None:
    with engine.connect("dev", "awsuser") as connection:
        run(connection, "CREATE TABLE later (a INT)", {}, sql.storage)
        assert sql.value("to_regclass('later')") is None
        connection.rollback()
        assert sql.value("to_regclass('later')") is None
        run(connection, "CREATE TABLE later (a INT)", {}, sql.storage)
        connection.commit()
        assert sql.value("to_regclass('later')") == "later"


def test_truncate_in_a_transaction_is_refused_because_it_would_commit(engine: Engine, sql: Sql) -> None:
    sql.run("CREATE TABLE kept AS SELECT 1 AS n")
    with (
        engine.connect("dev", "awsuser") as connection,
        pytest.raises(SqlFailed, match="TRUNCATE in a transaction"),
    ):
        run(connection, "TRUNCATE kept", {}, sql.storage)
    assert sql.rows("SELECT n FROM kept") == [(1,)]


def _cancel_when_it_runs(connection: psycopg.Connection[Any], sql: Sql) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE pid = :pid AND state = 'active' AND wait_event = 'PgSleep'"
    deadline = time.monotonic() + 20
    while sql.rows(query, pid=str(connection.info.backend_pid)) != [(1,)]:
        assert time.monotonic() < deadline, "the statement did not start within 20 s"
    connection.cancel_safe()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_sleep(60)",
        "UNLOAD ('SELECT pg_sleep(60)::varchar AS a') TO 's3://nowhere/' IAM_ROLE default FORMAT CSV ALLOWOVERWRITE",
    ],
)
def test_a_running_statement_can_be_cancelled(engine: Engine, sql: Sql, statement: str) -> None:
    with engine.connect("dev", "awsuser") as connection:
        connection.autocommit = True
        canceller = threading.Thread(target=_cancel_when_it_runs, args=(connection, sql))
        canceller.start()
        with pytest.raises(SqlCancelled):
            run(connection, statement, {}, sql.storage)
        canceller.join(timeout=20)
        assert run(connection, "SELECT 1", {}, sql.storage).records == [(1,)]
