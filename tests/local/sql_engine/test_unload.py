from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from local.redshift.execution import SqlFailed, run
from local.redshift.sql.lexer import statements, string_literal
from local.redshift.transfer import unload_statement

if TYPE_CHECKING:
    from pathlib import Path

    from local.redshift.sql.engine import Engine
    from tests.local.sql_engine.conftest import Bucket, Sql

_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
# What a query may hold beside its words: literals of any text in every spelling, and comments.
_PIECE = st.one_of(
    _TEXT.map(string_literal),
    _TEXT.map(lambda text: '"' + text.replace('"', '""') + '"'),
    _TEXT.filter(lambda text: "$" not in text).map(lambda text: f"$$ {text} $$"),
    _TEXT.map(lambda text: "-- " + text.replace("\n", " ") + "\n"),
    _TEXT.filter(lambda text: "/" not in text and "*" not in text).map(lambda text: f"/* {text} */"),
    st.sampled_from([" , ", "a::int", "(1)", "\n"]),
)


def _unload(query: str, bucket: Bucket, options: str = "FORMAT PARQUET", prefix: str = "") -> str:
    return f"UNLOAD ({string_literal(query)}) TO 's3://{bucket.name}/{prefix}' IAM_ROLE default {options}"


@given(st.lists(_PIECE))
@example(["'it''s \\\\ '", "$$ ' $$", "-- '\\\n"])
def test_any_query_survives_the_quoting(pieces: list[str]) -> None:
    query = "SELECT " + " ".join(pieces) + "\n1"
    statement = f"UNLOAD ({string_literal(query)}) TO 's3://b/p' IAM_ROLE default FORMAT PARQUET"
    assert unload_statement.read(statement).query == statements(query)[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(texts=st.lists(st.none() | _TEXT, min_size=1, max_size=4))
@example(texts=[None, "", '"', "\\N", "a,b\r\n", "\\.", "NULL"])
@example(texts=[None])
def test_any_text_arrives_in_parquet_as_it_is_in_the_table(sql: Sql, bucket: Bucket, texts: list[str | None]) -> None:
    values = ", ".join("(NULL)" if text is None else f"({string_literal(text)})" for text in texts)
    query = f"SELECT t::VARCHAR(65535) AS t FROM (VALUES {values}) AS v(t) -- it's all"
    sql.run(_unload(query, bucket, "FORMAT PARQUET CLEANPATH PARALLEL OFF"))
    assert [row["t"] for row in bucket.rows()] == texts


def test_the_older_backslash_quoting_works_as_well(sql: Sql, bucket: Bucket) -> None:
    sql.run(rf"UNLOAD ('SELECT \'OH\' AS state') TO 's3://{bucket.name}/' IAM_ROLE default FORMAT PARQUET")
    assert bucket.rows() == [{"state": "OH"}]


_EVERY_TYPE = """
    SELECT 1::SMALLINT AS i2, 2::INT AS i4, 9223372036854775807::BIGINT AS i8, 1.5::REAL AS f4, 'NaN'::FLOAT8 AS f8,
        12345678901234567890123456789012345.678::DECIMAL(38, 3) AS d, true AS b, DATE '0001-01-01' AS day,
        TIMESTAMP '2024-02-29 12:00:00.000001' AS ts, TIMESTAMPTZ '2024-02-29 12:00:00+02' AS tz, 'a'::CHAR(1) AS c,
        '\u00e4'::VARCHAR(9) AS v, JSON_PARSE('{"a": [1, "b: c"]}') AS s
"""


def test_every_type_has_its_parquet_type_and_exact_value(sql: Sql, bucket: Bucket) -> None:
    sql.run(f"CREATE TABLE types AS {_EVERY_TYPE}")
    sql.run("INSERT INTO types (i2) VALUES (NULL)")
    sql.run(_unload("SELECT * FROM types", bucket, "PARQUET MANIFEST VERBOSE PARALLEL OFF"))
    table = bucket.parquet("000.parquet")
    values, nulls = table.to_pylist()
    integers, floats = [pa.int16(), pa.int32(), pa.int64()], [pa.float32(), pa.float64()]
    times, texts = [pa.date32(), pa.timestamp("us"), pa.timestamp("us")], [pa.string(), pa.string(), pa.json_()]
    assert table.schema.types == [*integers, *floats, pa.decimal128(38, 3), pa.bool_(), *times, *texts]
    assert math.isnan(values.pop("f8"))
    assert values == {
        "i2": 1,
        "i4": 2,
        "i8": 2**63 - 1,
        "f4": 1.5,
        "b": True,
        "day": dt.date(1, 1, 1),
        "c": "a",
        "v": "\u00e4",
        "d": Decimal("12345678901234567890123456789012345.678"),
        "ts": dt.datetime(2024, 2, 29, 12, 0, 0, 1),  # noqa: DTZ001 - Parquet's timestamps have no zone
        "tz": dt.datetime(2024, 2, 29, 10),  # noqa: DTZ001
        "s": '{"a":[1,"b: c"]}',
    }
    assert set(nulls.values()) == {None}
    assert [(element["name"], element["type"]) for element in bucket.manifest()["schema"]["elements"]] == [
        ("i2", {"base": "smallint"}),
        ("i4", {"base": "integer"}),
        ("i8", {"base": "bigint"}),
        ("f4", {"base": "real"}),
        ("f8", {"base": "double precision"}),
        ("d", {"base": "numeric", "precision": 38, "scale": 3}),
        ("b", {"base": "boolean"}),
        ("day", {"base": "date"}),
        ("ts", {"base": "timestamp without time zone"}),
        ("tz", {"base": "timestamp with time zone"}),
        ("c", {"base": "character", "max_length": 1}),
        ("v", {"base": "character varying", "max_length": 9}),
        ("s", {"base": "super"}),
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT '12:00'::TIME AS a", "time without time zone, which UNLOAD to Parquet refuses"),
        ("SELECT 'ab'::VARBYTE AS a", "binary varying, which UNLOAD to Parquet refuses"),
        ("SELECT MEDIAN(1.5) AS a", "cast it to DECIMAL"),
        ("SELECT repeat('x', 65536) AS a", r"value too long for type character varying\(65535\)"),
    ],
)
def test_what_parquet_cannot_hold_is_refused(sql: Sql, bucket: Bucket, query: str, words: str) -> None:
    with pytest.raises(SqlFailed, match=words):
        sql.run(_unload(query, bucket))
    assert bucket.keys() == []


