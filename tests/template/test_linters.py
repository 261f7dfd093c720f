"""What others know about templates: checkov, and cfn-lint, which is all that `sam validate --lint` asks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.template.stack import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

TOOLS = Path(sys.executable).parent
CHECKOV = ROOT / os.environ.get("CHECKOV_VENV", ".venv-checkov") / "bin" / "checkov"

VULNERABLE = """
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {AccessControl: PublicRead}
"""
INVALID = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties: {Handler: app.handler, Runtime: python3.13, InlineCode: pass, MemorySise: 128}
"""


def lint(template: Path) -> list[str | Path]:
    return [TOOLS / "cfn-lint", template]


def scan(template: Path) -> list[str | Path]:
    return [CHECKOV, "--config-file", ROOT / "tests/template/checkov.yaml", "--file", template]


COMMANDS = [lint, scan]


def complaints(command: list[str | Path], folder: Path) -> str:
    """What a command says if it does not succeed. It gets no credentials, and its settings go into the folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_checkov_is_installed() -> None:
    assert CHECKOV.is_file(), f"{CHECKOV} is missing: install tests/checkov-requirements.txt into .venv-checkov"


def test_what_checkov_is_not_asked_stands_there_with_its_reason_and_nothing_else_is_hidden() -> None:
    skipped = (ROOT / "tests/template/checkov.yaml").read_text().split("skip-check:\n")[1]
    reasons = re.split(r"(?<=\d)\n(?=  #)", skipped)
    assert [reason for reason in reasons if not re.match(r"(  # .{10,}\n)+(  - CKV\w+\n?)+$", reason)] == []
    template = (ROOT / "template.yaml").read_text()
    assert not re.search(r"checkov:skip|cfn-lint|cfn_nag", template)
    assert not [*ROOT.glob(".cfnlintrc*"), *ROOT.glob(".checkov*")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_the_template_passes(command: Callable[[Path], list[str | Path]], tmp_path: Path) -> None:
    assert complaints(command(ROOT / "template.yaml"), tmp_path) == ""


@pytest.mark.parametrize(
    ("command", "template", "complaint"),
    [(lint, INVALID, "MemorySise"), (scan, VULNERABLE, "CKV_AWS_20")],
    ids=["lint", "scan"],
)
def test_a_faulty_template_does_not_pass(
    command: Callable[[Path], list[str | Path]], template: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "template.yaml").write_text(template)
    assert complaint in complaints(command(tmp_path / "template.yaml"), tmp_path)
