"""No circles within the rooms of local/redshift; between rooms, import-linter's contracts allow none."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

_REDSHIFT = Path(__file__).parents[3] / "local" / "redshift"


def _imported(source: Path) -> set[str]:
    """The names that a module imports, also those for type checkers alone."""
    nodes = ast.walk(ast.parse(source.read_text(encoding="utf-8")))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{alias.name}" for node in imports for alias in node.names}


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
