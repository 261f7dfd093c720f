from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.redshift.execution import SqlFailed

if TYPE_CHECKING:
    from tests.local.sql_engine.conftest import Sql


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("NVL(NULL, 'a')", "a"),
        ("NVL2(NULL, 'a', 'b')", "b"),
        ("DECODE(2, 1, 'one', 2, 'two', 'more')", "two"),
        ("DECODE(NULL, 1, 'one', NULL, 'none')", "none"),
        ("DECODE(9, 1, 'one')", None),
        ("LEN('\u00e4b')", 2),
        ("CONCAT('a', NULL)", None),
        ("CHARINDEX('b', 'abc')", 2),
        ("REGEXP_REPLACE('banana', 'a', 'o')", "bonono"),
        ("CONVERT(INTEGER, '5')", 5),
        ("1.5::DECIMAL", "2"),
        ("TRUNC(TIMESTAMP '2024-02-29 23:59:59')", "2024-02-29"),
        ("LAST_DAY(DATE '2024-02-01')", "2024-02-29"),
        ("DATE_TRUNC('month', DATE '2024-02-29')", "2024-02-01 00:00:00"),
        ("EXTRACT(second FROM TIMESTAMP '2024-02-29 00:00:01.9')", 1),
        ("EXTRACT(yr FROM DATE '2024-02-29')", 2024),
        ("DATE_PART(dow, DATE '2024-02-29')", 4.0),
        ("DATEADD(month, 1, DATE '2024-01-31')", "2024-02-29 00:00:00"),
        ("DATEADD(qtr, -1, '2024-05-31')", "2024-02-29 00:00:00"),
        ("DATEADD('ms', 5, TIMESTAMP '2024-01-01')", "2024-01-01 00:00:00.005"),
        ("DATEDIFF(day, '2024-01-01 23:59', '2024-01-02 00:01')", 1),
        ("DATEDIFF(hours, '2024-01-01 23:59', '2024-01-02 00:01')", 1),
        ("DATEDIFF(year, '2024-12-31', '2025-01-01')", 1),
        ("DATEDIFF(month, '2024-03-31', '2024-02-01')", -1),
        ("DATEDIFF(qtr, '2024-03-31', '2024-04-01')", 1),
        ("DATEDIFF(s, '1969-12-31 23:59:59.5', '1970-01-01')", 1),
        ("CONVERT_TIMEZONE('Europe/Berlin', '2024-07-01 12:00')", "2024-07-01 14:00:00"),
        ("CONVERT_TIMEZONE('Europe/Berlin', 'UTC', '2024-07-01 12:00')", "2024-07-01 10:00:00"),
        (r"'a\'b\\c\tq'", "a'b\\c\tq"),
        (r"QUOTE_LITERAL('it''s \\')", r"'it''s \\'"),
        ("'\u00e4\u00f6\u00fc'::VARCHAR(3)", "\u00e4"),
        ("UPPER('\u00e4')", "\u00c4"),
        ("'a' < 'B'", False),
        ("JSON_SERIALIZE(JSON_PARSE('{\"a\": [1, 2]}'))", '{"a":[1,2]}'),
        ("GETDATE() BETWEEN SYSDATE - INTERVAL '1 minute' AND SYSDATE + INTERVAL '1 minute'", True),
    ],
)
def test_an_expression_means_what_it_means_in_redshift(sql: Sql, expression: str, value: Any) -> None:
    assert sql.value(expression) == value


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT TOP 2 a FROM letters ORDER BY a DESC", [("c",), ("b",)]),
        ("SELECT (SELECT TOP 1 a FROM letters ORDER BY a) AS first", [("a",)]),
        ("SELECT a FROM letters MINUS SELECT 'a' ORDER BY a", [("b",), ("c",)]),
        ("SELECT LISTAGG(a, ',') WITHIN GROUP (ORDER BY a DESC) FROM letters", [("c,b,a",)]),
        ("SELECT LISTAGG(DISTINCT 'x') FROM letters", [("x",)]),
        ('SELECT "A" FROM "LETTERS" WHERE "A" = \'A\' OR "A" = \'b\'', [("b",)]),
        (
            "SELECT CASE WHEN a = 'a' THEN NVL(NULL, DECODE(a, 'a', 1)) END FROM letters ORDER BY a",
            [(1,), (None,), (None,)],
        ),
    ],
)
def test_a_query_means_what_it_means_in_redshift(sql: Sql, query: str, rows: list[tuple[Any, ...]]) -> None:
    sql.run(
        "CREATE TABLE letters DISTSTYLE ALL SORTKEY (a) AS SELECT 'a' AS a UNION ALL SELECT 'b' UNION ALL SELECT 'c'"
    )
    assert sql.rows(query) == rows


def test_identifiers_fold_to_lower_case_whether_quoted_or_not(sql: Sql) -> None:
    assert [column.name for column in sql.run('SELECT 1 AS Foo, 2 AS "Bar Baz"').columns] == ["foo", "bar baz"]


