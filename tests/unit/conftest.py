"""moto, at less than it costs: what it finds out anew at each call, though it never changes, is kept."""

from __future__ import annotations

from functools import cache
from typing import Any

import botocore.useragent
import moto.core.responses
import moto.dynamodb.parsing.ast_nodes
from moto.core.base_backend import BaseBackend
from moto.s3.models import S3Backend

_agent: Any = botocore.useragent
_responses: Any = moto.core.responses
_nodes: Any = moto.dynamodb.parsing.ast_nodes
_backend: Any = BaseBackend
_s3: Any = S3Backend


def _by_class(read: Any) -> Any:
    """What an object says of itself, asked of the first object of a class only."""
    known: dict[type, Any] = {}

    def say(of: Any) -> Any:
        if type(of) not in known:
            known[type(of)] = read(of)
        return known[type(of)]

    return say


_agent.sanitize_user_agent_string_component = cache(_agent.sanitize_user_agent_string_component)
_responses.method_names_from_class = cache(_responses.method_names_from_class)
_nodes.DepthFirstTraverser.nodes_to_be_processed = _by_class(_nodes.DepthFirstTraverser.nodes_to_be_processed)
_s3._url_module = property(_by_class(_s3._url_module.fget))
_backend.urls = property(_by_class(_backend.urls.fget))
