"""What was called in the name of each role, and delivered by each rule: kept while the local AWS runs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

Value = str | tuple[str, ...]


@dataclass(frozen=True)
class RoleCall:
    """An action on a resource in the name of `principal`: a role's name, or `rule:` and the ARN of a rule.

    `context` holds those keys of the request that the principal's policies have conditions on.
    """

    principal: str
    action: str
    resource: str
    context: tuple[tuple[str, Value], ...] = ()


class Notebook:
    """A file of calls, each of which stands in it once."""

    def __init__(self, file: Path) -> None:
        self._noted: set[RoleCall] = set()
        self._file = file.open("a", encoding="utf-8")

    def note(self, call: RoleCall) -> None:
        """Add a call, unless it is there."""
        if call not in self._noted:
            self._noted.add(call)
            self._file.write(json.dumps(asdict(call)) + "\n")
            self._file.flush()


def read(file: Path) -> list[RoleCall]:
    """The calls that were noted in a file."""
    found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [
        RoleCall(**call | {"context": tuple((key, hashable(value)) for key, value in call["context"])})
        for call in found
    ]


def hashable(value: object) -> Value:
    """A value of a request's key, which may have several."""
    return tuple(map(str, value)) if isinstance(value, list | tuple | set) else str(value)
