from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.redshift.execution import SqlFailed, run
from local.redshift.sql import lexer

if TYPE_CHECKING:
    from local.redshift.sql.engine import Engine
    from tests.local.sql_engine.conftest import Bucket, Sql

_SCRIPT = Path(__file__).parents[3] / "scripts" / "sp_etl_log_etl_event.sql"

# The shape of the procedures that people write for Redshift: layout clauses, SYSDATE and dynamic SQL in the body.
_CREATE_LOG = r"""
CREATE OR REPLACE PROCEDURE public.log_event (p_message IN VARCHAR(65535)) AS
$$
DECLARE
    v_sql VARCHAR(65535) := '';
BEGIN
    RAISE NOTICE '[%]', p_message;
    CREATE TABLE IF NOT EXISTS public.events (at TIMESTAMP NOT NULL, message VARCHAR(65535)) BACKUP YES DISTSTYLE EVEN;
    v_sql := 'INSERT INTO public.events (at, message) VALUES (' || QUOTE_LITERAL(SYSDATE) || ',';
    v_sql := v_sql || NVL(QUOTE_LITERAL(p_message), 'NULL') || ')';
    EXECUTE v_sql;
END;
$$ LANGUAGE plpgsql;
"""


@pytest.mark.parametrize("message", ["started", r"it's \ and \\ and \' ", "$$ $body0$ ;--\r\n", "\u4e2d\U0001f600"])
def test_dynamic_sql_with_quote_literal_stores_the_message_exactly(sql: Sql, message: str) -> None:
    sql.run(_CREATE_LOG)
    sql.run("CALL public.log_event(:message)", message=message)
    assert sql.rows("SELECT message FROM public.events") == [(message,)]


def test_the_repositorys_script_runs_as_it_stands(sql: Sql) -> None:
    for statement in lexer.statements(_SCRIPT.read_text(encoding="utf-8")):
        sql.run(statement)
    assert sql.run("CALL public.sp_etl_log_etl_event(:m)", m="x" * 65_535).columns == []
    sql.run("CALL public.sp_etl_log_etl_event(NULL)")
    assert sql.rows("SELECT LEN(event_message) FROM public.etl_events WHERE event_ts <= SYSDATE") == [
        (65_535,),
        (None,),
    ]
    sql.run("CALL public.sp_etl_log_etl_event(:m)", m="  it's\n100 % as given \t ")
    assert sql.rows("SELECT event_message FROM public.etl_events WHERE event_message LIKE '%given%'") == [
        ("  it's\n100 % as given \t ",)
    ]
    with pytest.raises(SqlFailed, match="value too long"):
        sql.run("CALL public.sp_etl_log_etl_event(:m)", m="x" * 65_536)


def test_of_two_procedures_that_create_the_same_table_the_second_waits_and_finds_it(engine: Engine, sql: Sql) -> None:
    sql.run(_CREATE_LOG)
    with (
        ThreadPoolExecutor() as pool,
        engine.connect("dev", "awsuser") as first,
        engine.connect("dev", "awsuser") as second,
    ):
        run(first, "CALL log_event('first')", {}, sql.storage)
        called = pool.submit(run, second, "CALL log_event('second')", {}, sql.storage)
        query = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = :pid"
        deadline = time.monotonic() + 20
        while sql.rows(query, pid=str(second.info.backend_pid)) != [("Lock",)]:
            assert not called.done(), called.exception()
            assert time.monotonic() < deadline, "the second call does not wait for the first"
        first.commit()
        called.result(timeout=20)
        second.commit()
    assert sql.rows("SELECT message FROM events ORDER BY message") == [("first",), ("second",)]


def test_output_arguments_are_left_out_of_the_call_and_come_back_as_one_row(sql: Sql) -> None:
    sql.run(
        "CREATE PROCEDURE measure (name OUT VARCHAR, a INT, b INOUT INT) AS "
        "$$ BEGIN name := 'sum of ' || a; b := a + b; END $$ LANGUAGE plpgsql"
    )
    result = sql.run("CALL \"Public\".MEASURE(:a, LEN('abc'))", a="2")
    assert [column.name for column in result.columns] == ["name", "b"]
    assert (result.records, result.rows) == ([("sum of 2", 5)], 1)


def test_a_procedure_called_alone_may_commit(sql: Sql) -> None:
    sql.run("CREATE TABLE steps (n INT)")
    sql.run(
        "CREATE PROCEDURE commits (x INT) AS $$ BEGIN INSERT INTO steps VALUES (x); COMMIT; "
        "INSERT INTO steps VALUES (x + 1); ROLLBACK; INSERT INTO steps VALUES (1 / (x - x)); END $$ LANGUAGE plpgsql"
    )
    with pytest.raises(SqlFailed, match="division by zero"):
        sql.run("CALL commits(:x)", x="7")
    assert sql.rows("SELECT n FROM steps") == [(7,)]


