from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from local.redshift.api.results import field
from local.redshift.execution import SqlFailed

if TYPE_CHECKING:
    from tests.local.sql_engine.conftest import Sql

_TEXT = '{"a":1}'


@pytest.fixture
def docs(sql: Sql) -> None:
    sql.run("CREATE TABLE docs (id INT, doc SUPER)")
    sql.run("INSERT INTO docs VALUES (1, NULL)")


@pytest.mark.usefixtures("docs")
@pytest.mark.parametrize(
    "write",
    [
        f"INSERT INTO docs VALUES (2, '{_TEXT}')",
        f"INSERT INTO docs SELECT 2, '{_TEXT}'",
        f"INSERT INTO docs (doc, id) SELECT '{_TEXT}', 2",
        f"INSERT INTO docs SELECT 2, '{_TEXT}' UNION ALL SELECT 3, '{_TEXT}'",
        f"INSERT INTO docs SELECT 2, '{_TEXT}'::CHAR(7)",
        f"UPDATE docs SET doc = '{_TEXT}', id = 2",
        f"UPDATE docs SET id = 2, doc = '{_TEXT}'::SUPER",
        f"UPDATE docs SET id = 2, doc = CAST('{_TEXT}' AS SUPER)",
        f"UPDATE docs SET id = 2, doc = '{_TEXT}'::VARCHAR",
        f"UPDATE docs d SET id = 2, doc = q.t FROM (SELECT '{_TEXT}' AS t) AS q WHERE d.id = 1",
        (
            "MERGE INTO docs USING (SELECT 1 AS i) AS q ON id = i "
            f"WHEN MATCHED THEN UPDATE SET id = 2, doc = '{_TEXT}' WHEN NOT MATCHED THEN INSERT VALUES (i, NULL)"
        ),
        (
            f"MERGE INTO docs USING (SELECT 2 AS i) AS q ON id = i WHEN MATCHED THEN UPDATE SET id = 2 "
            f"WHEN NOT MATCHED THEN INSERT (id, doc) VALUES (i, '{_TEXT}')"
        ),
    ],
)
def test_text_that_is_put_into_super_stays_a_string(sql: Sql, write: str) -> None:
    sql.run(write)
    assert sql.rows("SELECT JSON_TYPEOF(doc), doc::VARCHAR FROM docs WHERE id = 2") == [("string", _TEXT)]


@pytest.mark.usefixtures("docs")
def test_a_parameter_that_is_put_into_super_stays_a_string(sql: Sql) -> None:
    sql.run("UPDATE docs SET doc = :text", text=_TEXT)
    assert sql.rows("SELECT JSON_TYPEOF(doc), doc = :text FROM docs", text=_TEXT) == [("string", True)]
    assert sql.value(":text::SUPER", text="[1]") == '"[1]"'


@pytest.mark.usefixtures("docs")
def test_json_parse_alone_parses(sql: Sql) -> None:
    sql.run("UPDATE docs SET doc = JSON_PARSE(:text)", text=_TEXT)
    assert sql.rows("SELECT doc, doc.a, doc.a = 1, COALESCE(doc.b, 'none') FROM docs") == [(_TEXT, "1", True, '"none"')]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (r"'\\x41'::VARBYTE", "5c783431"),
        ("CAST('abc' AS VARBYTE(10))", "616263"),
        ("'\u00e4'::VARBYTE", "c3a4"),
        ("('a' || 'b')::VARBYTE", "6162"),
        ("'abc'::VARBYTE::VARCHAR", "abc"),
        ("TO_VARBYTE('6162', 'hex')", "6162"),
        ("FROM_VARBYTE('abc'::VARBYTE, 'hex')", "616263"),
    ],
)
def test_varbyte_holds_the_bytes_of_its_text(sql: Sql, expression: str, value: str) -> None:
    assert sql.value(expression) == value


def test_no_varchar_is_longer_than_65535_bytes(sql: Sql) -> None:
    with pytest.raises(SqlFailed, match="length for type varchar cannot exceed 65535"):
        sql.run("CREATE TABLE too_long (t VARCHAR(65536))")
    assert len(sql.value("REPEAT('x', 65535)")) == 65_535
    with pytest.raises(SqlFailed, match=r"value too long for type character varying\(65535\)"):
        sql.value("REPEAT('\u00e4', 32768)")


@pytest.mark.parametrize(("value", "written"), [(float("nan"), "NaN"), (float("-inf"), "-Infinity"), (1.5, 1.5)])
def test_a_number_that_json_has_not_is_written_as_text(value: float, written: Any) -> None:
    assert json.loads(json.dumps(field(value), allow_nan=False)) == {"doubleValue": written}


@pytest.mark.parametrize(
    ("value", "same"),
    [
        ("12345678901234567890.5::DECIMAL(38, 1)", "12345678901234567890.5::DECIMAL(38, 1)"),
        ("DATE '2024-02-29'", "DATE '2024-02-29'"),
        ("TIMESTAMP '2024-02-29 12:00'", "TIMESTAMP '2024-02-29 12:00:00.000'"),
        ("true", "true"),
        ("1.5::FLOAT8", "1.5::FLOAT8"),
        ("'a '::CHAR(2)", "'a '::VARCHAR"),
    ],
)
def test_equal_values_of_every_key_type_have_one_hash(sql: Sql, value: str, same: str) -> None:
    assert sql.value(f"FNV_HASH({value}) = FNV_HASH({same})") is True
    assert sql.value(f"FNV_HASH({value}) = FNV_HASH({value}, 1)") is False
    assert sql.value(f"FNV_HASH(NULLIF({value}, {value}))") is None


def test_values_that_differ_hash_differently(sql: Sql) -> None:
    values = "(1.0), (-1.0), (18446744073709551616.0), (-18446744073709551616.0), (9223372036854775807.0), (0.0)"
    assert sql.value(f"COUNT(DISTINCT FNV_HASH(v)) FROM (VALUES {values}) AS t(v)") == 6
