"""Every promise has a test that is there, and the page that lists them is current."""

from __future__ import annotations

import json
import re

import pytest

from tests.repository.promises import MATRIX, PAGE, ROOT, Promises, declared_in, is_there
from tests.repository.test_operating import SECTIONS

PROMISES = Promises.read()


def words(text: str) -> str:
    return " ".join(text.split())


def test_every_promise_has_tests_and_they_are_there() -> None:
    assert {promise: tests for promise, tests in PROMISES.all().items() if not tests} == {}
    assert [test for tests in PROMISES.all().values() for test in tests if not is_there(test)] == []


def test_sentences_stand_where_they_are_said_to() -> None:
    pages = {page: words((ROOT / page).read_text()) for page in PROMISES.sentences}
    assert [
        text for page, texts in PROMISES.sentences.items() for text in texts if words(text) not in pages[page]
    ] == []


def test_names_are_those_of_the_template_the_inputs_and_the_files() -> None:
    template = (ROOT / "template.yaml").read_text()
    keys = re.findall(r"^  (\w+):$|- prefix: (\S+)$", template, re.MULTILINE)
    fields = json.loads((ROOT / "events/redshift_run_sps.json").read_text())
    known = {name for names in keys for name in names} | set(fields)
    absent = [name for name in PROMISES.names if name not in known and not (ROOT / name).is_file()]
    assert absent == []


def test_every_error_of_the_runbook_is_promised() -> None:
    assert set(PROMISES.errors) == set(SECTIONS)


def test_an_errors_tests_speak_of_it() -> None:
    # What AWS raises stands for many, and has no name in a test that tries one of them.
    own = {error: tests for error, tests in PROMISES.errors.items() if "." not in error}
    silent = [
        (error, test)
        for error, tests in own.items()
        for test in tests
        if not re.search(rf"\b{error}\b", declared_in(test.partition("::")[0])[test])
    ]
    assert silent == []


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == PROMISES.page(), "run `python -m tests.repository.promises`"


@pytest.mark.parametrize(
    ("row", "tests"),
    [
        ("| it is killed | it goes on | `tests/unit/test_x.py::test_y` |", ["tests/unit/test_x.py::test_y"]),
        ("| it is killed | it goes on | deployed: `tests/integration/`; `make soak` |", ["tests/integration/"]),
        ("| it is killed | it goes on | nobody knows |", []),
    ],
)
def test_rows_of_the_matrix_are_promises(row: str, tests: list[str]) -> None:
    table = f"# x\n\n| fault | what happens | test |\n|---|---|---|\n{row}\n\n| a | b |\n|---|---|\n| no | promise |\n"
    promises = Promises({"sentences": {}, "names": {}, "errors": {}}, table)
    assert promises.matrix == {"it is killed": tests}


def test_the_matrix_is_read() -> None:
    assert len(PROMISES.matrix) >= MATRIX.read_text().count("`tests/") / 10


@pytest.mark.parametrize(
    "test", ["tests/unit/test_gone.py", "tests/repository/test_promises.py::test_gone", "tests/gone/"]
)
def test_a_test_that_is_gone_is_missed(test: str) -> None:
    assert not is_there(test)
