"""What docs/operating.md says of an error: its section, `### ErrorName`, as text for a terminal."""

from __future__ import annotations

import re
from pathlib import Path

RUNBOOK = Path(__file__).resolve().parents[2] / "docs/operating.md"
_HEADING = re.compile(r"^(#{1,3}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")
# Lines of these are not joined to paragraphs.
_ON_ITS_OWN = ("- ", "* ", "|", "    ", "```", "1. ")


def advice(error: str, runbook: Path = RUNBOOK) -> str | None:
    """The section of an error, a line for each paragraph; None if it has none."""
    text = runbook.read_text(encoding="utf-8")
    headings = list(_HEADING.finditer(text))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading[2].strip() == error:
            return _plain(text[heading.end() : following.start() if following else len(text)])
    return None


def _plain(markdown: str) -> str:
    paragraphs: list[str] = []
    for paragraph in markdown.strip().split("\n\n"):
        lines = paragraph.splitlines()
        keeps_lines = any(line.startswith(_ON_ITS_OWN) for line in lines)
        paragraphs.append("\n".join(lines) if keeps_lines else " ".join(line.strip() for line in lines))
    return _LINK.sub(r"\1", "\n".join(paragraphs)).replace("**", "").replace("`", "")
