"""What stays together when the tests run in several processes (pytest-xdist), what begins, and what they share."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

import tests.cheaper_clients  # noqa: F401 - for what it changes in botocore

if TYPE_CHECKING:
    import pytest

STACK = Path("tests/integration")
"""The folder whose own files, not those of folders in it, use the deployed stack."""


class ByFileOrStack(LoadScopeScheduling):  # type: ignore[misc]
    """Keeps each file in one process, and all files that use the deployed stack in another: it is deployed once."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        return str(file.parent if file.parent == STACK else file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFileOrStack:
    """Let pytest-xdist schedule so."""
    return ByFileOrStack(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, the tests of the deployed stack."""
    items.sort(key=lambda item: Path(item.nodeid.partition("::")[0]).parent != STACK)


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and not among all that is imported by now, which takes an eighth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