def test_an_exception_handler_runs_in_a_new_transaction_and_the_error_goes_on(sql: Sql) -> None:
    sql.run("CREATE TABLE work (n INT)")
    sql.run("CREATE TABLE failures (message VARCHAR)")
    sql.run(
        """
        CREATE PROCEDURE logs_failures () AS $$
        BEGIN
            INSERT INTO work VALUES (1);
            BEGIN
                IF 1 = 1 THEN INSERT INTO work VALUES (1 / 0); END IF;
            EXCEPTION WHEN OTHERS THEN
                IF SQLERRM IS NOT NULL THEN
                    INSERT INTO failures VALUES (CASE WHEN SYSDATE IS NULL THEN '' ELSE SQLERRM END);
                END IF;
            END;
            INSERT INTO work VALUES (2);
        END;
        $$ LANGUAGE plpgsql
        """
    )
    with pytest.raises(SqlFailed, match="division by zero"):
        sql.run("CALL logs_failures()")
    assert sql.rows("SELECT n FROM work") == []
    assert sql.rows("SELECT message FROM failures") == [("division by zero",)]


def test_truncate_in_a_procedure_commits(sql: Sql) -> None:
    sql.run("CREATE TABLE emptied AS SELECT 1 AS n")
    sql.run(
        "CREATE PROCEDURE empties () AS $$ BEGIN TRUNCATE emptied; INSERT INTO emptied VALUES (2); "
        "RAISE EXCEPTION 'stop'; END $$ LANGUAGE plpgsql"
    )
    with pytest.raises(SqlFailed, match=r"^ERROR: stop$"):
        sql.run("CALL empties()")
    assert sql.rows("SELECT n FROM emptied") == []


def test_a_variable_wins_over_a_column_of_the_same_name(sql: Sql) -> None:
    sql.run("CREATE TABLE named AS SELECT 1 AS n")
    sql.run(
        "CREATE PROCEDURE adds (n INOUT INT) AS $$ BEGIN SELECT INTO n count(*) + n FROM named; END $$ LANGUAGE plpgsql"
    )
    assert sql.rows("CALL adds(5)") == [(6,)]


def test_an_sql_function_is_translated_too(sql: Sql) -> None:
    sql.run("CREATE FUNCTION f_default (INT, INT) RETURNS INT STABLE AS $$ SELECT NVL($1, $2) $$ LANGUAGE sql")
    assert sql.value("f_default(NULL, 3)") == 3


@pytest.mark.parametrize(
    ("options", "body", "named"),
    [
        ("NONATOMIC", "BEGIN END", "NONATOMIC"),
        ("", "BEGIN VACUUM t; END", "VACUUM in a procedure"),
        ("", "BEGIN EXCEPTION WHEN division_by_zero THEN RAISE; END", "an exception handler for anything but OTHERS"),
        ("", "BEGIN PERFORM DATEDIFF(fortnight, SYSDATE, SYSDATE); END", "the date part fortnight"),
    ],
)
def test_what_is_not_imitated_in_a_procedure_is_refused_by_name(sql: Sql, options: str, body: str, named: str) -> None:
    with pytest.raises(SqlFailed, match=f"{named} is not imitated"):
        sql.run(f"CREATE PROCEDURE p () {options} AS $$ {body} $$ LANGUAGE plpgsql")


def test_a_missing_procedure_is_named(sql: Sql) -> None:
    with pytest.raises(SqlFailed, match=r"^ERROR: procedure public.nowhere\(unknown\) does not exist"):
        sql.run("CALL public.nowhere(:a)", a="x")


def test_dynamic_sql_is_redshifts_too(sql: Sql) -> None:
    sql.run("CREATE TABLE docs (id INT, doc SUPER)")
    sql.run(
        "CREATE PROCEDURE adds () AS $$ "
        "DECLARE v_sql VARCHAR := 'INSERT INTO docs SELECT TOP 1 NVL(NULL, 7), ''[1]'''; "
        "BEGIN EXECUTE v_sql; EXECUTE v_sql || ' WHERE false'; END $$ LANGUAGE plpgsql"
    )
    sql.run("CALL adds()")
    assert sql.rows("SELECT id, doc FROM docs") == [(7, '"[1]"')]


