from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import yaml

from local.redshift.execution import SqlFailed
from local.redshift.sql.lexer import string_literal

if TYPE_CHECKING:
    from tests.local.sql_engine.conftest import Bucket, Sql

_QUERIES: list[dict[str, Any]] = yaml.load(
    Path(__file__).with_name("everyday_queries.yaml").read_text(encoding="utf-8"), yaml.CSafeLoader
)
_TABLES = (
    (
        "CREATE TABLE sales (id INTEGER, qty INTEGER, big BIGINT, price DECIMAL(10, 2), discount DECIMAL(6, 4), "
        "ratio FLOAT8, seller VARCHAR(9))"
    ),
    (
        "INSERT INTO sales VALUES (1, 1, 100, 10.10, 0.1250, 0.25, 'a'), (2, 2, 200, 20.00, NULL, 0.5, 'a'), "
        "(3, 3, 300, 30.50, NULL, 0.75, 'b')"
    ),
    "CREATE TABLE customers (id INTEGER, doc SUPER)",
    """INSERT INTO customers VALUES
        (1, JSON_PARSE('{"name": "Ann", "tags": ["new", "vip"], "address": {"city": "Berlin"},
            "orders": [{"sku": "a", "price": 10}, {"sku": "b", "price": 7.5}]}')),
        (2, JSON_PARSE('{"name": "Bob", "orders": [{"sku": "c", "price": 2}]}'))""",
)


@pytest.fixture
def tables(sql: Sql) -> None:
    for statement in _TABLES:
        sql.run(statement)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("entry", _QUERIES, ids=[entry["query"] for entry in _QUERIES])
def test_an_everyday_query_has_its_documented_result_or_is_refused_by_name(
    sql: Sql, bucket: Bucket, entry: dict[str, Any]
) -> None:
    before = entry.get("before", [])
    for statement in [before] if isinstance(before, str) else before:
        sql.run(statement.replace("{bucket}", bucket.name))
    if "refused" in entry:
        with pytest.raises(SqlFailed, match=f"^ERROR: {entry['refused']}.* is not imitated by the local Redshift$"):
            sql.run(entry["query"])
    elif "unloaded" in entry:
        sql.run(f"UNLOAD ({string_literal(entry['query'])}) TO 's3://{bucket.name}/' IAM_ROLE default PARQUET")
        table = pa.concat_tables([bucket.parquet(key) for key in sorted(bucket.keys())])
        assert [str(kind) for kind in table.schema.types] == entry["unloaded"]["types"]
        assert sorted(_texts(row) for row in zip(*map(_numbers, table.columns), strict=True)) == sorted(
            entry["unloaded"]["rows"]
        )
    else:
        assert sql.rows(entry["query"]) == [tuple(row) for row in entry["rows"]]


def test_the_list_is_long_and_nearly_all_of_it_works() -> None:
    assert len(_QUERIES) >= 80
    assert sum("refused" in entry for entry in _QUERIES) <= 4


def _numbers(column: pa.ChunkedArray) -> list[Any]:
    """The values, with the numbers behind times: Python has no year beyond 9999."""
    stored = {pa.date32(): pa.int32(), pa.timestamp("us"): pa.int64()}.get(column.type)
    values: list[Any] = (column.cast(stored) if stored else column).to_pylist()
    return values


def _texts(row: tuple[Any, ...]) -> list[str]:
    return [str(value) for value in row]
