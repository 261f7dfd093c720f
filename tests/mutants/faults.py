"""The planted faults: realistic mistakes in this application, each with the quick tests that should notice it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import yaml

ROOT = Path(__file__).resolve().parents[2]
LISTS = Path(__file__).resolve().parent


class InvalidFaultListError(Exception):
    """A list of faults is not written as docs/testing.md says."""


class StaleFaultError(Exception):
    """A fault can't be planted any more: its file, its place or its tests have changed since it was written."""


@dataclass(frozen=True)
class Fault:
    """One mistake: the words for it, the text it replaces in one file, and the tests that should fail with it.

    The text stands once in the file, or is meant where it stands first `after` another that does. `room` is the name of
    the list that the fault is from; `tests` are pytest's arguments.
    """

    room: str
    fault: str
    file: str
    find: str
    replace: str
    tests: tuple[str, ...]
    after: str = ""

    @classmethod
    def of(cls, room: str, entry: Any) -> Self:
        """Read one entry of a list. Raises `InvalidFaultListError`."""
        wanted = {field.name for field in fields(cls)} - {"room", "after"}
        if not isinstance(entry, dict) or set(entry) - {"after"} != wanted:
            raise InvalidFaultListError(f"{room}: an entry has {', '.join(sorted(wanted))}, and no more: {entry!r}")
        texts, tests = {name: text for name, text in entry.items() if name != "tests"}, entry["tests"]
        if not tests or not isinstance(tests, list) or not all(isinstance(x, str) for x in (*texts.values(), *tests)):
            raise InvalidFaultListError(f"{room}: tests is a list of texts, all else is text: {entry!r}")
        return cls(room, tests=tuple(tests), **texts)

    def planted(self, root: Path) -> str:
        """Give the text of the file with the fault in it. Raises `StaleFaultError`."""
        file = root / self.file
        if not file.is_file():
            raise StaleFaultError(f"{self.file} is not there")
        text = file.read_text()
        once = self.after or self.find
        if (found := text.count(once)) != 1:
            raise StaleFaultError(f"{self.file} has {once!r} {found} times, not once")
        begin = text.find(self.find, text.find(self.after))
        if begin < 0:
            raise StaleFaultError(f"{self.file} has {self.find!r} nowhere after {self.after!r}")
        for test in self.tests:
            if not _is_there(root, test):
                raise StaleFaultError(f"{test} is not there")
        planted = text[:begin] + self.replace + text[begin + len(self.find) :]
        if planted == text:
            raise StaleFaultError(f"{self.replace!r} changes nothing")
        if file.suffix == ".py":
            _parse(planted)
        return planted


def _is_there(root: Path, test: str) -> bool:
    path, *names = test.partition("[")[0].split("::")
    if not names:
        return (root / path).exists()
    text = (root / path).read_text() if (root / path).is_file() else ""
    return all(re.search(rf"^ *(def|class) {name}\b", text, re.MULTILINE) for name in names)


def _parse(source: str) -> None:
    try:
        ast.parse(source)
    except SyntaxError as error:
        raise StaleFaultError(f"with it the file is no Python: {error}") from error


def read_faults(folder: Path = LISTS) -> list[Fault]:
    """Read every list in a folder. Raises `InvalidFaultListError`."""
    return [
        Fault.of(file.stem, entry)
        for file in sorted(folder.glob("*.yaml"))
        for entry in yaml.load(file.read_text(), yaml.CSafeLoader) or []
    ]
