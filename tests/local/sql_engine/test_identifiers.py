from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.redshift.execution import SqlFailed
from local.redshift.sql.session import Session

if TYPE_CHECKING:
    from local.redshift.sql.engine import Engine
    from tests.local.sql_engine.conftest import Bucket, Sql

_LONG = "procedure_for_the_daily_refresh_of_the_customer_reviews_of_the_region"
_CASE_SENSITIVE = "SET enable_case_sensitive_identifier TO true"


def test_of_two_procedures_whose_names_begin_alike_the_named_one_is_called(sql: Sql) -> None:
    for number, region in enumerate(("north", "south")):
        sql.run(f"CREATE PROCEDURE {_LONG}_{region} (n OUT INT) AS $$ BEGIN n := {number}; END $$ LANGUAGE plpgsql")
    assert sql.rows(f"CALL {_LONG}_north()") == [(0,)]
    assert sql.rows(f"CALL public.{_LONG.upper()}_SOUTH()") == [(1,)]
    with pytest.raises(SqlFailed, match=f"procedure {_LONG}_west.* does not exist"):
        sql.run(f"CALL {_LONG}_west()")


def test_a_long_name_comes_back_whole(sql: Sql, bucket: Bucket) -> None:
    long = "\u00e4" * 63 + "x"  # 127 bytes
    sql.run(f'CREATE TABLE long_names ("{long}" INT)')
    sql.run(f'INSERT INTO long_names ("{long}") VALUES (1)')
    assert [column.name for column in sql.run("SELECT * FROM long_names").columns] == [long]
    sql.run(f"UNLOAD ('SELECT * FROM long_names') TO 's3://{bucket.name}/' IAM_ROLE default CSV HEADER")
    assert bucket.text().startswith(long)
    with pytest.raises(SqlFailed, match=f'column "{long}y" does not exist|column "{long}" does not exist'):
        sql.run(f'SELECT "{long}y" FROM (SELECT 1) AS q')


def test_a_name_is_cut_at_127_bytes_as_redshift_cuts_it(sql: Sql) -> None:
    sql.run(f"CREATE TABLE {'x' * 127} (n INT)")
    assert sql.rows(f"SELECT * FROM {'x' * 130}") == []


def test_quoted_names_keep_their_case_once_the_session_says_so(sql: Sql, bucket: Bucket) -> None:
    query = 'SELECT 1 AS "loadBucket", 2 AS OTHER'
    assert [column.name for column in sql.run(query).columns] == ["loadbucket", "other"]
    unload = f"UNLOAD ('{query}') TO 's3://{bucket.name}/%s/' IAM_ROLE default PARQUET PARTITION BY (\"loadBucket\")"
    sql.run(unload % "off")
    sql.run(_CASE_SENSITIVE)
    assert [column.name for column in sql.run(query).columns] == ["loadBucket", "other"]
    sql.run(unload % "on")
    assert bucket.keys() == ["off/loadbucket=1/0000_part_00.parquet", "on/loadBucket=1/0000_part_00.parquet"]
    sql.run("SET enable_case_sensitive_identifier TO false")
    assert [column.name for column in sql.run(query).columns] == ["loadbucket", "other"]


def test_a_user_in_quotes_keeps_its_case(sql: Sql) -> None:
    sql.run('CREATE USER "IAMR:Loader" PASSWORD DISABLE')
    try:
        sql.run('CREATE TABLE "Granted" (n INT)')
        sql.run('GRANT SELECT ON "Granted" TO "IAMR:Loader"')
        assert sql.value("has_table_privilege('IAMR:Loader', 'granted', 'SELECT')") is True
        sql.run('REVOKE SELECT ON "Granted" FROM "IAMR:Loader"')
    finally:
        sql.run('DROP USER "IAMR:Loader"')


def test_a_users_own_setting_holds_from_the_next_session_on(engine: Engine, sql: Sql) -> None:
    sql.run("CREATE USER reader PASSWORD DISABLE")
    try:
        sql.run("ALTER USER reader SET enable_case_sensitive_identifier TO true")
        with engine.connect("dev", "reader") as connection:
            assert Session(connection).is_case_sensitive
        assert not Session(sql.connection).is_case_sensitive
    finally:
        sql.run("DROP USER reader")
