from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.redshift.execution import SqlFailed

if TYPE_CHECKING:
    from tests.local.sql_engine.conftest import Bucket, Sql

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def _copy(sql: Sql, bucket: Bucket, options: str, table: str = "target", prefix: str = "") -> int:
    return sql.run(f"COPY {table} FROM 's3://{bucket.name}/{prefix}' IAM_ROLE default {options}").rows


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(texts=st.lists(st.none() | _TEXT, min_size=1, max_size=4))
@example(texts=[None, "", '"', "\\N", "a,b\r\n", "\\.", "NULL", "\\"])
def test_any_text_in_parquet_arrives_in_the_table_as_it_is(sql: Sql, bucket: Bucket, texts: list[str | None]) -> None:
    sql.run("CREATE TABLE IF NOT EXISTS target (t VARCHAR(65535))")
    sql.run("TRUNCATE target")
    bucket.put_parquet("rows.parquet", pa.table({"t": pa.array(texts, pa.string())}))
    assert _copy(sql, bucket, "FORMAT AS PARQUET") == len(texts)
    assert sql.rows("SELECT t FROM target") == [(text,) for text in texts]


def test_every_parquet_type_finds_its_column_by_position(sql: Sql, bucket: Bucket) -> None:
    columns = "i SMALLINT, l BIGINT, f REAL, d DECIMAL(38, 3), b BOOLEAN, day DATE, ts TIMESTAMP, s VARCHAR"
    sql.run(f"CREATE TABLE target ({columns})")
    row: dict[str, Any] = {
        "x1": 1,
        "x2": 2**63 - 1,
        "x3": 1.5,
        "x4": Decimal("12345678901234567890123456789012345.678"),
        "x5": True,
        "x6": dt.date(1999, 12, 31),
        "x7": dt.datetime(2024, 2, 29, 12, 0, 0, 1),  # noqa: DTZ001 - Parquet's timestamps have no zone
        "x8": "\u00e4",
    }
    bucket.put_parquet("a.parquet", pa.Table.from_pylist([row, dict.fromkeys(row)]))
    _copy(sql, bucket, "PARQUET")
    assert sql.rows("SELECT * FROM target") == [
        (1, 2**63 - 1, 1.5, str(row["x4"]), True, "1999-12-31", "2024-02-29 12:00:00.000001", "\u00e4"),
        (None,) * 8,
    ]


