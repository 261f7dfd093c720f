"""moto's services over HTTP, for clients that need a network: in threads of this process, with connections kept.

moto's own server costs three times as much a request: it ends each connection, and finds out each time what services
there are.
"""

from __future__ import annotations

import re
import socketserver
from contextlib import contextmanager, suppress
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from moto.core.models import botocore_stubber

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/")
"""Region and service in a signature of AWS's."""


class _Connection(socketserver.StreamRequestHandler):
    """Answers a client's requests one after the other, until it closes the connection."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        # A client that has broken off wants no answer.
        with suppress(ConnectionError):
            self._answer_all()

    def _answer_all(self) -> None:
        while (line := self.rfile.readline()).strip():
            method, target, _ = line.decode("latin-1").split()
            headers = HeadersDict(self._headers())
            if headers.get("Expect", "").lower() == "100-continue":
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(headers.get("Content-Length", 0)))
            self.wfile.write(_answer(method, target, headers, body))

    def _headers(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            yield name, value.strip()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


def _answer(method: str, target: str, headers: Any, body: bytes) -> bytes:
    region, service = _SCOPE.search(headers["Authorization"]).groups()  # type: ignore[union-attr]
    url = f"https://{service}.{region}.amazonaws.com{target}"
    answer = botocore_stubber.process_request(AWSPreparedRequest(method, url, headers, body, False))
    assert answer is not None
    status, answered, content = answer
    content = content.encode() if isinstance(content, str) else content
    lengths = {} if method == "HEAD" else {"Content-Length": len(content)}
    kept = {name: value for name, value in dict(answered).items() if name.title() not in lengths}
    head = "".join(f"{name}: {value}\r\n" for name, value in (kept | lengths).items())
    return f"HTTP/1.1 {status} {HTTPStatus(int(status)).phrase}\r\n{head}\r\n".encode() + content


@contextmanager
def moto_over_http() -> Iterator[str]:
    """Serve moto's S3, DynamoDB and so on at the URL that is given, on a free port of this machine alone."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
