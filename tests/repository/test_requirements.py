"""The requirements files together: who needs what, pinned once and in full."""

from __future__ import annotations

from collections import defaultdict
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
DEVELOPER = ROOT / "requirements.txt"
LOCAL = ROOT / "local/requirements.txt"
COMMAND_LINE = ROOT / "scripts/requirements.txt"
LAYERS = sorted((ROOT / "layers").glob("*/requirements.txt"))
CONSTRAINTS = ROOT / "constraints.txt"
SHARED = [DEVELOPER, LOCAL, COMMAND_LINE, *LAYERS, CONSTRAINTS]
ALL = [*SHARED, *(ROOT / "tests").glob("*requirements.txt")]

WRITTEN_WITH = {"boto3", "aws-lambda-powertools", "awswrangler", "aws-xray-sdk", "pytest", "moto"}


def requirements(file: Path) -> list[Requirement]:
    lines = (line.split(" #")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def names(file: Path) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements(file)}


def brought_along(wanted: list[Requirement]) -> set[str]:
    """All that the installed packages of these names require of each other, themselves included."""
    seen: set[tuple[str, str]] = set()
    waiting = [(requirement.name, extra) for requirement in wanted for extra in ("", *requirement.extras)]
    while waiting:
        name, extra = waiting.pop()
        if (canonicalize_name(name), extra) in seen:
            continue
        seen.add((canonicalize_name(name), extra))
        for line in metadata.requires(name) or []:
            required = Requirement(line)
            if required.marker is None or required.marker.evaluate({"extra": extra}):
                waiting += [(required.name, more) for more in ("", *required.extras)]
    return {name for name, _ in seen}


def test_the_packages_that_the_functions_are_written_and_tested_with_are_named_for_a_developer() -> None:
    assert names(DEVELOPER) >= WRITTEN_WITH


def test_the_demo_installs_no_more_of_them_than_it_uses() -> None:
    assert names(LOCAL) & WRITTEN_WITH == {"boto3"}


@pytest.mark.parametrize("file", ALL, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_version_is_exact(file: Path) -> None:
    inexact = [
        str(requirement) for requirement in requirements(file) if not str(requirement.specifier).startswith("==")
    ]
    assert inexact == []


def test_a_package_that_is_named_twice_has_one_version() -> None:
    versions: dict[str, set[str]] = defaultdict(set)
    for file in SHARED:
        for requirement in requirements(file):
            versions[canonicalize_name(requirement.name)].add(str(requirement.specifier))
    assert {name: pins for name, pins in versions.items() if len(pins) > 1} == {}


def test_whatever_a_package_brings_along_is_pinned() -> None:
    wanted = [requirement for file in SHARED[:-1] for requirement in requirements(file)]
    pinned = {name for file in SHARED for name in names(file)}
    assert brought_along(wanted) - pinned == set()


def test_the_audit_asks_about_every_file() -> None:
    recipe = (ROOT / "Makefile").read_text().split("\naudit:")[1].split("\n\n")[0]
    patterns = recipe.split("for file in ")[1].split(";")[0].replace("\\", "").split()
    assert {file for pattern in patterns for file in ROOT.glob(pattern)} == set(ALL)