def test_rows_are_dealt_to_four_slices_and_the_verbose_manifest_accounts_for_them(sql: Sql, bucket: Bucket) -> None:
    result = sql.run(_unload("SELECT generate_series(1, 10) AS n", bucket, "PARQUET MANIFEST VERBOSE", "run/"))
    assert result.rows == 10
    names = [f"run/000{number}_part_00.parquet" for number in range(4)]
    assert bucket.keys() == [*names, "run/manifest"]
    assert sorted(row["n"] for row in bucket.rows("run/")) == list(range(1, 11))
    manifest = bucket.manifest("run/")
    assert manifest["entries"] == [
        {
            "url": f"s3://{bucket.name}/{key}",
            "meta": {"content_length": len(bucket.read(key)), "record_count": bucket.parquet(key).num_rows},
        }
        for key in names
    ]
    assert manifest["meta"] == {
        "content_length": sum(len(bucket.read(key)) for key in names),
        "record_count": 10,
    }
    assert manifest["author"] == {"name": "Amazon Redshift", "version": "1.0.0"}


def test_a_plain_manifest_lists_only_urls(sql: Sql, bucket: Bucket) -> None:
    sql.run(_unload("SELECT 1 AS n", bucket, "PARQUET MANIFEST", "run/part-"))
    assert bucket.manifest("run/part-") == {"entries": [{"url": f"s3://{bucket.name}/run/part-0000_part_00.parquet"}]}


@pytest.mark.parametrize("file_format", ["PARQUET", "CSV", "JSON"])
def test_no_rows_make_no_file_and_no_manifest(sql: Sql, bucket: Bucket, file_format: str) -> None:
    assert sql.run(_unload("SELECT 1 AS n WHERE false", bucket, f"{file_format} MANIFEST VERBOSE")).rows == 0
    assert bucket.keys() == []