def test_a_table_keeps_its_meaning_without_its_physical_layout(sql: Sql) -> None:
    sql.run(
        "CREATE TABLE IF NOT EXISTS public.laid_out (id BIGINT IDENTITY(10, 5) ENCODE az64 DISTKEY, "
        "at TIMESTAMP NOT NULL DEFAULT SYSDATE SORTKEY, note VARCHAR ENCODE lzo, long VARCHAR(MAX), "
        "amount DECIMAL, doc SUPER) BACKUP NO DISTSTYLE KEY"
    )
    sql.run(
        "INSERT INTO laid_out (note, long, amount, doc) VALUES ('a', 'b', 1.6, JSON_PARSE('[1]')), ('c', '', 0, NULL)"
    )
    assert sql.rows("SELECT id, note, long, amount, doc, at IS NULL FROM laid_out ORDER BY id") == [
        (10, "a", "b", "2", "[1]", False),
        (15, "c", "", "0", None, False),
    ]
    assert [c.precision for c in sql.run("SELECT note, long FROM laid_out").columns] == [256, 65535]
    sql.run("ALTER TABLE laid_out ADD COLUMN more VARCHAR DEFAULT 'x' ENCODE zstd")
    assert sql.rows("SELECT DISTINCT more FROM laid_out") == [("x",)]


def test_of_the_keys_only_not_null_is_enforced(sql: Sql) -> None:
    sql.run("CREATE TABLE parents (id INT PRIMARY KEY, u INT UNIQUE)")
    sql.run(
        "CREATE TABLE children (id INT, p INT REFERENCES parents (id), CONSTRAINT k PRIMARY KEY (id, p), "
        "UNIQUE (id), FOREIGN KEY (p) REFERENCES parents (id)) COMPOUND SORTKEY (id, p)"
    )
    sql.run("INSERT INTO parents VALUES (1, 1), (1, 1)")
    sql.run("INSERT INTO children VALUES (1, 7), (1, 7)")
    with pytest.raises(SqlFailed, match="null value"):
        sql.run("INSERT INTO children VALUES (1, NULL)")
    with pytest.raises(SqlFailed, match="null value"):
        sql.run("INSERT INTO parents VALUES (NULL, 1)")


def test_a_string_put_into_super_without_parsing_stays_a_string(sql: Sql) -> None:
    sql.run("CREATE TABLE docs (id INT, doc SUPER)")
    sql.run("INSERT INTO docs VALUES (1, '{\"a\":1}'), (2, JSON_PARSE('{\"a\":1}'))")
    sql.run("INSERT INTO docs (doc, id) VALUES (:text, 3)", text="[1]")
    sql.run("INSERT INTO docs SELECT 4, x::varchar FROM (SELECT '[2]' AS x) AS q")
    assert sql.rows("SELECT doc FROM docs ORDER BY id") == [('"{\\"a\\":1}"',), ('{"a":1}',), ('"[1]"',), ('"[2]"',)]


@pytest.mark.parametrize(
    ("text", "is_accepted"),
    [
        ("x" * 65_535, True),
        ("\u00e4" * 32_767, True),
        ("x" * 65_536, False),
        ("\u00e4" * 32_768, False),
        ("x" * 65_535 + "  ", True),
    ],
)
def test_a_varchar_holds_bytes_not_characters(sql: Sql, text: str, is_accepted: bool) -> None:
    sql.run("CREATE TABLE bytes (t VARCHAR(65535))")
    if is_accepted:
        sql.run("INSERT INTO bytes VALUES (:t)", t=text)
        assert sql.rows("SELECT t FROM bytes") == [(text[:65_535],)]
    else:
        with pytest.raises(SqlFailed, match=r"value too long for type character varying\(65535\)"):
            sql.run("INSERT INTO bytes VALUES (:t)", t=text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), size=st.integers(1, 12)
)
def test_a_cast_to_varchar_keeps_the_characters_that_fit_its_bytes(sql: Sql, text: str, size: int) -> None:
    assert sql.value(f":text::VARCHAR({size})", text=text) == text.encode()[:size].decode(errors="ignore")


