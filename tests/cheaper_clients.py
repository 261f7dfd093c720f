"""botocore, at less than it costs: what never changes is kept, as most tests make clients.

Each session reads its services' models for itself, 70 ms for a client, and looks for the present names of hundreds of
events; each client reads its service's rules for endpoints and makes a method of each operation.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.client
import botocore.regions
import botocore.session
from botocore.hooks import EventAliaser

# Any: these are botocore's own affairs, for which its types have no place.
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


botocore.session.create_loader = cache(botocore.session.create_loader)
_regions.EndpointProvider = _endpoints_kept(_regions.EndpointProvider)
_creator._create_methods = _methods_kept(_creator._create_methods)
_aliaser._alias_event_name = _aliases_kept(_aliaser._alias_event_name)