def test_a_file_that_reaches_its_size_is_followed_by_the_next_part(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT md5(n::varchar) || repeat(''x'', 968) AS t FROM generate_series(1, 12000) AS g(n)".replace(
        "''", "'"
    )
    sql.run(_unload(query, bucket, "CSV MAXFILESIZE 5 MB PARALLEL OFF MANIFEST VERBOSE"))
    sizes = [entry["meta"]["content_length"] for entry in bucket.manifest()["entries"]]
    assert bucket.keys() == ["000", "001", "002", "manifest"]
    assert all(size <= 5 * 1024 * 1024 for size in sizes)
    assert len(set(bucket.text().split())) == 12_000


def test_a_parquet_file_grows_by_row_groups(sql: Sql, bucket: Bucket, tmp_path: Path) -> None:
    query = "SELECT repeat(md5(n::varchar), 100) AS t FROM generate_series(1, 22000) AS g(n)"
    sql.run(_unload(query, bucket, "PARQUET ROWGROUPSIZE 32 MB PARALLEL OFF"))
    file = tmp_path / "000.parquet"
    file.write_bytes(bucket.read("000.parquet"))
    metadata = pq.ParquetFile(file).metadata
    assert metadata.num_row_groups == 3
    assert metadata.row_group(0).column(0).compression == "SNAPPY"


def test_rows_in_serial_keep_the_order_of_the_query(sql: Sql, bucket: Bucket) -> None:
    sql.run(_unload("SELECT n FROM generate_series(1, 999) AS g(n) ORDER BY n DESC", bucket, "PARQUET PARALLEL OFF"))
    assert [row["n"] for row in bucket.rows()] == list(range(999, 0, -1))


def test_csv_quotes_what_needs_it_and_keeps_null_apart_from_empty(sql: Sql, bucket: Bucket) -> None:
    query = (
        "SELECT 'a,\"b\"' AS x, NULL::VARCHAR AS n, '' AS e, true AS t, 1.50::DECIMAL(9,2) AS d, JSON_PARSE('[1]') AS s"
    )
    sql.run(_unload(query, bucket, "CSV HEADER MANIFEST VERBOSE"))
    assert bucket.text("0000") == 'x,n,e,t,d,s\n"a,""b""",,"",t,1.50,[1]\n'
    assert bucket.manifest()["meta"]["record_count"] == 2


def test_csv_takes_another_delimiter(sql: Sql, bucket: Bucket) -> None:
    sql.run(_unload("SELECT 'a|b' AS x, 'c,d' AS y", bucket, "CSV DELIMITER AS '|'"))
    assert bucket.text() == '"a|b"|c,d\n'


