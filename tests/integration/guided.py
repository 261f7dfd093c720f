"""`sam deploy --guided` in a pseudo-terminal: its questions, and a person who answers a few of them."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pexpect

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local.stack import LocalAws

SECONDS = 300

# A question ends with its default, "[amazon_reviews]: ", in the colours of a terminal.
_QUESTION = re.compile(r"(?:\x1b\[0m|\x1b\[1m|[\t\n])([A-Z][^\r\n\x1b\[]*?)(?:\x1b\[0m)? \[([^\r\n]*)\]: ")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Dialogue:
    """What was asked, in this order, each question with its default; what was printed; and how it ended."""

    asked: dict[str, str]
    printed: str
    exit_code: int

    @property
    def parameters(self) -> dict[str, str]:
        """The defaults of the parameters that were asked for."""
        prefix = "Parameter "
        return {name.removeprefix(prefix): value for name, value in self.asked.items() if name.startswith(prefix)}


def deploy_guided(aws: LocalAws, template: Path, folder: Path, answers: Mapping[str, str], *more: str) -> Dialogue:
    """Run `sam deploy --guided`, answer the questions that are named, and press Enter at all others.

    A parameter's question is named by the parameter. `more` are further options; what sam keeps, it keeps in `folder`.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment |= aws.environment | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.2",
        "TERM": "xterm",
    }
    kept = folder / "samconfig.toml"
    kept.write_text("version = 0.1\n")
    words = ["-m", "samcli", "deploy", "--guided", "--template-file", str(template), "--config-file", str(kept), *more]
    terminal: Any = pexpect.spawn(
        sys.executable, words, cwd=str(folder), env=environment, encoding="utf-8", timeout=SECONDS,
        # Wide enough that no question is broken into lines.
        dimensions=(50, 500),
    )  # fmt: skip
    asked: dict[str, str] = {}
    printed = ""
    while terminal.expect([_QUESTION, pexpect.EOF]) == 0:
        printed += terminal.before
        question, default = terminal.match.group(1), terminal.match.group(2)
        asked[question] = default
        terminal.sendline(answers.get(question.removeprefix("Parameter "), ""))
    printed += terminal.before
    terminal.close()
    return Dialogue(asked, _COLOURS.sub("", printed), terminal.exitstatus)
