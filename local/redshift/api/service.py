"""Puts the Redshift Data API into MiniStack, as one more of its services.

MiniStack routes the requests, checks their signatures and evaluates the callers' IAM policies, with the cluster's or
workgroup's ARN as the resource. This module tells it how to recognise the service, and hands each request on.
"""

from __future__ import annotations

import json
import logging
import os
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import boto3
from ministack import app
from ministack.core import iam_actions, responses, router
from ministack.core.concurrency import run_reentrant

from local.ministack_patches import MINISTACK_VERSION, UnsupportedMiniStackError
from local.redshift.api import authorization, events, protocol, target
from local.redshift.api.errors import DataApiError
from local.redshift.api.operations import Operations
from local.redshift.api.quotas import Quotas
from local.redshift.api.store import ACTIVE_STATEMENTS, CONCURRENT_STATEMENTS, StatementStore
from local.redshift.transfer.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.redshift.sql.engine import Engine

_log = logging.getLogger(__name__)
_TARGET_PREFIX = "RedshiftData."
_CONTENT_TYPE = "application/x-amz-json-1.1"
_running: list[_Service] = []


class EnforcementOffError(Exception):
    """MiniStack runs without AUTH=true, so that nothing would check who may run what."""


def register(engine: Engine, endpoint_url: str, *, with_quotas: bool = False) -> None:
    """Add the Data API to the MiniStack of this process, before it serves its first request.

    `endpoint_url` is where MiniStack will listen: UNLOAD and COPY reach S3 there. `with_quotas` it throttles whoever
    calls it more often than AWS allows.

    Raises `UnsupportedMiniStackError` if the installed MiniStack isn't the version whose private functions are used
    here, and `EnforcementOffError` if MiniStack was not told to enforce IAM.
    """
    if version("ministack") != MINISTACK_VERSION:
        raise UnsupportedMiniStackError(
            f"the local Redshift Data API needs MiniStack {MINISTACK_VERSION}, not {version('ministack')}"
        )
    if not app.AUTH:
        raise EnforcementOffError("the local Redshift Data API needs MiniStack with AUTH=true in its environment")
    service = _Service(engine, endpoint_url, Quotas() if with_quotas else None)
    router.SERVICE_PATTERNS[protocol.SERVICE] = {
        "target_prefixes": [_TARGET_PREFIX],
        "host_patterns": [r"redshift-data\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE[protocol.SERVICE] = protocol.SERVICE
    iam_actions.extract_resource_arn = _with_redshift(iam_actions.extract_resource_arn)
    app.SERVICE_HANDLERS[protocol.SERVICE] = service.handle
    _running.append(service)


def shutdown() -> None:
    """Cancel the statements that run and forget those that wait. Call it before the engine is stopped."""
    while _running:
        _running.pop().store.close()


class _Service:
    def __init__(self, engine: Engine, endpoint_url: str, quotas: Quotas | None) -> None:
        # The cluster's own credentials: those of the emulator's root user.
        session = boto3.Session(
            os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], region_name=target.REGION
        )
        role = f"arn:aws:iam::{responses.get_account_id()}:role/{target.DEFAULT_ROLE}"
        storage = Storage(session, endpoint_url, role)
        # Who asks for quotas asks for many statements at once: the quota of active ones is to be the only limit.
        concurrent = ACTIVE_STATEMENTS if quotas else CONCURRENT_STATEMENTS
        self.store = StatementStore(engine, storage, events.publish, concurrent=concurrent)
        self._operations = Operations(engine, storage, self.store, quotas)

    async def handle(
        self, _method: str, _path: str, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        """Answer one request; MiniStack calls its services in this way."""
        # A thread of its own: database calls block, and whoever waits for an UNLOAD waits for this server's S3.
        return await run_reentrant(self._answer, headers, body, query)  # type: ignore[no-any-return]

    def _answer(
        self, headers: Mapping[str, str], body: bytes, query: Mapping[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        operation = _operation(headers)
        caller = authorization.caller_of(headers, query)
        try:
            response = self._operations.run(operation, body, caller)
        except DataApiError as error:
            return _error_answer(error)
        except Exception as error:  # noqa: BLE001 - the caller is told; the log must not hold SQL text
            _log.error("%s failed: %s", operation, type(error).__name__)
            return _error_answer(DataApiError(f"{type(error).__name__}: {error}"))
        return 200, {"Content-Type": _CONTENT_TYPE}, json.dumps(response).encode()


def _error_answer(error: DataApiError) -> tuple[int, dict[str, str], bytes]:
    body = {"__type": error.code, "Message": str(error), **error.members}
    headers = {"Content-Type": _CONTENT_TYPE, "x-amzn-errortype": error.code}
    return error.status, headers, json.dumps(body).encode()


def _operation(headers: Mapping[str, str]) -> str:
    return headers.get("x-amz-target", "").removeprefix(_TARGET_PREFIX)


def _with_redshift(extract_resource_arn: Any) -> Any:
    """MiniStack's own function for the resource that a request's policy check is about, with one more service."""

    def extract(
        service: str, method: str, path: str, headers: Mapping[str, str],
        body: bytes, query: Mapping[str, Any], region: str, account: str,
    ) -> str:  # fmt: skip
        if service != protocol.SERVICE:
            return str(extract_resource_arn(service, method, path, headers, body, query, region, account))
        try:
            request = json.loads(body)
        except ValueError:
            return "*"
        return target.resource_arn(_operation(headers), request, region, account)

    return extract
