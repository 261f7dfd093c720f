"""The floor: requests made and signed beforehand, sent by libcurl, whose answers nobody reads."""

from __future__ import annotations

from itertools import cycle, islice, pairwise
from typing import TYPE_CHECKING

import botocore.session
import pyarrow as pa
import pycurl

from benchmarks.datasets import rows_of
from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.mapping import ItemMapping
from dynamo_load.writing.signing import BatchWriteSigner
from target.table import KeyAttribute, TargetTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from benchmarks.task import Task

_ROWS_PER_REQUEST = 25
_READY_MADE_REQUESTS = 400
_LONGEST_WAIT_SECONDS = 1.0


def prepare(task: Task) -> Callable[[], int]:
    """Make a few hundred requests, which are then sent in turn until there were as many as the task has."""
    session = botocore.session.get_session()
    endpoint = session.create_client("dynamodb").meta.endpoint_url
    signer = BatchWriteSigner(session, endpoint_url=endpoint, region=session.get_config_variable("region"))
    requests = [(body, signer.headers(body)) for body in _bodies(task)]
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, task.in_flight)
    handles = [_handle(endpoint, session.get_config_variable("ca_bundle")) for _ in range(task.in_flight)]
    count = task.rows // _ROWS_PER_REQUEST

    def load() -> int:
        left = islice(cycle(requests), count)
        sent = sum(_start(multi, handle, left) for handle in handles)
        answered = 0
        while answered < sent:
            multi.perform()
            _, done, failed = multi.info_read()
            if failed:
                raise ConnectionError(f"libcurl says {failed[0][2]}")
            for handle in done:
                multi.remove_handle(handle)
                sent += _start(multi, handle, left)
            answered += len(done)
            if not done:
                multi.select(_LONGEST_WAIT_SECONDS)
        return answered * _ROWS_PER_REQUEST

    return load


def _start(multi: Any, handle: Any, requests: Any) -> int:
    request = next(requests, None)
    if request is None:
        return 0
    body, headers = request
    handle.setopt(pycurl.HTTPHEADER, headers)
    handle.setopt(pycurl.POSTFIELDS, body)
    multi.add_handle(handle)
    return 1


def _handle(endpoint: str, ca_bundle: str | None) -> Any:
    handle = pycurl.Curl()
    handle.setopt(pycurl.URL, endpoint)
    handle.setopt(pycurl.POST, 1)
    handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    handle.setopt(pycurl.CAINFO, ca_bundle)
    handle.setopt(pycurl.NOSIGNAL, 1)
    handle.setopt(pycurl.WRITEFUNCTION, len)
    return handle


def _bodies(task: Task) -> list[bytes]:
    rows = pa.Table.from_batches(rows_of(task, _ROWS_PER_REQUEST * _READY_MADE_REQUESTS))
    rows = rows.slice(0, _ROWS_PER_REQUEST * _READY_MADE_REQUESTS).combine_chunks().to_batches()[0]
    encoded = ItemEncoder(rows.schema, ItemMapping(TargetTable("sink", (KeyAttribute(task.key, "S"),)))).encode(rows)
    ends = encoded.offsets[::_ROWS_PER_REQUEST].tolist()
    return [
        b'{"RequestItems":{"sink":[%b]},"ReturnConsumedCapacity":"TOTAL"}' % bytes(encoded.text[begin : end - 1])
        for begin, end in pairwise(ends)
    ]
