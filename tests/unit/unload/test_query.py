"""Which queries are taken for one SELECT, and how a table is made into one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from errors import InvalidInput
from statements.errors import InvalidIdentifier
from unload.errors import InvalidQuery
from unload.query import requested_query, single_select, table_query
from unload.request import LoadRequest

ONE_SELECT = [
    "SELECT 1",
    "select * from t where a = 'it''s; (' and b = 'c\\'; (' -- ; )",
    "/* ; ( */ SELECT /* a /* nested ; */ ( */ 1",
    'SELECT "a;(""b" FROM t',
    "SELECT $$it's; ($$, $tag$ $$ ; ( $tag$",
    "WITH a AS (SELECT 1) SELECT * FROM a",
    "(SELECT 1) UNION ALL (SELECT 2)",
    'SELECT super_column.a[0]."B" FROM t, t.items AS i QUALIFY row_number() over (partition by a) = 1',
    "SELECT json_parse('{\"a\": 1}')::super, '{{ jinja }}', 10 % 3, a || ':b' FROM t",
    "SELECT 'ü😀;', ü FROM tablé",
    "SELECT TOP 10 * FROM t LIMIT 5",
    "select begin, show from events",
    "SELECT /*+ ) */ 1 -- (",
    "SELECT $1, a$1, 1.5e-3, E'it\\'s (', N'(', '\\\\'",
    "\n\tSELECT 1\n",
]


@pytest.mark.parametrize("query", ONE_SELECT)
def test_one_select_is_taken_as_it_is(query: str) -> None:
    assert single_select(query) == query


@pytest.mark.parametrize(
    ("query", "without"),
    [
        ("SELECT 1;", "SELECT 1 "),
        ("SELECT '😀';", "SELECT '😀' "),
        ("SELECT 1 ; ;\n", "SELECT 1    \n"),
        ("SELECT ';' ; -- done", "SELECT ';'   -- done"),
        ("SELECT 5 -;-- x", "SELECT 5 - -- x"),
        ("SELECT 5 -;;-- x", "SELECT 5 -  -- x"),
    ],
)
def test_semicolons_at_the_end_are_blanked(query: str, without: str) -> None:
    assert single_select(query) == without


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "is empty"),
        (" -- nothing\n/* at all */ ", "is empty"),
        (";", "is empty"),
        ("DELETE FROM t", "begins with 'DELETE'"),
        ("UNLOAD ('SELECT 1') TO 's3://b/'", "begins with 'UNLOAD'"),
        ("t", "begins with 't'"),
        ('"My Table"', "begins with '\"My Table\"'"),
        ("()", r"begins with '\)'"),
        ("'4111'", "begins with a string"),
        ("SELECT 1; DROP TABLE t", "semicolon at character 9"),
        ("SELECT '😀'; SELECT 2", "semicolon at character 11"),
        ("SELECT (1", "1 of its parentheses open"),
        ("SELECT 1)", "closes a parenthesis at character 9"),
        ("SELECT 1) UNION (SELECT 2", "closes a parenthesis"),
        ("SELECT 'a", "open"),
        ("SELECT 'a\\'", "open"),
        ('SELECT "a', "open"),
        ("SELECT $$a", "open"),
        ("SELECT 1 /* a", "open"),
        ("SELECT 1 /* a /* b */", "open"),
        ("SELECT begin show ) AS unloaded UNION SELECT * FROM (SELECT secret FROM t", "closes a parenthesis"),
        ("SELECT begin execute ) x (", "closes a parenthesis"),
        ("SELECT begin fetch ; DROP TABLE t", "semicolon"),
        ("SELECT 1 {# ) x ( #}", "closes a parenthesis"),
        ("SELECT a FROM t WHERE a LIKE ANY$b$ ) x (", "closes a parenthesis"),
        ("SELECT -- \r) x (", "closes a parenthesis"),
        ("SELECT x$$ ) x (", "closes a parenthesis"),
        (r"SELECT B'\' ) AS a; DROP TABLE t; --'", "bit string"),
        ("SELECT '\0'", "not text"),
        ("SELECT '\ud800'", "not text"),
    ],
)
def test_anything_else_is_refused_with_the_reason(query: str, message: str) -> None:
    with pytest.raises(InvalidQuery, match=message):
        single_select(query)


@pytest.mark.parametrize(
    "query",
    ["SELECT * FROM t WHERE card = '4111", "'4111' SELECT 1", "$$4111$$", "e'4111'", "U&'4111'", "4111", "('4111')"],
)
def test_a_refusal_does_not_repeat_the_values_in_the_query(query: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        single_select(query)
    assert "4111" not in str(refused.value)


def test_a_table_is_selected_with_its_names_quoted() -> None:
    assert table_query("public.reviews", None, None) == 'SELECT * FROM "public"."reviews"'
    assert table_query('dev.Public."My Table"', ["Id", '"Größe ""x"""'], None) == (
        'SELECT "id", "Größe ""x""" FROM "dev"."public"."My Table"'
    )


