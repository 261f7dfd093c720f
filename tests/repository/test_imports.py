"""Who may import whom: the contracts in pyproject.toml, and the modules beside the packages of functions/."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
# What botocore's documentation describes (its reference, and that of its configuration and errors), and types of it.
PUBLIC_BOTOCORE = {f"botocore.{name}" for name in ("client", "config", "credentials", "exceptions", "session")}


def test_every_import_goes_in_the_direction_that_the_contracts_say() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["functions", "."])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contracts_are_about_every_package_of_the_functions() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    packages = {folder.name for folder in FUNCTIONS.iterdir() if any(folder.glob("*.py"))}
    deployed, _, directions, *_ = settings["contracts"]
    assert packages <= set(settings["root_packages"])
    assert packages == set(deployed["source_modules"])
    assert packages == set(" | ".join(directions["layers"]).split(" | "))


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("module", sorted(FUNCTIONS.glob("*.py")), ids=lambda module: module.stem)
def test_a_module_that_all_functions_share_knows_none_of_them(module: Path) -> None:
    # import-linter looks at packages alone.
    packages = {folder.name for folder in FUNCTIONS.iterdir() if any(folder.glob("*.py"))}
    roots = {name.partition(".")[0] for name in imported(module)}
    assert roots & (packages | {"local", "benchmarks", "tests"}) == set()


def test_what_is_not_public_in_botocore_is_used_in_one_place() -> None:
    users = {
        str(module.relative_to(FUNCTIONS))
        for module in FUNCTIONS.rglob("*.py")
        if {name for name in imported(module) if name.startswith("botocore")} - PUBLIC_BOTOCORE
    }
    assert users == {"dynamo_load/writing/botocore_internals.py"}
