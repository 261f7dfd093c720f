"""A variable that the template did not set as it should is named, with what it holds."""

import pytest

from environment import number, required
from errors import MissingConfiguration


def test_what_is_set_is_read() -> None:
    environment = {"TABLE": "tokens", "PRICE": "0.625"}
    assert required(environment, "TABLE") == "tokens"
    assert number(environment, "PRICE") == 0.625


@pytest.mark.parametrize("environment", [{}, {"X": ""}])
def test_what_is_absent_or_empty_is_named(environment: dict[str, str]) -> None:
    for read in (required, number):
        with pytest.raises(MissingConfiguration, match="X is not set"):
            read(environment, "X")


@pytest.mark.parametrize("text", ["cheap", "nan", "inf", "1,5"])
def test_a_text_that_is_no_number_is_shown(text: str) -> None:
    with pytest.raises(MissingConfiguration, match="not a number") as error:
        number({"X": text}, "X")
    assert repr(text) in str(error.value)
