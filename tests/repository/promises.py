"""The promises of this repository with the tests that keep them: promises.yaml, docs/reliability.md, docs/promises.md.

`python -m tests.repository.promises` writes the page.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/promises.md"
LIST = Path(__file__).with_name("promises.yaml")
MATRIX = ROOT / "docs/reliability.md"

_TEST = re.compile(r"`(tests/[\w/]+(?:\.py(?:::\w+)*|/))`")


class Promises:
    """What is promised, each with the ids of its tests, as pytest takes them.

    `sentences` stand word for word on the page that they are listed under, `names` are those that users of the two
    documents know that this is built from, `errors` those of the runbook, `matrix` the rows of reliability.md's tables
    that end with a column of tests.
    """

    def __init__(self, listed: dict[str, Any], matrix: str) -> None:
        self.sentences: dict[str, dict[str, list[str]]] = listed["sentences"]
        self.names: dict[str, list[str]] = listed["names"]
        self.errors: dict[str, list[str]] = listed["errors"]
        self.matrix = dict(_rows(matrix))

    @classmethod
    def read(cls) -> Promises:
        """Read them from the repository."""
        return cls(yaml.load(LIST.read_text(), yaml.CSafeLoader), MATRIX.read_text())

    def all(self) -> dict[str, list[str]]:
        """Every promise with its tests."""
        sentences = {text: tests for page in self.sentences.values() for text, tests in page.items()}
        return {**sentences, **self.names, **self.errors, **self.matrix}

    def page(self) -> str:
        """The text of docs/promises.md."""
        parts = [
            "# Promises",
            "What this repository promises, and the tests that keep it. A promise without a test fails the build.",
            "`python -m tests.repository.promises` writes this page from its list, `promises.yaml`: don't edit it.",
        ]
        for page, sentences in self.sentences.items():
            parts += [f"## {page}", _table(sentences, quoted=False)]
        parts += [
            "## Names",
            "Of the two documents that this is built from; whoever knows them finds these here.",
            _table(self.names, quoted=True),
            "## Errors",
            "Each with a test in which it comes up; [operating.md](operating.md) says what to do.",
            _table(self.errors, quoted=True),
            "## What can go wrong",
            "The rows of [reliability.md](reliability.md).",
            _table(self.matrix, quoted=False),
        ]
        return "\n\n".join(parts) + "\n"


@cache
def declared_in(path: str) -> dict[str, str]:
    """The tests and test classes of a file by their ids, each with its source and that of the constants it uses."""
    tree = ast.parse((ROOT / path).read_text())
    constants = {
        name.id: ast.unparse(node)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for name in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(name, ast.Name)
    }
    found = {path: ""}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.lower().startswith("test"):
                test = f"{prefix}::{node.name}"
                used = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
                found[test] = "\n".join([ast.unparse(node), *(constants[name] for name in used & set(constants))])
                if isinstance(node, ast.ClassDef):
                    visit(node.body, test)

    visit(tree.body, path)
    return found


def is_there(test: str) -> bool:
    """Whether there is such a test, class of tests, file or folder of tests."""
    path = ROOT / test.partition("::")[0]
    return path.is_dir() if test.endswith("/") else path.is_file() and test in declared_in(test.partition("::")[0])


def _rows(markdown: str) -> list[tuple[str, list[str]]]:
    """The first cells and the tests of the rows of all tables whose last column is headed "test" or "tests"."""
    found, is_of_tests, before = [], False, ""
    for line in markdown.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if re.fullmatch(r"\|[-:| ]+\|", line):
            is_of_tests = before.lower() in {"test", "tests"}
        elif cells and is_of_tests:
            found.append((cells[0], _TEST.findall(cells[-1])))
        elif not cells:
            is_of_tests = False
        before = cells[-1] if cells else ""
    return found


def _table(promises: dict[str, list[str]], *, quoted: bool) -> str:
    rows = ["| promise | tests |", "|---|---|"]
    for promise, tests in promises.items():
        text = f"`{promise}`" if quoted else promise.replace("|", "\\|") if "\\|" not in promise else promise
        rows.append(f"| {text} | {'; '.join(f'`{test}`' for test in tests)} |")
    return "\n".join(rows)


if __name__ == "__main__":
    PAGE.write_text(Promises.read().page())