def test_dynamic_sql_gives_its_result_and_takes_values(sql: Sql) -> None:
    sql.run(
        "CREATE PROCEDURE asks (n OUT INT, s OUT VARCHAR) AS $$ DECLARE r RECORD; BEGIN s := ''; "
        "EXECUTE 'SELECT DECODE($1, 1, 4, 5)' INTO n USING 2; "
        "FOR r IN EXECUTE 'SELECT LEN(x) AS l FROM (SELECT ''ab'' AS x) t' LOOP s := s || r.l; END LOOP; END $$ "
        "LANGUAGE plpgsql"
    )
    assert sql.rows("CALL asks()") == [(5, "2")]


_MOVES = """
CREATE PROCEDURE moves (p_prefix VARCHAR) AS $$
DECLARE v_sql VARCHAR(MAX);
BEGIN
    CREATE TABLE source AS SELECT 1 AS id, 'it''s "here"'::VARCHAR(20) AS t, 1.50::DECIMAL(8, 2) AS d, true AS b,
        TIMESTAMP '2024-02-29 12:00' AS ts, JSON_PARSE('[1]') AS s, NULL::INT AS e
        UNION ALL SELECT 2, '', NULL, false, NULL, NULL, 2;
    CREATE TABLE target (id INT, t VARCHAR(20), d DECIMAL(8, 2), b BOOLEAN, ts TIMESTAMP, s SUPER, e INT);
    v_sql := 'UNLOAD (' || QUOTE_LITERAL('SELECT * FROM source') || ') TO ''s3://{bucket}/' || p_prefix
        || ''' IAM_ROLE default FORMAT PARQUET MANIFEST VERBOSE';
    EXECUTE v_sql;
    EXECUTE 'COPY target FROM ''s3://{bucket}/' || p_prefix || 'manifest'' IAM_ROLE default FORMAT PARQUET '
        || 'MANIFEST SERIALIZETOJSON';
    UNLOAD ('SELECT COUNT(*) AS n FROM target') TO 's3://{bucket}/static/' IAM_ROLE default CSV;
END;
$$ LANGUAGE plpgsql
"""


def test_a_procedure_unloads_what_only_its_transaction_sees_and_copies_it_back(sql: Sql, bucket: Bucket) -> None:
    sql.run(_MOVES.replace("{bucket}", bucket.name))
    sql.run("CALL moves('out/')")
    assert sql.rows("SELECT * FROM target ORDER BY id") == [
        (1, 'it\'s "here"', "1.50", True, "2024-02-29 12:00:00", "[1]", None),
        (2, "", None, False, None, None, 2),
    ]
    assert bucket.manifest("out/")["meta"]["record_count"] == 2
    elements = bucket.manifest("out/")["schema"]["elements"]
    assert [element["type"]["base"] for element in elements] == [
        *("integer", "character varying", "numeric", "boolean", "timestamp without time zone", "super", "integer")
    ]
    assert bucket.text("static/") == "2\n"
    assert sql.rows("SELECT * FROM redshift.answers") == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UNLOAD (''SELECT 1'') TO ''s3://no-such-bucket/'' IAM_ROLE default PARQUET", "NoSuchBucket"),
        ("UNLOAD (''SELECT 1'') TO ''s3://b/'' IAM_ROLE default FORMAT ORC", "FORMAT ORC is not imitated"),
        ("VACUUM t", "the statement VACUUM is not imitated"),
        ("SELECT a FROM nowhere", 'relation "nowhere" does not exist'),
    ],
)
def test_what_fails_in_dynamic_sql_fails_the_call(sql: Sql, statement: str, words: str) -> None:
    sql.run(f"CREATE PROCEDURE fails () AS $$ BEGIN EXECUTE '{statement}'; END $$ LANGUAGE plpgsql")
    with pytest.raises(SqlFailed, match=f"^ERROR: .*{words}"):
        sql.run("CALL fails()")


def test_super_is_navigated_in_a_procedures_own_queries(sql: Sql) -> None:
    sql.run("CREATE TABLE docs (id INT, doc SUPER)")
    sql.run("""INSERT INTO docs VALUES (1, JSON_PARSE('{"a": {"b": [5]}}'))""")
    sql.run(
        "CREATE PROCEDURE reads (n OUT INT, p_id IN INT) AS $$ BEGIN "
        "IF p_id = 1 THEN SELECT doc.a.b[0] INTO n FROM docs WHERE id = p_id; END IF; "
        "UPDATE docs SET doc = '[2]' WHERE id = p_id; END $$ LANGUAGE plpgsql"
    )
    assert sql.rows("CALL reads(1)") == [(5,)]
    assert sql.rows("SELECT doc FROM docs") == [('"[2]"',)]