def test_json_has_one_object_a_line(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT 1 n, 'a\"b' t, NULL::INT e, false f, TIMESTAMP '2024-01-01' ts, JSON_PARSE('{\"k\": 1}') s"
    sql.run(_unload(f"{query} UNION ALL {query}", bucket, "FORMAT JSON PARALLEL OFF"))
    line = '{"n":1,"t":"a\\"b","e":null,"f":"f","ts":"2024-01-01 00:00:00","s":{"k":1}}\n'
    assert bucket.text() == 2 * line


def test_a_destination_that_holds_anything_is_refused_unless_told_otherwise(sql: Sql, bucket: Bucket) -> None:
    bucket.put("run/old", b"old")
    with pytest.raises(SqlFailed, match="Specified unload destination on S3 is not empty"):
        sql.run(_unload("SELECT 1 AS n", bucket, prefix="run/"))
    assert bucket.keys() == ["run/old"]
    sql.run(_unload("SELECT 1 AS n", bucket, "PARQUET ALLOWOVERWRITE", "run/"))
    assert bucket.keys() == ["run/0000_part_00.parquet", "run/old"]
    sql.run(_unload("SELECT 1 AS n WHERE false", bucket, "PARQUET CLEANPATH", "run/"))
    assert bucket.keys() == []


@pytest.fixture
def sales(sql: Sql) -> str:
    sql.run("CREATE TABLE sales (n INT, day DATE, place VARCHAR(20))")
    sql.run(
        "INSERT INTO sales VALUES (1, '2024-01-01', 'a/b=c'), (2, '2024-01-01', NULL), (3, '2024-01-02', '\u00e4'), "
        "(4, '2024-01-02', '\u00e4')"
    )
    return "SELECT * FROM sales"


def test_partitions_become_folders_and_leave_the_files(sql: Sql, bucket: Bucket, sales: str) -> None:
    sql.run(_unload(sales, bucket, "PARQUET PARTITION BY (day, place) MANIFEST", "run"))
    rows = {key.rpartition("/")[0]: bucket.rows(key.rpartition("/")[0]) for key in bucket.keys("run/day")}
    assert rows == {
        "run/day=2024-01-01/place=a%2Fb%3Dc": [{"n": 1}],
        "run/day=2024-01-01/place=__HIVE_DEFAULT_PARTITION__": [{"n": 2}],
        "run/day=2024-01-02/place=\u00e4": [{"n": 3}, {"n": 4}],
    }
    assert len(bucket.manifest("run/")["entries"]) == 4


def test_included_partitions_stay_in_the_files(sql: Sql, bucket: Bucket, sales: str) -> None:
    sql.run(_unload(sales, bucket, "CSV PARTITION BY (day) INCLUDE", "run/"))
    assert bucket.text("run/day=2024-01-02/").splitlines() == ["3,2024-01-02,\u00e4", "4,2024-01-02,\u00e4"]


def test_cleanpath_with_partitions_clears_only_those_that_are_written(sql: Sql, bucket: Bucket, sales: str) -> None:
    bucket.put("run/day=2023-12-31/old", b"kept")
    bucket.put("run/day=2024-01-01/old", b"cleared")
    sql.run(_unload(f"{sales} WHERE n < 3", bucket, "CSV PARALLEL OFF PARTITION BY (day) CLEANPATH", "run/"))
    assert bucket.keys() == ["run/day=2023-12-31/old", "run/day=2024-01-01/000"]


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        ("nowhere", '"nowhere" of PARTITION BY is not in the query'),
        ("n, day, place", "must leave at least one column"),
    ],
)
def test_partitions_that_cannot_be_are_refused(
    sql: Sql, bucket: Bucket, sales: str, partition: str, words: str
) -> None:
    with pytest.raises(SqlFailed, match=words):
        sql.run(_unload(sales, bucket, f"PARQUET PARTITION BY ({partition})"))


def test_encryption_and_extension_are_as_asked_for(sql: Sql, bucket: Bucket) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/1"
    sql.run(_unload("SELECT 1 AS n", bucket, f"PARQUET KMS_KEY_ID '{key}' ENCRYPTED EXTENSION 'pq'", "kms/"))
    sql.run(_unload("SELECT 1 AS n", bucket, "PARQUET", "default/"))
    kms = bucket.s3.head_object(Bucket=bucket.name, Key="kms/0000_part_00.pq")
    assert (kms["ServerSideEncryption"], kms["SSEKMSKeyId"]) == ("aws:kms", key)
    default = bucket.s3.head_object(Bucket=bucket.name, Key="default/0000_part_00.parquet")
    assert default["ServerSideEncryption"] == "AES256"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UNLOAD ('DELETE FROM t') TO 's3://b/' IAM_ROLE default PARQUET", "UNLOAD takes a SELECT"),
        ("UNLOAD ('SELECT 1; SELECT 2') TO 's3://b/' IAM_ROLE default PARQUET", "exactly one query"),
        ("UNLOAD ('SELECT 1 LIMIT 1') TO 's3://b/' IAM_ROLE default PARQUET", "LIMIT in the outer SELECT"),
        ("UNLOAD ('SELECT ''open') TO 's3://b/' IAM_ROLE default PARQUET", "unterminated quoted string"),
        ("UNLOAD ($$SELECT 1$$) TO 's3://b/' IAM_ROLE default PARQUET", "a quoted string is expected"),
        ("UNLOAD ('SELECT 1') TO 'b/' IAM_ROLE default PARQUET", "must begin with s3://"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' PARQUET", "PARQUET in place of IAM_ROLE is not imitated"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE 'SESSION' PARQUET", "SESSION' is not imitated"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default", "UNLOAD without FORMAT is not imitated"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default FORMAT ORC", "FORMAT ORC is not imitated"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default CSV GZIP", "GZIP in UNLOAD is not imitated"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default PARQUET HEADER", "HEADER is not supported"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default PARQUET MAXFILESIZE 4 MB", "MAXFILESIZE must be from 5 MB"),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default PARQUET ENCRYPTED", "ENCRYPTED without KMS_KEY_ID"),
        (
            "UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default PARQUET ALLOWOVERWRITE CLEANPATH",
            "can't be used together",
        ),
        ("UNLOAD ('SELECT 1') TO 's3://b/' IAM_ROLE default JSON DELIMITER ';'", "DELIMITER is not supported"),
    ],
)
def test_a_statement_that_cannot_be_carried_out_is_refused(sql: Sql, statement: str, words: str) -> None:
    with pytest.raises(SqlFailed, match=words):
        sql.run(statement)