@pytest.mark.parametrize("where", ["a > 1 -- old ones", "(a = ')' or b = '(')", "a in (select ';' from t)"])
def test_a_condition_stands_in_parentheses_of_its_own(where: str) -> None:
    query = table_query("t", None, where)
    assert query == f'SELECT * FROM "t" WHERE (\n{where}\n)'
    assert single_select(query) == query


@pytest.mark.parametrize(
    "where", ["", "1 = 1) OR (1 = 1", "a = 1; DROP TABLE t", "a = 1 /*", "a = 'b", "a = 1;", "(a = 1"]
)
def test_a_condition_that_would_leave_its_parentheses_is_refused(where: str) -> None:
    with pytest.raises(InvalidQuery, match="where"):
        table_query("t", None, where)


@pytest.mark.parametrize(
    ("table", "columns"), [("t; DROP TABLE t", None), ("a.b.c.d", None), ("t", ["a.b"]), ("t", ["a b"])]
)
def test_a_name_that_is_no_identifier_is_refused(table: str, columns: list[str] | None) -> None:
    with pytest.raises(InvalidIdentifier):
        table_query(table, columns, None)


def test_the_input_goes_before_the_configured_query() -> None:
    assert requested_query(LoadRequest(), "SELECT 1;") == "SELECT 1 "
    assert requested_query(LoadRequest(query="SELECT 2"), "SELECT 1") == "SELECT 2"
    assert requested_query(LoadRequest(table="t"), "SELECT 1") == 'SELECT * FROM "t"'
    with pytest.raises(InvalidQuery):
        requested_query(LoadRequest(query=""), "SELECT 1")


def test_a_stack_without_a_query_needs_one_from_the_input() -> None:
    with pytest.raises(InvalidInput, match="UnloadQuery"):
        requested_query(LoadRequest(), "")


QUERY_TEXT = st.text(alphabet=st.sampled_from("';\"\\$()-/*\n a"), max_size=12)


@given(QUERY_TEXT)
def test_what_is_taken_is_the_text_itself_but_for_semicolons_at_its_end(text: str) -> None:
    given_text = f"SELECT {text}"
    try:
        query = single_select(given_text)
    except InvalidQuery:
        return
    blanked = [place for place, (sent, came) in enumerate(zip(query, given_text, strict=True)) if sent != came]
    assert all((query[place], given_text[place]) == (" ", ";") for place in blanked)
    after_query = given_text[blanked[0] :] if blanked else ""
    assert re.fullmatch(r"(?:;|\s|--[^\n]*|/\*.*\*/)*", after_query, re.DOTALL)
    assert single_select(query) == query


@given(QUERY_TEXT)
def test_what_is_taken_can_be_nested_without_changing_what_follows(text: str) -> None:
    """Around any query that is taken, the parenthesis that nests it is still read as one."""
    try:
        query = single_select(f"SELECT {text}")
    except InvalidQuery:
        return
    nested = f"SELECT * FROM (\n{query}\n) AS unloaded"
    assert single_select(nested) == nested
    with pytest.raises(InvalidQuery, match="semicolon"):
        single_select(f"{nested}; SELECT 1")
