"""A variable that the template did not set as it should is named, with what it holds."""

import pytest

from environment import number, required, whole_number
from errors import MissingConfiguration


def test_what_is_set_is_read() -> None:
    environment = {"TABLE": "tokens", "COUNT": "0", "PRICE": "0.625"}
    assert required(environment, "TABLE") == "tokens"
    assert whole_number(environment, "COUNT") == 0
    assert number(environment, "PRICE") == 0.625


@pytest.mark.parametrize("environment", [{}, {"X": ""}])
def test_what_is_absent_or_empty_is_named(environment: dict[str, str]) -> None:
    for read in (required, whole_number, number):
        with pytest.raises(MissingConfiguration, match="X is not set"):
            read(environment, "X")


@pytest.mark.parametrize("text", ["-1", "1.5", "many", "٣", "1e3", " 1"])
def test_a_text_that_is_no_whole_number_is_shown(text: str) -> None:
    with pytest.raises(MissingConfiguration, match="not a whole number") as error:
        whole_number({"X": text}, "X")
    assert repr(text) in str(error.value)


@pytest.mark.parametrize("text", ["cheap", "nan", "inf", "1,5"])
def test_a_text_that_is_no_number_is_shown(text: str) -> None:
    with pytest.raises(MissingConfiguration, match="not a number") as error:
        number({"X": text}, "X")
    assert repr(text) in str(error.value)
