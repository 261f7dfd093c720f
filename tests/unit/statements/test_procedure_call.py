"""From a payload to a CALL: what is bound, what is refused, and what the refusal says."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import PipelineError
from statements.errors import InvalidInput, ProcedureNotAllowed
from statements.inputs import parse_input
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
