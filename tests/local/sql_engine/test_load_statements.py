"""The statements of a load, as the local Redshift runs them: rows in buckets by their keys, counts, and newer rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local.redshift.execution import SqlFailed
from target.table import KeyAttribute, TargetTable
from unload.buckets import BUCKET_COLUMN, HASH_COLUMN, Counted, Known
from unload.incremental import column_sql, newer_rows, next_progress
from unload.manifest import read_manifest
from unload.request import Incremental
from unload.statement import (
    UnloadOptions,
    count_statement,
    quote_literal,
    rows_in_buckets,
    selected,
    unload_statement,
)
from unload.work_list import in_buckets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target.table import KeyType
    from tests.local.sql_engine.conftest import Bucket, Sql

OPTIONS = UnloadOptions(role="default")


def table_of(*types: KeyType) -> TargetTable:
    return TargetTable("t", tuple(KeyAttribute(name, kind) for name, kind in zip("ab", types, strict=False)))


def unload_in_buckets(
    sql: Sql, bucket: Bucket, query: str, target: TargetTable, buckets: int, attributes: Mapping[str, str] | None = None
) -> dict[int, list[dict[str, Any]]]:
    """The rows of each bucket that has any, as its loader reads them."""
    rows = rows_in_buckets(selected(query, None), target, attributes or {}, buckets)
    destination = f"s3://{bucket.name}/run/"
    sql.run(unload_statement(rows, destination, OPTIONS, encrypt_with_kms=False, partition_by=BUCKET_COLUMN).sql)
    manifest = read_manifest(bucket.read("run/manifest"), destination)
    pieces = in_buckets(manifest.files, "run/", buckets)
    found = {
        piece.bucket: [row for part in piece.slices for row in bucket.parquet(part.key).to_pylist()]
        for piece in pieces
        if piece.bucket is not None and piece.rows
    }
    assert {number: len(rows) for number, rows in found.items()} == {p.bucket: p.rows for p in pieces if p.rows}
    assert manifest.stored_as(HASH_COLUMN) == "integer"
    return found


@pytest.mark.parametrize(
    ("key_type", "sql_type", "values"),
    [
        ("N", "SMALLINT", "(1), (2), (-7)"),
        ("N", "INTEGER", "(1), (2147483647), (-2147483648)"),
        ("N", "BIGINT", "(1), (9223372036854775807), (-9223372036854775808)"),
        ("N", "DECIMAL(10, 2)", "(1.5), (0), (-99999999.99)"),
        ("N", "DECIMAL(38, 3)", "(12345678901234567890123456789012345.678), (0)"),
        ("N", "REAL", "(1.5), (0)"),
        ("N", "FLOAT8", "(1.5), (1e300)"),
        ("S", "VARCHAR(9)", "('a'), ('ä'), (''), (' ')"),
        ("S", "CHAR(4)", "('a'), ('ab'), ('')"),
        ("S", "DATE", "('2026-11-26'), ('0001-01-01')"),
        ("S", "TIMESTAMP", "('2026-11-26 03:00:00.000001'), ('1969-12-31 23:59:59')"),
        ("S", "TIMESTAMPTZ", "('2026-11-26 03:00:00+02'), ('1969-12-31 23:59:59+00')"),
    ],
)
@pytest.mark.parametrize("with_sort_key", [False, True])
def test_all_rows_of_a_key_are_in_the_bucket_that_their_hash_names(
    sql: Sql, bucket: Bucket, key_type: KeyType, sql_type: str, values: str, *, with_sort_key: bool
) -> None:
    sql.run(f"CREATE TABLE v (v {sql_type})")
    sql.run(f"INSERT INTO v VALUES {values}, (NULL)")
    sql.run("CREATE TABLE keys AS SELECT x.v AS a, y.v AS b FROM v x, v y")
    target = table_of(key_type, key_type) if with_sort_key else table_of(key_type)
    query = "SELECT a, b, 1 AS copy FROM keys UNION ALL SELECT a, b, 2 FROM keys -- twice"
    buckets = unload_in_buckets(sql, bucket, query, target, 4)
    homes: dict[tuple[Any, ...], set[tuple[int, int]]] = {}
    for number, rows in buckets.items():
        for row in rows:
            assert BUCKET_COLUMN not in row
            assert (row[HASH_COLUMN] >= 0, row[HASH_COLUMN] & 3) == (True, number)
            homes.setdefault(tuple(row[key.name] for key in target.key), set()).add((number, row[HASH_COLUMN]))
    assert sum(map(len, buckets.values())) == 2 * sql.value("COUNT(*) FROM keys")
    assert all(len(home) == 1 for home in homes.values())
    assert len({home for (home,) in homes.values()}) > 1


def test_numbers_that_are_one_key_are_in_one_bucket(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT 0.0::FLOAT8 AS a, 0.0::REAL AS b UNION ALL SELECT '-0.0'::FLOAT8, '-0.0'::REAL"
    (rows,) = unload_in_buckets(sql, bucket, query, table_of("N", "N"), 1024).values()
    assert len({row[HASH_COLUMN] for row in rows}) == 1


def test_both_parts_of_a_key_decide(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT x.v AS a, y.v AS b FROM (VALUES (1), (2), (3)) x(v), (VALUES ('x'), ('y'), ('z')) y(v)"
    found = unload_in_buckets(sql, bucket, query, table_of("N", "S"), 1)
    assert list(found) == [0]
    assert len({row[HASH_COLUMN] for row in found[0]}) == 9


def test_the_key_is_found_by_the_columns_that_the_input_renames(sql: Sql, bucket: Bucket) -> None:
    query = "SELECT 'k' AS \"the \"\"id\"\"\", 'other' AS a UNION ALL SELECT 'k', 'another'"
    (rows,) = unload_in_buckets(sql, bucket, query, table_of("S"), 1024, {'the "id"': "a"}).values()
    assert len(rows) == 2


def test_a_key_whose_name_differs_from_its_column_in_case_is_found_as_redshift_folds_it(
    sql: Sql, bucket: Bucket
) -> None:
    target = TargetTable("t", (KeyAttribute("ReviewId", "S"), KeyAttribute("Order", "N")))
    query = "SELECT 'k' AS reviewid, 1 AS \"order\""
    (rows,) = unload_in_buckets(sql, bucket, query, target, 1024).values()
    assert [(row["reviewid"], row["order"]) for row in rows] == [("k", 1)]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1 AS id", 'column "a" does not exist'),
        ("SELECT 1 AS a, 2 AS load_hash", '"load_hash" is ambiguous'),
    ],
)
def test_a_query_without_the_key_or_with_a_hash_of_its_own_is_refused_by_redshift(
    sql: Sql, bucket: Bucket, query: str, words: str
) -> None:
    with pytest.raises(SqlFailed, match=words):
        unload_in_buckets(sql, bucket, query, table_of("N"), 4)
    assert bucket.keys() == []


def test_rows_are_counted_with_their_highest_value_as_text(sql: Sql) -> None:
    source = selected("SELECT * FROM (VALUES (DATE '2026-11-26'), (NULL), ('2025-01-01')) AS t(day) -- days", None)
    (row,) = sql.rows(count_statement(source, '"day"').sql)
    assert row == (3, "2026-11-26")
    assert sql.rows(count_statement(source, None).sql) == [(3,)]


@pytest.mark.parametrize(
    ("kind", "values", "overlap"),
    [
        ("BIGINT", ["9", "99", "1000"], 0),
        ("DECIMAL(10, 2)", ["9.99", "99.90", "1000.00"], 0),
        ("VARCHAR(20)", ["a'b", "a\\c", "b"], 0),
        *[
            (kind, values, overlap)
            for overlap in (0, 3600, 90_000)
            for kind, values in {
                "DATE": ["2026-11-24", "2026-11-25", "2026-11-26"],
                "TIMESTAMP": ["2026-11-25 01:00:00.000001", "2026-11-26 02:00:00.000002", "2026-11-26 03:00:00"],
                "TIMESTAMPTZ": ["2026-11-25 01:00:00.5+02", "2026-11-26 02:00:01+02", "2026-11-26 03:00:00-05:30"],
            }.items()
        ],
    ],
)
def test_only_rows_beyond_the_highest_value_less_the_overlap_are_unloaded_and_those_without_a_value(
    sql: Sql, kind: str, values: list[str], overlap: int
) -> None:
    """In each step one more value is there; what is expected is reckoned by Redshift itself."""
    incremental, query, known = Incremental(column="at", overlap_seconds=overlap), "SELECT * FROM t", Known(None, None)
    sql.run(f"CREATE TABLE t (at {kind})")
    sql.run("INSERT INTO t VALUES (NULL)")
    expected = "TRUE"
    for value in values:
        sql.run(f"INSERT INTO t VALUES ({quote_literal(value)})")
        source = selected(query, newer_rows(incremental, query, known))
        counted = Counted(*sql.rows(count_statement(source, column_sql(incremental)).sql)[0])
        assert counted.rows == sql.value(f"COUNT(*) FROM t WHERE {expected} OR at IS NULL")
        known = Known(None, next_progress(incremental, query, known, counted))
        since = f"CAST({quote_literal(value)} AS {kind})" + (f" - {overlap} * INTERVAL '1 second'" if overlap else "")
        expected = f"at > {since}"
    nothing_new = Counted(*sql.rows(count_statement(selected(f"{query} WHERE at IS NULL", None), '"at"').sql)[0])
    assert nothing_new == Counted(1, None)
    assert next_progress(incremental, query, known, nothing_new) == known.progress
