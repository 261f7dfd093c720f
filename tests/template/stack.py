"""The template as data: what the checks of this folder look at, and what their broken samples are made of."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from samcli.lib.translate.sam_template_validator import SamTemplateValidator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]

# Read once, as are whole templates: nothing changes what it is given to look at.
_read = cache(partial(yaml.load, Loader=yaml.CSafeLoader))


@dataclass(frozen=True)
class Stack:
    """A parsed template, its text (for what YAML drops, the comments), and the folder its paths start from."""

    template: dict[str, Any]
    text: str
    folder: Path = ROOT

    @classmethod
    @cache
    def parse(cls, text: str) -> Stack:
        return cls(yaml_parse(text), text)

    @classmethod
    @cache
    def load(cls) -> Stack:
        return cls.parse((ROOT / "template.yaml").read_text())

    def transformed(self) -> Stack:
        """What CloudFormation makes its resources of: the template after SAM's transform."""
        sam = SamTemplateValidator(deepcopy(self.template), managed_policy_loader=None, region="us-east-1")
        text = sam.get_translated_template_if_valid()
        # In long form, which any YAML parser reads, and libyaml ten times as fast.
        return Stack(_read(text), text)

    def section(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.template.get(name, {})
        return found

    def resources(self, *types: str) -> dict[str, dict[str, Any]]:
        """Properties by logical id, of the resources of these types."""
        resources = self.section("Resources").items()
        return {name: resource.get("Properties", {}) for name, resource in resources if resource["Type"] in types}


@dataclass(frozen=True)
class Machine:
    """A state machine's definition file, and what the template puts in for its ${Names}."""

    name: str
    text: str
    substitutions: dict[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        definition: dict[str, Any] = _read(self.text)
        return definition

    def filled(self, value: Any) -> Any:
        """What the template puts in for a value that is one ${Name}; any other value as it is."""
        name = re.fullmatch(r"\$\{(\w+)\}", str(value))
        return self.substitutions[name[1]] if name else value

    def scopes(self) -> Iterator[dict[str, Any]]:
        """The definition and each definition nested in a Map or Parallel: whatever has StartAt and States."""
        return _scopes(self.definition)

    def states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All states of all scopes."""
        return (state for scope in self.scopes() for state in scope["States"].items())


def machines(stack: Stack) -> list[Machine]:
    """The template's state machines."""
    return [
        Machine(
            name,
            (stack.folder / properties["DefinitionUri"]).read_text(),
            properties.get("DefinitionSubstitutions", {}),
        )
        for name, properties in stack.resources("AWS::Serverless::StateMachine").items()
    ]


def leaves(node: Any) -> Iterator[Any]:
    """The scalars in nested lists and mappings."""
    if isinstance(node, dict):
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from leaves(child)
    else:
        yield node


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """The mapping itself and all those within."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from mappings(child)


def as_list(value: Any) -> list[Any]:
    """What may be written as one value or as a list of them, as a list."""
    return value if isinstance(value, list) else [value]


def target_id(reference: Any) -> str | None:
    """The logical id that a !Ref or !GetAtt names."""
    match reference:
        case {"Ref": str(name)}:
            return name
        case {"Fn::GetAtt": [str(name), *_]}:
            return name
        case {"Fn::GetAtt": str(name)}:
            return name.split(".")[0]
    return None


def _scopes(scope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield scope
    for state in scope["States"].values():
        nested = [state[key] for key in ("ItemProcessor", "Iterator") if key in state] + state.get("Branches", [])
        for inner in nested:
            yield from _scopes(inner)
