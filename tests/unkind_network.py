"""A network between Lambda functions and the local AWS on which requests and answers get lost, as chance has it."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVICE = re.compile(rb"Credential=[^/]+/\d+/[^/]+/([^/]+)/", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:[^\r]*", re.IGNORECASE)
_HEAD_BYTES = 64 * 1024


class UnkindNetwork:
    """Context manager: a proxy on 127.0.0.1, in a thread of its own, in front of `endpoint_url`.

    A share of the requests, drawn by `seed` for each, meets each of the faults, and while a service is out all that it
    is asked. `met` counts what has happened.
    """

    def __init__(self, endpoint_url: str, *, share: float, seed: int) -> None:
        upstream = urlsplit(endpoint_url)
        self._upstream = upstream.hostname or "", upstream.port or 80
        self._share, self._chance = share, random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._out: dict[str, str] = {}
        self.met: Counter[str] = Counter()
        self.requests = 0
        self.endpoint_url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_BYTES)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        self.endpoint_url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def become_kind(self) -> None:
        """From now on nothing goes wrong."""
        self._share = 0.0
        self._out.clear()

    @property
    def outages(self) -> int:
        """How many services are out."""
        return len(self._out)

    def take_out(self, service: str, fault: str, seconds: float) -> None:
        """Let a service, by the name that requests are signed for, answer nothing but a fault for so long."""
        self._out[service] = fault
        self._loop.call_soon_threadsafe(lambda: self._loop.call_later(seconds, self._out.pop, service, None))
        self.met[f"outage of {service}"] += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._pass_on(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            # Whoever asked is gone: a function that was killed.
            pass
        finally:
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one request on and its answer back: each connection is for one."""
        head = await reader.readuntil(b"\r\n\r\n")
        if b"100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.requests += 1
        fault = self._out.get(_service(head).decode()) or self._drawn()
        if fault:
            self.met[fault] += 1
        if fault and fault in _ANSWERS:
            writer.write(_ANSWERS[fault](head))
        elif fault != "request lost":
            answer = await self._asked(_CONNECTION.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n" + body)
            writer.write(answer if fault != "answer lost" else b"")
        await writer.drain()

    def _drawn(self) -> str | None:
        number = int(self._chance.random() / self._share) if self._share else len(_FAULTS)
        return _FAULTS[number] if number < len(_FAULTS) else None

    async def _asked(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self._upstream)
        try:
            writer.write(request)
            return await reader.read(-1)
        finally:
            writer.close()


def _service(head: bytes) -> bytes:
    found = _SERVICE.search(head)
    return found[1] if found else b""


def _busy(head: bytes) -> bytes:
    if _service(head) == b"s3":
        return _answer(503, b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>")
    return _answer(400, json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode())


def _broken(head: bytes) -> bytes:
    if _service(head) == b"s3":
        return _answer(500, b"<Error><Code>InternalError</Code><Message>Try again.</Message></Error>")
    return _answer(500, json.dumps({"__type": "InternalServerError", "message": "Try again"}).encode())


def _answer(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)


_ANSWERS: dict[str, Callable[[bytes], bytes]] = {"throttled": _busy, "internal error": _broken}
ANSWERED = tuple(_ANSWERS)
"""The faults that a service answers with."""
_FAULTS = ("request lost", "answer lost", "throttled", "internal error")
