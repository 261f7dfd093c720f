"""From a payload to a CALL: what is bound, what is refused, and what the refusal says."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidInput, PipelineError
from execution_input import parse_input
from statements.errors import ProcedureNotAllowed
from statements.procedure_call import ProcedureRequest, procedure_call

LIMIT = 65_535


def call(payload: Any, *allowed: str) -> tuple[str, dict[str, str]]:
    statement = procedure_call(parse_input(ProcedureRequest, payload), allowed or ("*",))
    return statement.sql, dict(statement.parameters)


@pytest.mark.parametrize(
    ("payload", "sql", "parameters"),
    [
        ({"spname": "public.p", "event_message": "hello"}, 'CALL "public"."p"(:a1)', {"a1": "hello"}),
        ({"spname": "p", "event_message": None}, 'CALL "p"(NULL)', {}),
        ({"spname": "p", "event_message": ""}, "CALL \"p\"('')", {}),
        ({"spname": "p"}, 'CALL "p"()', {}),
        ({"spname": "p", "arguments": []}, 'CALL "p"()', {}),
        (
            {"spname": "p", "arguments": ["x", 1, -2.5, True, False, None, "", 10**30]},
            "CALL \"p\"(:a1, :a2, :a3, :a4, :a5, NULL, '', :a8)",
            {"a1": "x", "a2": "1", "a3": "-2.5", "a4": "true", "a5": "false", "a8": "1" + "0" * 30},
        ),
    ],
)
def test_arguments_are_bound_and_never_pasted(payload: Any, sql: str, parameters: dict[str, str]) -> None:
    assert call(payload) == (sql, parameters)


@pytest.mark.parametrize(
    ("argument", "sql", "bound"),
    [
        ({"value": 5, "type": "integer"}, ":a1::integer", "5"),
        ({"value": "5", "type": " INTEGER "}, ":a1::integer", "5"),
        ({"value": True, "type": "boolean"}, ":a1::boolean", "true"),
        ({"value": "12.50", "type": "Decimal( 10 , 2 )"}, ":a1::decimal(10,2)", "12.50"),
        ({"value": 7, "type": "numeric(38)"}, ":a1::numeric(38,0)", "7"),
        ({"value": 1.5, "type": "double  precision"}, ":a1::double precision", "1.5"),
        ({"value": "x", "type": "varchar(65535)"}, ":a1::varchar(65535)", "x"),
        ({"value": "", "type": "varchar"}, "''::varchar", None),
        ({"value": None, "type": "date"}, "NULL::date", None),
        ({"value": {"a": [1, "é", None]}, "type": "super"}, "JSON_PARSE(:a1)", '{"a": [1, "é", null]}'),
        ({"value": "", "type": "super"}, "JSON_PARSE(:a1)", '""'),
        ({"value": None, "type": "super"}, "NULL::super", None),
        ({"value": 5}, ":a1", "5"),
    ],
)
def test_an_argument_that_names_its_type_is_cast_to_it(argument: Any, sql: str, bound: str | None) -> None:
    parameters = {} if bound is None else {"a1": bound}
    assert call({"spname": "p", "arguments": [argument]}) == (f'CALL "p"({sql})', parameters)


@pytest.mark.parametrize(
    "name",
    [
        "int; drop table x", "integer)", "", "decimal(39,2)", "decimal(10,11)", "decimal(38,38)", "decimal(0)",
        "varchar(65536)", "varchar(0)", "char(4097)", "varchar(max)", "anyelement", "integer\n--", "time stamp",
        "varchar(٣)",
    ],
)  # fmt: skip
def test_a_type_that_is_not_offered_is_refused_and_what_is_offered_is_said(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"arguments\.0\.type: .*smallint, integer, .*varchar\(n\)"):
        call({"spname": "p", "arguments": [{"value": 1, "type": name}]})


@pytest.mark.parametrize("spname", ['public."at:a1"', 'public."AT:A1 :a_1 :a__"'])
def test_no_placeholder_can_be_seen_in_the_name_of_the_procedure(spname: str) -> None:
    sql, parameters = call({"spname": spname, "arguments": ["x", None, "y"]})
    name, _, arguments = sql.partition('"(')
    assert list(parameters.values()) == ["x", "y"]
    for placeholder in parameters:
        assert f":{placeholder}" in arguments
        assert f":{placeholder}".lower() not in name.lower()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=200))
def test_any_text_is_bound_as_it_is(message: str) -> None:
    assert call({"spname": "p", "event_message": message}) == ('CALL "p"(:a1)', {"a1": message})


@pytest.mark.parametrize("message", ["x" * LIMIT, "é" * (LIMIT // 2), "😀" * (LIMIT // 4)])
def test_a_message_may_be_as_long_as_a_varchar(message: str) -> None:
    assert call({"spname": "p", "event_message": message})[1] == {"a1": message}


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({}, "spname: Field required"),
        ({"spname": 5}, "spname: Input should be a valid string"),
        ({"spname": "p", "event_message": 5}, "event_message: Input should be a valid string"),
        ({"spname": "p", "event_message": "é" * 32_768}, "event_message: .*65,536 bytes.*65,535"),
        ({"spname": "p", "event_message": "a\0b"}, r"event_message: .*U\+0000"),
        ({"spname": "p", "event_message": "\ud800"}, "event_message: .*surrogate"),
        ({"spname": "p", "event_mesage": "x"}, "event_mesage: Extra inputs are not permitted"),
        ({"spname": "p", "arguments": "x"}, "arguments: Input should be a valid list"),
        ({"spname": "p", "arguments": [1, [2]]}, "arguments.1: .*string, number, boolean or null"),
        ({"spname": "p", "arguments": [float("nan")]}, "arguments.0: .*NaN"),
        ({"spname": "p", "arguments": [{"type": "integer"}]}, r"arguments\.0\.value: Field required"),
        ({"spname": "p", "arguments": [{"value": [1], "type": "integer"}]}, "arguments.0: .*string, number"),
        ({"spname": "p", "arguments": [{"value": [float("nan")], "type": "super"}]}, "arguments.0: .*NaN"),
        ({"spname": "p", "arguments": [{"value": 1, "kind": "integer"}]}, "arguments.0.kind: Extra"),
        ({"spname": "p", "arguments": [1] * 33}, "arguments: .*32"),
        ({"spname": "p", "arguments": ["x" * 60_000, "y" * 60_000]}, "120,000 bytes.*100,000"),
        ({"spname": "p", "arguments": [], "event_message": "x"}, "event_message or arguments, not both"),
        ("text", "the input: "),
        (None, "the input: "),
        ([], "the input: "),
    ],
)
def test_a_bad_payload_is_refused_with_the_field_and_the_reason(payload: Any, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        call(payload)


def test_a_refusal_does_not_repeat_the_message() -> None:
    with pytest.raises(InvalidInput) as error:
        call({"spname": "p", "event_message": "personal matter\0"})
    assert "personal" not in str(error.value)


@pytest.mark.parametrize(
    ("spname", "allowed"),
    [
        ("public.sp_a", ["public.sp_*"]),
        ("PUBLIC.SP_A", ["public.sp_*"]),
        ("public.sp_a", ["Public.SP_*"]),
        ('etl."Mixed Case"', ['ETL."Mixed *"']),
        ('"public"."sp_a"', ["public.sp_?"]),
        ("etl.x", ["public.*", "etl.x"]),
        ('public."Mixed Case"', ['public."Mixed *"']),
        ("anything", ["*"]),
        ("any.thing.at_all", ["*"]),
        ("dev.public.sp_a", ["*.public.sp_*"]),
        ('public."a.b"', ['public."a.*"']),
        ("public.größe", ["public.größe"]),
        ("PUBLIC.GRöSSE", ["public.gr*"]),
        ("public.процедура", ["*.проц*"]),
        ("public.größe", ['public."gr*"']),
        ("public.sp_a", ['"public".sp_*']),
        ('"My ""Schema""".p', ['"My ""Schema""".*']),
    ],
)
def test_a_procedure_that_a_pattern_names_may_be_called(spname: str, allowed: list[str]) -> None:
    call({"spname": spname}, *allowed)


@pytest.mark.parametrize(
    ("spname", "allowed"),
    [
        ("public.other", ["public.sp_*"]),
        ("sp_a", ["public.sp_*"]),
        ('"public.sp_a"', ["public.sp_*"]),
        ('public."SP_A"', ["public.sp_*"]),
        ('public."SP_A"', ["PUBLIC.SP_*", "public.sp_*"]),
        ("public.sp_a", ['public."SP_*"', "public.sp_b"]),
        ("dev.public.sp_a", ["public.sp_*"]),
        ("public.sp_x.drop_all", ["public.sp_*"]),
        ("public.sp_a", ['"public.sp_a"', "public.gr*"]),
        ('public."sp_Ä"', ["public.sp_ä"]),
        ("public.sp_b", ["public.sp_[a]"]),
        ("public.sp_a", ["public.sp_[a]"]),
    ],
)
def test_any_other_procedure_is_refused_by_name_and_with_the_patterns(spname: str, allowed: list[str]) -> None:
    with pytest.raises(ProcedureNotAllowed, match=r"public\.sp_.*AllowedProcedures"):
        call({"spname": spname}, *allowed)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_any_input_at_all_is_called_or_refused_by_name(payload: Any) -> None:
    with suppress(PipelineError):
        call(payload)
