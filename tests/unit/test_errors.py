"""A failure's text: whatever is in it, no line of a mail but its own is taken for it, and none of it for another."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from errors import InvalidInput, PipelineError, paragraph
from execution_input import parse_input
from statements.procedure_call import ProcedureRequest

BREAKS = ["\n", "\r", "\r\n", "\v", "\f", "\x85", "\u2028"]
FORGED = "Console: https://example.org/"


@given(st.lists(st.sampled_from([*BREAKS, "Console:", "    ", " ", "x"])).map("".join))
@example("")
@example("\n")
def test_all_lines_but_the_first_are_indented(text: str) -> None:
    _, *others = str(PipelineError(text)).splitlines() or [""]
    assert all(line.startswith("    ") for line in others)
    assert paragraph(paragraph(text)) == paragraph(text)
    assert paragraph(text).split() == text.split()


@pytest.mark.parametrize("line_break", BREAKS)
def test_a_field_of_the_input_forges_no_line_of_a_mail(line_break: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_input(ProcedureRequest, {"spname": "p", f"x{line_break}{line_break}{FORGED}": 1})
    assert FORGED in str(refused.value)
    assert f"    {FORGED}" in str(refused.value)
    assert not any(line.startswith("Console") for line in str(refused.value).splitlines())