def test_all_files_under_the_prefix_are_loaded(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (n INT)")
    for number in range(3):
        bucket.put_parquet(f"in/{number}.parquet", pa.table({"n": [number]}))
    bucket.put_parquet("other/9.parquet", pa.table({"n": [9]}))
    assert _copy(sql, bucket, "PARQUET", prefix="in/") == 3
    assert sql.rows("SELECT n FROM target ORDER BY n") == [(0,), (1,), (2,)]


def test_a_manifest_names_the_files(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (n INT)")
    for number in range(3):
        bucket.put_parquet(f"in/{number}.parquet", pa.table({"n": [number]}))
    entries = [{"url": f"s3://{bucket.name}/in/{number}.parquet", "mandatory": True} for number in (0, 2)]
    bucket.put("list", json.dumps({"entries": entries}).encode())
    assert _copy(sql, bucket, "PARQUET MANIFEST", prefix="list") == 2
    assert sql.rows("SELECT n FROM target ORDER BY n") == [(0,), (2,)]


def test_what_was_unloaded_can_be_copied_back_by_its_manifest(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE source AS SELECT n, 'text ' || n AS t FROM generate_series(1, 50) AS g(n)")
    sql.run("CREATE TABLE target (n INT, t VARCHAR)")
    sql.run(f"UNLOAD ('SELECT * FROM source') TO 's3://{bucket.name}/out/' IAM_ROLE default PARQUET MANIFEST VERBOSE")
    assert _copy(sql, bucket, "PARQUET MANIFEST", prefix="out/manifest") == 50
    assert sql.rows("SELECT * FROM source EXCEPT SELECT * FROM target") == []


def test_super_that_was_unloaded_can_be_copied_back(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE documents (id INTEGER, doc SUPER)")
    sql.run("""INSERT INTO documents VALUES (1, JSON_PARSE('{"a":[1,null]}')), (2, NULL)""")
    sql.run(f"UNLOAD ('SELECT * FROM documents') TO 's3://{bucket.name}/d/' IAM_ROLE default FORMAT PARQUET")
    sql.run("CREATE TABLE copies (id INTEGER, doc SUPER)")
    with pytest.raises(SqlFailed, match="into a SUPER column needs SERIALIZETOJSON"):
        sql.run(f"COPY copies FROM 's3://{bucket.name}/d/' IAM_ROLE default FORMAT AS PARQUET")
    sql.run(f"COPY copies FROM 's3://{bucket.name}/d/' IAM_ROLE default FORMAT AS PARQUET SERIALIZETOJSON")
    assert sql.rows("SELECT id, doc FROM copies ORDER BY id") == [(1, '{"a":[1,null]}'), (2, None)]


def test_csv_has_quotes_nulls_headers_and_empty_fields(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (t VARCHAR(20), n INT, d DATE)")
    bucket.put("a.csv", b't,n,d\n"a,""b""\n",1,2024-02-29\n,,\n\\N,2,\\N\n')
    assert _copy(sql, bucket, "CSV IGNOREHEADER 1") == 3
    assert sql.rows("SELECT * FROM target ORDER BY n NULLS FIRST") == [
        ("", None, None),
        ('a,"b"\n', 1, "2024-02-29"),
        (None, 2, None),
    ]


def test_line_breaks_in_csv_values_may_stand_anywhere_in_a_big_file(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (n INT, t VARCHAR(MAX))")
    text = "x\n" * 30_000
    bucket.put("a.csv", "".join(f'{number},"{text}"\n' for number in range(100)).encode())
    _copy(sql, bucket, "CSV")
    assert sql.rows("SELECT count(*), count(DISTINCT t), min(t) FROM target") == [(100, 1, text)]


@pytest.mark.parametrize("body", [b"", b"t\n"])
def test_a_csv_file_without_rows_loads_nothing(sql: Sql, bucket: Bucket, body: bytes) -> None:
    sql.run("CREATE TABLE target (t VARCHAR)")
    bucket.put("a.csv", body)
    assert _copy(sql, bucket, "FORMAT CSV IGNOREHEADER AS 1") == 0


def test_named_columns_are_filled_and_identity_columns_fill_themselves(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (id INT IDENTITY(1, 1), a INT, b INT DEFAULT 7)")
    bucket.put_parquet("one/x.parquet", pa.table({"b": [1]}))
    bucket.put_parquet("two/x.parquet", pa.table({"a": [2], "b": [3]}))
    _copy(sql, bucket, "PARQUET", 'target ("A")', "one/")
    _copy(sql, bucket, "PARQUET", "public.target", "two/")
    assert sql.rows("SELECT * FROM target ORDER BY id") == [(1, 1, 7), (2, 2, 3)]


@pytest.mark.parametrize(("size", "is_accepted"), [(20, True), (21, False)])
@pytest.mark.parametrize("file_format", ["PARQUET", "CSV"])
def test_a_text_longer_than_its_column_is_refused_by_bytes(
    sql: Sql, bucket: Bucket, file_format: str, size: int, is_accepted: bool
) -> None:
    sql.run("CREATE TABLE target (t VARCHAR(20))")
    text = "\u00e4" + "x" * (size - 2)
    if file_format == "PARQUET":
        bucket.put_parquet("a", pa.table({"t": [text]}))
    else:
        bucket.put("a", text.encode())
    if is_accepted:
        assert _copy(sql, bucket, file_format) == 1
    else:
        with pytest.raises(SqlFailed, match='String length exceeds DDL length: column "t" takes 20 bytes') as failure:
            _copy(sql, bucket, file_format)
        assert text not in str(failure.value)


def test_a_bad_file_among_good_ones_loads_nothing(sql: Sql, bucket: Bucket) -> None:
    sql.run("CREATE TABLE target (n INT)")
    bucket.put_parquet("1.parquet", pa.table({"n": [1]}))
    bucket.put("2.parquet", b"PAR1 but not really PAR1")
    with pytest.raises(SqlFailed, match=r"2\.parquet is not a valid PARQUET file"):
        _copy(sql, bucket, "PARQUET")
    assert sql.rows("SELECT * FROM target") == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("COPY nowhere FROM 's3://{}/' IAM_ROLE default CSV", 'relation "nowhere" does not exist'),
        ("COPY target (z) FROM 's3://{}/' IAM_ROLE default CSV", 'column "z" of relation "target" does not exist'),
        ("COPY target FROM 's3://{}/none' IAM_ROLE default CSV", "The specified S3 prefix 'none' does not exist"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default PARQUET", "2 columns, but 1 columns of the table"),
        ("COPY target FROM 's3://{}/list' IAM_ROLE default PARQUET", "takes 3 bytes|type list.* is not imitated"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default CSV MANIFEST", "is not a list of entries"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default", "COPY without FORMAT is not imitated"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default FORMAT AVRO", "FORMAT AVRO is not imitated"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default CSV GZIP", "GZIP in COPY is not imitated"),
        ("COPY target FROM 's3://{}/two' CREDENTIALS 'x' CSV", "CREDENTIALS in place of IAM_ROLE is not imitated"),
        ("COPY target FROM 's3://{}/two' IAM_ROLE default PARQUET IGNOREHEADER 1", "IGNOREHEADER is not supported"),
        ("COPY target FROM 's3://no-such-bucket/' IAM_ROLE default CSV", "NoSuchBucket"),
    ],
)
def test_what_cannot_be_copied_is_refused(sql: Sql, bucket: Bucket, statement: str, words: str) -> None:
    sql.run("CREATE TABLE target (t VARCHAR(3))")
    bucket.put_parquet("two", pa.table({"a": [1], "b": [2]}))
    bucket.put_parquet("list", pa.table({"a": [[1]]}))
    with pytest.raises(SqlFailed, match=words):
        sql.run(statement.format(bucket.name))


def test_times_of_all_ages_go_out_and_come_back(sql: Sql, bucket: Bucket) -> None:
    sql.run(
        "CREATE TABLE ages AS SELECT 1 AS i, DATE '0044-03-15 BC' AS d, TIMESTAMP '0001-12-31 12:00:00.5 BC' AS t, "
        "TIMESTAMPTZ '10000-01-01 00:00:00+00' AS z "
        "UNION ALL SELECT 2, DATE '9999-12-31' + 1, TIMESTAMP '12345-01-01', TIMESTAMPTZ '0044-01-01 BC' "
        "UNION ALL SELECT 3, DATE '2024-02-29', NULL, NULL"
    )
    sql.run(f"UNLOAD ('SELECT * FROM ages') TO 's3://{bucket.name}/' IAM_ROLE default PARQUET")
    sql.run("CREATE TABLE target (i INT, d DATE, t TIMESTAMP, z TIMESTAMPTZ)")
    assert _copy(sql, bucket, "PARQUET") == 3
    assert sql.rows("SELECT * FROM target ORDER BY i") == sql.rows("SELECT * FROM ages ORDER BY i")
