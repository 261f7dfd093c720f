"""What stays together when the tests run in several processes (pytest-xdist), what begins, and what they share."""

from __future__ import annotations

import gc
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.client
import botocore.regions
import botocore.session
from botocore.hooks import EventAliaser
from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest

# Each session of botocore's reads its services' models for itself, 70 ms for a client, and most tests make clients.
botocore.session.create_loader = cache(botocore.session.create_loader)

# Each client reads its service's rules for endpoints and makes a method of each operation, and each session looks for
# the present names of hundreds of events: half of what they cost.
_regions: Any = botocore.regions
_creator: Any = botocore.client.ClientCreator
_aliaser: Any = EventAliaser


def _endpoints_kept(make: Any) -> Any:
    kept: dict[tuple[int, int], tuple[Any, Any, Any]] = {}

    def made(ruleset_data: Any, partition_data: Any, **options: Any) -> Any:
        key = id(ruleset_data), id(partition_data)
        if key not in kept:
            # With what it was made of, as another object could have that one's id otherwise.
            kept[key] = ruleset_data, partition_data, make(ruleset_data, partition_data, **options)
        return kept[key][2]

    return made


def _methods_kept(make: Any) -> Any:
    kept: dict[tuple[str, str], dict[str, Any]] = {}

    def made(creator: Any, service_model: Any) -> dict[str, Any]:
        key = service_model.service_name, service_model.api_version
        if key not in kept:
            kept[key] = make(creator, service_model)
        return dict(kept[key])

    return made


def _aliases_kept(find: Any) -> Any:
    kept: dict[str, str] = {}

    def found(emitter: Any, event_name: str) -> str:
        if event_name not in kept:
            kept[event_name] = find(emitter, event_name)
        return kept[event_name]

    return found


_regions.EndpointProvider = _endpoints_kept(_regions.EndpointProvider)
_creator._create_methods = _methods_kept(_creator._create_methods)
_aliaser._alias_event_name = _aliases_kept(_aliaser._alias_event_name)

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
