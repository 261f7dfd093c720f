"""ListDatabases, ListSchemas, ListTables and DescribeTable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from tests.local.data_api.conftest import AS_SUPERUSER

if TYPE_CHECKING:
    from tests.local.data_api.conftest import Redshift


@pytest.fixture(scope="module", autouse=True)
def sales(redshift: Redshift) -> None:
    """A schema with tables and a view."""
    made = redshift.run_batch(
        "create schema sales",
        "create table sales.orders (id integer not null, buyer varchar(40), price decimal(12,2), at timestamp)",
        "create table sales.order_lines (id integer, note varchar(10))",
        "create table sales.orderXlines (id integer)",
        "create view sales.buyers as select distinct buyer from sales.orders",
    )
    assert made["Status"] == "FINISHED", made.get("Error")


def test_the_database_is_listed(redshift: Redshift) -> None:
    assert redshift.client.list_databases(**AS_SUPERUSER)["Databases"] == ["dev"]


def test_schemas_are_listed_by_a_pattern(redshift: Redshift) -> None:
    assert {"public", "sales"} <= set(redshift.client.list_schemas(**AS_SUPERUSER)["Schemas"])
    assert redshift.client.list_schemas(SchemaPattern="s_l%", **AS_SUPERUSER)["Schemas"] == ["sales"]


def test_tables_and_views_are_listed_by_patterns(redshift: Redshift) -> None:
    tables = redshift.client.list_tables(SchemaPattern="sales", TablePattern="%r%s", **AS_SUPERUSER)["Tables"]

    assert tables == [
        {"name": "order_lines", "schema": "sales", "type": "TABLE"},
        {"name": "orders", "schema": "sales", "type": "TABLE"},
        {"name": "orderxlines", "schema": "sales", "type": "TABLE"},
        {"name": "buyers", "schema": "sales", "type": "VIEW"},
    ]


def test_a_list_comes_in_pages(redshift: Redshift) -> None:
    pages = redshift.client.get_paginator("list_tables").paginate(
        SchemaPattern="sales", PaginationConfig={"PageSize": 3}, **AS_SUPERUSER
    )

    assert [len(page["Tables"]) for page in pages] == [3, 1]


def test_a_tables_columns_are_described(redshift: Redshift) -> None:
    described = redshift.client.describe_table(Schema="sales", Table="orders", **AS_SUPERUSER)

    assert described["TableName"] == "orders"
    columns = [
        (column["name"], column["typeName"], column["nullable"], column["precision"], column["scale"])
        for column in described["ColumnList"]
    ]
    assert columns[0][:3] == ("id", "int4", 0)
    assert columns[1][:3] == ("buyer", "varchar", 1)
    assert columns[2] == ("price", "numeric", 1, 12, 2)
    assert columns[3][:3] == ("at", "timestamp", 1)
    assert {(column["schemaName"], column["tableName"]) for column in described["ColumnList"]} == {("sales", "orders")}


def test_a_table_is_named_not_matched(redshift: Redshift) -> None:
    described = redshift.client.describe_table(Table="order_lines", **AS_SUPERUSER)

    assert [column["name"] for column in described["ColumnList"]] == ["id", "note"]


def test_a_database_that_does_not_exist_cannot_be_listed(redshift: Redshift) -> None:
    with pytest.raises(ClientError, match=r'DatabaseConnectionException.*database "nowhere" does not exist'):
        redshift.client.list_schemas(**{**AS_SUPERUSER, "Database": "nowhere"})
