"""What the demo shows, looked at in terminals of different widths and without one."""

from __future__ import annotations

import re
import subprocess
import sys

import pexpect
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from local.demo.display import wrapped
from local.stack import PROJECT

ARN = "arn:aws:states:us-east-1:000000000000:execution:local-RedshiftDataApiSPProces:7c1c41d5-9e36-4f5c-8d1a-5a2d6e7f"
CAUSE = f"ERROR: procedure public.sp_missing(character varying) does not exist; see {ARN} for all that it went through"
OUTPUT = '{"load_id": "b2c8a6f0-1f60-4d0c-9c53-6a1c5d6e2f33-0f1e2d3c", "table": "amazon_reviews", "rows_written": 200}'
MAIL = "\n\n".join(
    ["An execution failed.", f"Cause: {CAUSE}", f"Input: {OUTPUT}", f"Execution: {ARN}", f"Console: {ARN}"]
)
SCRIPT = f"""
from local.demo.display import Display
display = Display()
display.heading("A load")
display.line({CAUSE!r})
display.line("  " + {OUTPUT!r})
display.done({OUTPUT!r})
display.failed({CAUSE!r})
display.panel("Mail to support", {MAIL!r})
display.beside(("row", "item"), [("product_title", "great " * 40, '{{"S": "' + "great " * 40), ("stars", "5", "N 5")])
"""


def in_terminal(columns: int) -> list[str]:
    terminal = pexpect.spawn(
        sys.executable, ["-c", SCRIPT], cwd=str(PROJECT), dimensions=(24, columns), encoding="utf-8", timeout=30
    )
    terminal.expect(pexpect.EOF)
    assert isinstance(terminal.before, str)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", terminal.before).replace("\r", "").split("\n")


@pytest.mark.parametrize("columns", [80, 100])
def test_in_a_terminal_lines_end_before_its_edge_and_words_stay_whole(columns: int) -> None:
    lines = in_terminal(columns)
    assert max(map(cell_len, lines)) <= columns
    shown = " ".join(line.strip(" │") for line in lines)
    for word in (*re.split(r"[ ,:/]", CAUSE), *re.split(r"[ ,:]", OUTPUT)):
        assert word in shown


@pytest.mark.parametrize("columns", [80, 100])
def test_what_goes_on_below_is_indented(columns: int) -> None:
    lines = in_terminal(columns)
    begin = lines.index("A load") + 1
    end = next(number for number, line in enumerate(lines) if "Mail to support" in line)
    assert [line for line in lines[begin:end] if not line.startswith("  ")] == []
    assert sum(line.startswith("    ") for line in lines[begin:end]) >= 4


def test_a_mail_leaves_room_for_what_led_to_it() -> None:
    lines = in_terminal(80)
    frame = [line for line in lines if line.startswith(("╭", "│", "╰"))]
    assert len(frame) <= 11
    assert "An execution failed." in frame[1]
    assert re.search(r"… \d+ more lines", frame[-2])


def test_values_side_by_side_are_cut_and_aligned() -> None:
    titles, title, stars = in_terminal(80)[-4:-1]
    assert titles.index("item") == stars.index("N 5") == title.index("{")
    assert title.endswith("…")


def test_elsewhere_nothing_is_broken_or_left_out() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=True
    )
    lines = done.stdout.splitlines()
    assert f"  {CAUSE}" in lines
    assert f"  ✓ {OUTPUT}" in lines
    assert f"    Console: {ARN}" in lines
    assert any("great " * 40 in line for line in lines)


@given(st.text(), st.integers(min_value=2, max_value=100))
def test_wrapping_loses_nothing_but_blanks_and_keeps_to_the_width(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert max(map(cell_len, lines)) <= width


def test_a_word_that_is_longer_than_a_line_is_broken_behind_punctuation() -> None:
    assert wrapped("see s3://a-bucket/rejects/a-load-of-rows/ for them", 20) == [
        "see s3://a-bucket/",
        "rejects/",
        "a-load-of-rows/ for",
        "them",
    ]


def test_wide_characters_take_two_columns() -> None:
    assert wrapped("素晴らしい " * 3, 22) == ["素晴らしい 素晴らしい", "素晴らしい"]
