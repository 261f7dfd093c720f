from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.redshift.sql import lexer

# Pieces of SQL text that hold colons, semicolons and quotes where they mean nothing.
_OPAQUE = st.sampled_from(
    [
        "'a:b;c'",
        "'it''s :x'",
        r"'back\'slash :x ; '",
        r"'ends in one \\'",
        '"col:umn;"',
        '"qu""o:te"',
        "$$ body; :x 'unbalanced $$",
        "$tag$ $$ :x ; $tag$",
        "-- comment :x ; '\n",
        "/* block :x ; ' /* nested */ \" */",
        "a::int",
        r"e'\':x'",
        " 1.5e3 ",
        "\u00e4\u4e2d",
    ]
)


@given(st.lists(_OPAQUE))
def test_nothing_in_strings_names_comments_and_casts_is_a_placeholder_or_ends_a_statement(pieces: list[str]) -> None:
    text = " ".join(["select", *pieces])
    assert lexer.placeholders(text) == set()
    assert len(lexer.statements(text)) == 1


@given(st.lists(_OPAQUE), st.lists(_OPAQUE))
def test_a_placeholder_and_a_semicolon_between_them_are_found(before: list[str], after: list[str]) -> None:
    text = " ".join([*before, " :name_1 , 1; select :2nd::int", *after])
    assert lexer.placeholders(text) == {"name_1", "2nd"}
    assert len(lexer.statements(text)) == 2


@given(st.lists(_OPAQUE))
def test_the_tokens_spell_the_text(pieces: list[str]) -> None:
    text = " ".join([*pieces, "end"])
    assert lexer.text_of(lexer.tokens(text)) == text


@given(st.text())
@example("\\'")
@example("'\\")
def test_a_text_written_as_a_literal_is_read_back(text: str) -> None:
    literal = lexer.string_literal(text)
    assert lexer.string_value(literal) == text
    assert [token.kind for token in lexer.tokens(literal)] == [lexer.Kind.STRING]


@pytest.mark.parametrize(
    "sql", ["select 'open", 'select "open', "select $$open", "select /* open /* */", "select 'a\\'"]
)
def test_what_has_no_end_is_refused(sql: str) -> None:
    with pytest.raises(lexer.UnterminatedToken, match="unterminated"):
        lexer.statements(sql)


def test_text_without_a_statement_has_none() -> None:
    assert lexer.statements(" ; -- nothing\n ;/* here */ ") == []