def test_a_nested_limit_is_allowed(sql: Sql, bucket: Bucket) -> None:
    assert sql.run(_unload("SELECT * FROM (SELECT 1 AS n LIMIT 1) AS q", bucket)).rows == 1


def test_a_placeholder_within_the_query_is_no_placeholder(sql: Sql, bucket: Bucket) -> None:
    with pytest.raises(SqlFailed, match="syntax error"):
        sql.run(_unload("SELECT :n AS n", bucket), n="1")


def test_the_query_is_translated_from_redshifts_dialect(sql: Sql, bucket: Bucket) -> None:
    sql.run(_unload("SELECT DATEADD(day, 1, DATE '2024-01-01')::DATE AS d, NVL(NULL, 'x') AS n", bucket))
    assert bucket.rows() == [{"d": dt.date(2024, 1, 2), "n": "x"}]


def test_a_bucket_that_does_not_exist_is_reported_in_redshifts_words(sql: Sql) -> None:
    with pytest.raises(SqlFailed, match=r"S3ServiceException:.*Status 404,Error NoSuchBucket"):
        sql.run("UNLOAD ('SELECT 1') TO 's3://no-such-bucket/' IAM_ROLE default PARQUET")


def test_a_role_that_does_not_exist_may_not_be_assumed(sql: Sql, bucket: Bucket) -> None:
    role = "arn:aws:iam::123456789012:role/nobody"
    with pytest.raises(SqlFailed, match=f"not authorized to assume IAM Role {role}"):
        sql.run(_unload("SELECT 1", bucket).replace("default", f"'{role}'"))


def test_a_named_role_and_a_chain_of_roles_are_assumed(sql: Sql, bucket: Bucket, role: str) -> None:
    sql.run(_unload("SELECT 1 AS n", bucket, prefix="one/").replace("default", f"'{role}'"))
    sql.run(_unload("SELECT 1 AS n", bucket, prefix="two/").replace("default", f"'{role},{role}'"))
    assert len(bucket.keys()) == 2


def test_an_open_transaction_unloads_what_it_wrote(engine: Engine, sql: Sql, bucket: Bucket) -> None:
    with engine.connect("dev", "awsuser") as connection:
        run(connection, "CREATE TABLE uncommitted AS SELECT 1 AS n", {}, sql.storage)
        run(connection, _unload("SELECT n FROM uncommitted", bucket), {}, sql.storage)
        connection.rollback()
    assert bucket.rows() == [{"n": 1}]


def test_a_failure_midway_writes_no_manifest(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT 1 / (n - 90000) AS x, repeat(md5(n::varchar), 9) AS t FROM generate_series(1, 99999) AS g(n)"
    with pytest.raises(SqlFailed, match="division by zero"):
        sql.run(_unload(query, bucket, "CSV MAXFILESIZE 5 MB PARALLEL OFF MANIFEST"))
    assert bucket.keys() != []
    with pytest.raises(ClientError):
        bucket.manifest()
    assert sql.rows("SELECT 1") == [(1,)]


def test_columns_of_one_name_are_no_trouble_but_for_json(sql: Sql, bucket: Bucket) -> None:
    query: Any = "SELECT 1 AS n, 2 AS n"
    sql.run(_unload(query, bucket, "CSV", "csv/"))
    assert bucket.text() == "1,2\n"
    with pytest.raises(SqlFailed, match="column names that differ"):
        sql.run(_unload(query, bucket, "JSON", "json/"))
