"""Only names reach SQL as names, and they mean what the user wrote."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statements.errors import InvalidIdentifier
from statements.identifiers import parse_identifier

part = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("text", "sql"),
    [
        ("sp_etl_log_etl_event", '"sp_etl_log_etl_event"'),
        ("public.sp_etl_log_etl_event", '"public"."sp_etl_log_etl_event"'),
        ("dev.public.sp_x$1", '"dev"."public"."sp_x$1"'),
        ("Public.SP_X", '"public"."sp_x"'),
        ('"Public"."My ""best"" name"', '"Public"."My ""best"" name"'),
        ('public."a.b"', '"public"."a.b"'),
        ("schéma.процедура", '"schéma"."процедура"'),
    ],
)
def test_a_name_is_read_as_redshift_reads_it_and_always_quoted(text: str, sql: str) -> None:
    assert parse_identifier(text).sql == sql


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "p(); drop table x", "p()", "p;", "a b", "1st", "a..b", ".a", "a.", "a.b.c.d", '"', '""', '"a', 'a"b',
        '"a"b', "a.b--", "a/*x*/", "a\n", "a\0", '"a\0"', "\ud800", '"\ud800"', "a" * 128, "é" * 64, "$a", "*", "a'b",
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_value_and_with_advice(text: str) -> None:
    with pytest.raises(InvalidIdentifier) as error:
        parse_identifier(text)
    assert re.search("is not an identifier: give a name|shorten it", str(error.value))


def test_the_advice_is_about_what_was_asked_for() -> None:
    with pytest.raises(InvalidIdentifier, match=r'^\'a b\' .*: give one name of .*such as my_name or "My name"\.$'):
        parse_identifier("a b", max_parts=1)
    with pytest.raises(InvalidIdentifier, match=r"a name of one to 3 parts joined by dots"):
        parse_identifier("a b")


@given(st.lists(part, min_size=1, max_size=3))
def test_the_quoted_rendering_reads_back_as_the_same_name(parts: list[str]) -> None:
    text = ".".join('"' + part.replace('"', '""') + '"' for part in parts)
    identifier = parse_identifier(text)
    assert identifier.parts == tuple(parts)
    assert parse_identifier(identifier.sql) == identifier
    assert parse_identifier(str(identifier)) == identifier


@given(st.text(max_size=60))
def test_no_text_whatever_gets_out_of_its_quotes(text: str) -> None:
    try:
        sql = parse_identifier(text).sql
    except InvalidIdentifier:
        return
    assert re.fullmatch(r'"(?:[^"]|"")+"(?:\."(?:[^"]|"")+"){0,2}', sql)
