"""The line that tells how far an installation is, of a package of the test's own and without a network."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pexpect
import pytest

from local.stack import PROJECT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """What pip is asked for; it finds one wheel."""
    about = "tiny_thing-1.0.dist-info"
    files = {
        "tiny_thing.py": "",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"])
    with zipfile.ZipFile(tmp_path / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        for name, text in {**files, f"{about}/RECORD": record}.items():
            wheel.writestr(name, text)
    return ["--no-index", f"--find-links={tmp_path}", f"--target={tmp_path / 'installed'}"]


def command(arguments: list[str], package: str) -> list[str]:
    return [sys.executable, "local/install.py", *arguments, package]


def test_in_a_terminal_one_line_is_written_anew(tmp_path: Path, arguments: list[str]) -> None:
    program, *words = command(arguments, "tiny-thing")
    terminal = pexpect.spawn(program, words, cwd=str(PROJECT), dimensions=(24, 80), encoding="utf-8", timeout=60)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert isinstance(terminal.before, str)
    assert terminal.before.count("\n") == 1
    assert terminal.before.rpartition("\r\x1b[K")[2].endswith(" s  1 packages installed\r\n")
    assert (tmp_path / "installed/tiny_thing.py").is_file()


def test_in_a_log_it_ends_with_a_line(arguments: list[str]) -> None:
    done = subprocess.run(
        command(arguments, "tiny-thing"), cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert done.stdout.endswith(" s  1 packages installed\n")
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_a_failure_is_pips_own(arguments: list[str]) -> None:
    done = subprocess.run(
        command(arguments, "large-thing"), cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "No matching distribution found for large-thing" in done.stderr
