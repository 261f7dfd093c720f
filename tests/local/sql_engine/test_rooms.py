from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

_REDSHIFT = Path(__file__).parents[3] / "local" / "redshift"
# Each room, and what of `local` it may import; nothing else there.
_MAY_IMPORT = {
    "sql": ("local.redshift.sql",),
    "transfer": ("local.redshift.transfer", "local.redshift.sql"),
    "execution.py": ("local.redshift.transfer", "local.redshift.sql"),
    "api": ("local.redshift", "local.ministack_patches"),
}


def _imported(source: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize(("room", "allowed"), _MAY_IMPORT.items())
def test_a_room_imports_only_the_rooms_below_it(room: str, allowed: tuple[str, ...]) -> None:
    path = _REDSHIFT / room
    sources = [path] if path.is_file() else sorted(path.glob("*.py"))
    assert sources
    for source in sources:
        ours = {name for name in _imported(source) if name.startswith("local.")}
        assert not {name for name in ours if not f"{name}.".startswith(tuple(f"{a}." for a in allowed))}, source


def test_no_modules_import_each_other_in_a_circle() -> None:
    imports = {
        f"local.redshift.{source.parent.name}.{source.stem}": _imported(source)
        for source in _REDSHIFT.glob("*/*.py")
        if source.stem != "__init__"
    }
    graph = {
        module: {other for other in imports if any(f"{name}.".startswith(f"{other}.") for name in names)}
        for module, names in imports.items()
    }
    list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle
