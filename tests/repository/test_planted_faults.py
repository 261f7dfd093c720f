"""The lists of planted faults stay true, and `make mutants` tells a fault that is noticed from one that is not."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.mutants.faults import ROOT, Fault, InvalidFaultListError, StaleFaultError, read_faults

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = {"fault": "adds", "file": "sums.py", "find": "a - b", "replace": "a + b", "tests": ["tests/test_sums.py"]}


def stale(fault: Fault, root: Path) -> str | None:
    try:
        fault.planted(root)
    except StaleFaultError as error:
        return f"{fault.room}: {fault.fault}: {error}"
    return None


def test_every_fault_can_still_be_planted() -> None:
    assert list(filter(None, (stale(fault, ROOT) for fault in read_faults()))) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tiny project with one test."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload -p xdist.plugin\n")
    (tmp_path / "sums.py").write_text("def difference(a, b):\n    return a - b\n\ndef zero():\n    return 0\n")
    (tmp_path / "tests/test_sums.py").write_text(
        "import sums\n\ndef test_difference():\n    assert sums.difference(3, 1) == 2\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"file": "products.py"}, "products.py is not there"),
        ({"find": "a * b"}, "sums.py has 'a * b' 0 times"),
        ({"find": "return"}, "sums.py has 'return' 2 times"),
        ({"find": "return", "after": "def"}, "sums.py has 'def' 2 times"),
        ({"find": "difference", "after": "zero"}, "sums.py has 'difference' nowhere after 'zero'"),
        ({"tests": ["tests/test_products.py"]}, "tests/test_products.py is not there"),
        ({"tests": ["tests/test_sums.py::test_diff"]}, "tests/test_sums.py::test_diff is not there"),
        ({"replace": "a - b"}, "'a - b' changes nothing"),
        ({"replace": "a -"}, "with it the file is no Python"),
    ],
)
def test_a_stale_fault_is_named_with_what_changed(tree: Path, change: dict[str, object], reason: str) -> None:
    with pytest.raises(StaleFaultError, match=re.escape(reason)):
        Fault.of("sums", ENTRY | change).planted(tree)


def test_a_fault_is_planted_where_its_text_stands_first_after_another(tree: Path) -> None:
    fault = Fault.of("sums", ENTRY | {"find": "return", "replace": "yield", "after": "b):"})
    assert fault.planted(tree).split("\n")[1::3] == ["    yield a - b", "    return 0"]


@pytest.mark.parametrize("change", [{"tests": "tests"}, {"tests": []}, {"find": 5}, {"room": "x"}])
def test_a_list_that_is_not_written_as_it_should_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidFaultListError, match=r"^sums: "):
        Fault.of("sums", ENTRY | change)


def command(tree: Path, entries: str, *words: str) -> list[str]:
    lists = tree / "lists"
    lists.mkdir()
    (lists / "sums.yaml").write_text(entries)
    return [sys.executable, "-m", "tests.mutants", *words, "--root", str(tree), "--lists", str(lists)]


def plant(tree: Path, entries: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tree, entries, *words), cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )


NOTICED = "- {fault: adds, file: sums.py, find: a - b, replace: a + b, tests: [tests/test_sums.py]}\n"
UNNOTICED = "- {fault: zero is one, file: sums.py, find: return 0, replace: return 1, tests: [tests/test_sums.py]}\n"
STALE = "- {fault: is gone, file: sums.py, find: a * b, replace: a, tests: [tests/test_sums.py]}\n"


def test_chosen_faults_that_are_all_noticed_are_a_success(tree: Path) -> None:
    before = (tree / "sums.py").read_text()
    planted = plant(tree, NOTICED + UNNOTICED, "Sums.py", "ADDS")
    assert planted.returncode == 0, planted.stderr
    assert "1 of 1 faults were noticed, 100%" in planted.stdout
    assert (tree / "sums.py").read_text() == before


def test_what_goes_unnoticed_or_is_stale_is_a_failure_that_names_it(tree: Path) -> None:
    planted = plant(tree, NOTICED + UNNOTICED + STALE)
    assert planted.returncode == 1
    assert [line.split()[0] for line in planted.stdout.splitlines()[:3]] == ["noticed", "unnoticed", "stale"]
    assert "sums: zero is one (sums.py)" in planted.stdout
    assert "sums.py has 'a * b' 0 times, not once" in planted.stdout
    assert "sums.py        1          1      1" in planted.stdout
    assert "1 of 3 faults were noticed, 33%" in planted.stdout


def test_tests_that_fail_without_a_fault_prove_nothing(tree: Path) -> None:
    (tree / "sums.py").write_text("def difference(a, b):\n    return a - b - 1\n")
    planted = plant(tree, NOTICED)
    assert planted.returncode == 1
    assert "without any fault, these tests fail" in planted.stdout
