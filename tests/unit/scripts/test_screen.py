"""Lines at the width of a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.pipelines.screen import wrapped
from scripts.pipelines.wording import count, duration

ARN = "arn:aws:states:us-east-1:123456789012:execution:redshift-pipelines-RedshiftToDynamoProces:nightly-2026-11-22"


@given(st.text("ab :/-\n", max_size=200), st.integers(5, 40))
def test_lines_fit_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrapped(text, width)
    assert "".join(text.split()) == "".join("".join(line.split()) for line in lines)
    assert all(len(line) <= width or not line.strip() or line.startswith(" ") for line in lines)


@given(st.text(st.characters(codec=None), max_size=50), st.integers(5, 40))
def test_nothing_that_is_shown_commands_the_terminal(text: str, width: int) -> None:
    shown = "".join(wrapped(text, width))
    assert [
        character for character in shown if unicodedata.category(character) in {"Cc", "Cs"} and character != "\t"
    ] == []
    assert wrapped("\x1b[2J\u009b2J \udcff\u202e", None) == [r"\x1b[2J\x9b2J \udcff\u202e"]


@given(st.lists(st.from_regex(r"[a-z]{1,12}", fullmatch=True), max_size=30), st.integers(12, 40))
def test_no_word_that_fits_is_broken(words: list[str], width: int) -> None:
    assert " ".join(wrapped(" ".join(words), width)).split() == words


def test_a_long_word_is_broken_at_its_joints() -> None:
    first, second = wrapped(ARN, 80)
    assert first + second == ARN
    assert first.endswith(("-", ":"))
    assert wrapped(f"see {ARN} for more", 200) == [f"see {ARN} for more"]
    assert wrapped(f"  indented words\n\nand {ARN}", None) == ["  indented words", "", f"and {ARN}"]
    assert wrapped("name     value", 20) == ["name     value"]
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("  some words", 8) == ["  some", "  words"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (12, "12 s"),
        (245, "4 min 05 s"),
        (25_920, "7 h 12 min"),
        (273_600, "3 d 04 h"),
    ],
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_one_is_no_plural() -> None:
    assert [count(number, "row") for number in (0, 1, 20_000)] == ["0 rows", "1 row", "20,000 rows"]
