"""docs/operating.md, the runbook, has an entry for every error that somebody may be shown, and for every metric."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import yaml

from tests.template.stack import mappings
from tests.template.state_machine_checks import error_classes

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"
PAGE = (ROOT / "docs/operating.md").read_text()
SECTIONS = dict(re.findall(r"^### (\S+)\n\n(.*?)(?=\n#{1,3} |\Z)", PAGE, re.MULTILINE | re.DOTALL))

# What Step Functions fails states of these machines with though no file here names it (Step Functions developer guide,
# "Handling errors in Step Functions workflows", of the kinds of states and the query language that they use).
UNNAMED = {
    "States.ItemReaderFailed",
    "States.Permissions",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
}


def of_the_functions() -> set[str]:
    """Every class of an errors.py but those that only group others."""
    classes = error_classes(FUNCTIONS)
    return set(classes) - {base for bases in classes.values() for base in bases}


def of_the_machines() -> set[str]:
    """Every error that a state catches, retries or ends with; nobody is shown why a mail could not be sent."""
    names: set[str] = set()
    for file in (ROOT / "statemachine").glob("*.asl.yaml"):
        for state in mappings(yaml.load(file.read_text(), yaml.CSafeLoader)):
            if str(state.get("Resource", "")).endswith(":sns:publish"):
                continue
            rules = [*state.get("Retry", []), *state.get("Catch", [])]
            names |= {name for rule in rules for name in rule["ErrorEquals"]}
            names |= {state["Error"]} if state.get("Type") == "Fail" and "Error" in state else set()
    return names - {"States.ALL"}


def metrics_emitted() -> set[str]:
    """The names that are given to `add_metric`, and the texts of the dictionaries beside it that it takes them from."""
    names: set[str] = set()
    for file in FUNCTIONS.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(file.read_text())))
        calls = [node for node in nodes if isinstance(node, ast.Call) and "add_metric" in ast.unparse(node.func)]
        texts = [call.args[0] for call in calls]
        if calls:
            texts += [value for node in nodes if isinstance(node, ast.Dict) for value in node.values]
        names |= {text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)}
    return names


def test_every_error_has_a_section_and_every_section_an_error() -> None:
    assert of_the_functions() | of_the_machines() | UNNAMED == set(SECTIONS)


def test_sections_stand_in_the_order_in_which_one_looks_for_a_name() -> None:
    assert re.findall("^### (.*)", PAGE, re.MULTILINE) == sorted(SECTIONS)


def test_a_section_says_what_the_error_means_where_to_look_and_what_to_do() -> None:
    form = re.compile(r"[^*].+\n\n\*\*Look:\*\* .+\n\n\*\*Do:\*\* .+\n", re.DOTALL)
    assert [error for error, text in SECTIONS.items() if not form.fullmatch(text)] == []


def test_every_metric_is_explained() -> None:
    table = PAGE.partition("## Metrics")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", "\n".join(line.split("|")[1] for line in table.splitlines() if "| `" in line)))
    assert named == metrics_emitted()
