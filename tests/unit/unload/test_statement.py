"""The UNLOAD statement: what Redshift reads out of it is the query that was put in."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import MissingConfiguration
from unload.errors import InvalidQuery
from unload.statement import UnloadOptions, all_rows, quote_literal, selected, unload_statement

OPTIONS = UnloadOptions(role="default")
TARGET = "s3://data/unload/monday/0f1e/"


def as_redshift_reads(literal: str) -> str:
    """The value of an SQL string: a doubled quote is a quote, a backslash takes the next character as it is."""
    assert re.fullmatch(r"'(?:[^'\\]|''|\\.)*'", literal, re.DOTALL)
    return re.sub(r"''|\\(.)", lambda match: match[1] or "'", literal[1:-1], flags=re.DOTALL)


@given(st.text())
def test_redshift_reads_the_quoted_text_back_as_it_was(text: str) -> None:
    assert as_redshift_reads(quote_literal(text)) == text


@pytest.mark.parametrize(
    "query",
    ["SELECT 'it''s'", "SELECT 'a\\'b'", "SELECT $$'$$", 'SELECT "a\'b"', "SELECT 'ü😀' -- it's", "SELECT E'\\n'"],
)
def test_the_query_is_nested_and_quoted_and_nothing_of_it_is_lost(query: str) -> None:
    sql = unload_statement(all_rows(selected(query, None)), TARGET, OPTIONS, encrypt_with_kms=False).sql
    literal = re.fullmatch(r"UNLOAD \(('.*')\)\nTO '.*", sql, re.DOTALL)
    assert literal
    assert as_redshift_reads(literal[1]) == f"SELECT * FROM (\n{query}\n) AS unloaded"


def test_the_statement_writes_parquet_and_a_verbose_manifest_to_the_prefix() -> None:
    sql = unload_statement("SELECT 1", TARGET, OPTIONS, encrypt_with_kms=False).sql
    assert sql.splitlines() == [
        "UNLOAD ('SELECT 1')",
        "TO 's3://data/unload/monday/0f1e/'",
        "IAM_ROLE default",
        "FORMAT PARQUET",
        "MANIFEST VERBOSE",
        "MAXFILESIZE 128 MB",
    ]


def test_rows_go_to_folders_by_the_value_of_a_column() -> None:
    sql = unload_statement("SELECT 1 AS n", TARGET, OPTIONS, encrypt_with_kms=False, partition_by="n").sql
    assert "FORMAT PARQUET\nPARTITION BY (n)\nMANIFEST VERBOSE\n" in sql


def test_a_role_is_quoted_and_a_bucket_with_kms_is_told_so() -> None:
    role = "arn:aws:iam::123456789012:role/path/Redshift-Role"
    sql = unload_statement("SELECT 1", TARGET, UnloadOptions(role), encrypt_with_kms=True).sql
    assert f"IAM_ROLE '{role}'" in sql
    assert sql.endswith("MAXFILESIZE 128 MB\nENCRYPTED AUTO")


def test_a_bucket_in_another_region_than_redshift_is_told_with_its_region() -> None:
    environment = {
        "UNLOAD_ROLE": "default",
        "AWS_REGION": "eu-central-1",
        "REDSHIFT_REGION": "us-east-1",
    }
    there = UnloadOptions.from_environment(environment)
    assert unload_statement("SELECT 1", TARGET, there, encrypt_with_kms=False).sql.endswith("\nREGION 'eu-central-1'")
    here = UnloadOptions.from_environment(environment | {"REDSHIFT_REGION": ""})
    assert "REGION" not in unload_statement("SELECT 1", TARGET, here, encrypt_with_kms=False).sql


def test_a_statement_too_long_for_the_data_api_is_refused_before_it_is_sent() -> None:
    longest = "SELECT '" + "x" * 99_000 + "'"
    assert unload_statement(longest, TARGET, OPTIONS, encrypt_with_kms=False)
    with pytest.raises(InvalidQuery, match="100,000"):
        unload_statement("SELECT '" + "ü" * 50_000 + "'", TARGET, OPTIONS, encrypt_with_kms=False)


@pytest.mark.parametrize(
    "role",
    [
        "default",
        "arn:aws:iam::123456789012:role/a",
        "arn:aws-cn:iam::123456789012:role/a,arn:aws:iam::210987654321:role/b",
    ],
)
def test_a_role_is_default_or_arns(role: str) -> None:
    assert UnloadOptions.from_environment({"UNLOAD_ROLE": role}).role == role


@pytest.mark.parametrize(
    "role",
    ["", "DEFAULT", "arn:aws:iam::123456789012:role/a'; DROP TABLE t", "arn:aws:iam::123456789012:user/a"],
)
def test_a_role_that_unload_would_not_take_is_a_fault_of_the_stack(role: str) -> None:
    with pytest.raises(MissingConfiguration, match="UNLOAD_ROLE"):
        UnloadOptions.from_environment({"UNLOAD_ROLE": role})