def test_char_takes_single_byte_characters_only(sql: Sql) -> None:
    assert sql.value("'ab'::CHAR(3)") == "ab "
    with pytest.raises(SqlFailed, match="CHAR string contains invalid"):
        sql.value("'\u00e4'::CHAR(3)")


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("VACUUM letters", "the statement VACUUM"),
        ("SHOW search_path", "the statement SHOW"),
        ("BEGIN", "the statement BEGIN"),
        ("EXPLAIN SELECT 1", "the statement EXPLAIN"),
        ("CREATE EXTERNAL TABLE s.t (a INT)", "CREATE EXTERNAL"),
        ("CREATE MATERIALIZED VIEW v AS SELECT 1", "CREATE MATERIALIZED"),
        ("CREATE VIEW v AS SELECT 1 WITH NO SCHEMA BINDING", "WITH NO SCHEMA BINDING"),
        ("CREATE TABLE t (a VARCHAR(5) COLLATE CASE_INSENSITIVE)", "COLLATE"),
        ("CREATE TABLE t (g GEOMETRY)", "the type GEOMETRY"),
        ("CREATE FUNCTION f() RETURNS INT STABLE AS $$ return 1 $$ LANGUAGE plpythonu", "LANGUAGE PLPYTHONU"),
        ("ALTER TABLE t APPEND FROM u", "APPEND FROM"),
        ("ALTER TABLE t ADD CONSTRAINT k PRIMARY KEY (a)", "ADD CONSTRAINT"),
        ("SELECT * FROM t PIVOT (count(*) FOR a IN (1))", "PIVOT"),
        ("SELECT a FROM t START WITH a = 1 CONNECT BY b = PRIOR a", "CONNECT BY"),
        ("SELECT TOP 1 a FROM t UNION SELECT 2", "SELECT TOP with UNION"),
        ("SELECT DATEADD(fortnight, 1, a) FROM t", "the date part fortnight"),
        ("SELECT * FROM svv_table_info", "the system view svv_table_info"),
        ("SELECT * FROM pg_table_def", "the system view pg_table_def"),
        ("SELECT DATE_PART(ms, a) FROM t", "the millisecond of a time"),
        ("SELECT LISTAGG(DISTINCT a) OVER () FROM t", r"LISTAGG\(DISTINCT ...\) as a window function"),
        ("SELECT LISTAGG(DISTINCT a) WITHIN GROUP (ORDER BY b) FROM t", "LISTAGG.* ordered by anything else"),
        ("SELECT NTH_VALUE(a, 2) IGNORE NULLS OVER (ORDER BY b) FROM t", "NTH_VALUE with IGNORE NULLS"),
        ("SELECT LAG(a, 2) IGNORE NULLS OVER (ORDER BY b) FROM t", "LAG with IGNORE NULLS beyond the next value"),
        (
            "SELECT * FROM generate_series(1, 2) QUALIFY rank() OVER () = 1",
            r"QUALIFY in a query of \* from what is no table",
        ),
    ],
)
def test_what_is_not_imitated_is_refused_by_name(sql: Sql, statement: str, named: str) -> None:
    with pytest.raises(SqlFailed, match=f"^ERROR: {named}.* is not imitated by the local Redshift$"):
        sql.run(statement)


def test_a_user_may_have_no_password(sql: Sql) -> None:
    sql.run("CREATE USER etl_reader PASSWORD DISABLE")
    sql.run("DROP USER etl_reader")


def test_search_path_keeps_redshifts_functions(sql: Sql) -> None:
    sql.run("CREATE SCHEMA IF NOT EXISTS other")
    try:
        sql.run("SET search_path TO other")
        sql.run("CREATE TABLE there (a INT)")
        assert sql.rows("SELECT LEN('ab'), to_regclass('other.there')::varchar") == [(2, "there")]
    finally:
        sql.connection.execute("RESET search_path; DROP SCHEMA other CASCADE")


def test_the_reviews_table_is_created_as_its_script_stands(sql: Sql) -> None:
    script = Path(__file__).parents[3] / "scripts" / "setup_redshift_table.sql"
    sql.run(script.read_text(encoding="utf-8"))
    assert len(sql.run("SELECT * FROM public.amazon_reviews_parquet").columns) == 16
    # The longest of each text in the reviews that Amazon published; a body may be all that a VARCHAR holds.
    longest = {"review_id": 14, "product_title": 1_024, "review_headline": 1_024, "review_body": 65_535}
    texts = {name: "x" * length for name, length in longest.items()}
    placeholders = ", ".join(f":{name}" for name in texts)
    sql.run(f"INSERT INTO public.amazon_reviews_parquet ({', '.join(texts)}) VALUES ({placeholders})", **texts)
    sql.run(script.read_text(encoding="utf-8"))  # once more: what is there stays
    assert sql.rows(f"SELECT {', '.join(texts)} FROM public.amazon_reviews_parquet") == [tuple(texts.values())]


def test_qualify_comes_before_limit_and_keeps_the_order(sql: Sql) -> None:
    query = "SELECT n FROM numbers QUALIFY n > AVG(n) OVER () ORDER BY n LIMIT 2"
    sql.run("CREATE TABLE numbers AS SELECT generate_series(1, 9) AS n")
    assert sql.rows(query) == [(6,), (7,)]
    assert sql.rows("SELECT DISTINCT n % 2 FROM numbers QUALIFY n > AVG(n) OVER () ORDER BY 1") == [(0,), (1,)]


@pytest.mark.parametrize("query", ["SELECT no_such_function(1)", "SELECT 1 +", "SELECT 1::no_such_type"])
def test_what_postgresql_cannot_read_says_that_it_was_postgresql(sql: Sql, query: str) -> None:
    with pytest.raises(SqlFailed, match="so says PostgreSQL, on which the local Redshift runs"):
        sql.run(query)


def test_the_name_of_a_column_stands_for_its_expression_in_the_list_of_columns_alone(sql: Sql) -> None:
    sql.run("CREATE TABLE numbers AS SELECT 1 AS n")
    assert sql.rows("SELECT n + 1 AS m, m * 10 AS o, o - 1 FROM numbers") == [(2, 20, 19)]
    with pytest.raises(SqlFailed, match='column "m" does not exist'):
        sql.run("SELECT n + 1 AS m FROM numbers WHERE m = 2")
