"""The sink's process: connections, TLS, HTTP and latency, in one thread over epoll.

Started by `DynamoDbSink` with the behaviour as JSON and the path of the certificate (empty without TLS); prints its
port and serves until its standard input ends.
"""

from __future__ import annotations

import heapq
import json
import re
import select
import socket
import ssl
import struct
import sys
import time
from itertools import count
from typing import TYPE_CHECKING

from local.dynamodb_sink import SinkBehaviour
from local.dynamodb_sink.table import Reply, Table

if TYPE_CHECKING:
    from typing import TextIO

_READ_BYTES = 65_536
_PART_BYTES = 40
_PART_SECONDS = 0.0005
_CONTENT_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
# With a linger time of 0, closing a socket sends a reset.
_RESET = struct.pack("ii", 1, 0)


class Connection:
    """One client: what of a request has arrived, and what of answers could not leave yet."""

    def __init__(self, client: socket.socket) -> None:
        self.socket = client
        self.descriptor = client.fileno()
        self.arrived = bytearray()
        self.leaving = b""
        self.body_begin = 0
        self.body_end = 0

    @property
    def closed(self) -> bool:
        """Whether this connection has ended; another one may have its descriptor by now."""
        return self.socket.fileno() < 0

    def next_request(self) -> tuple[bytes, bytes] | None:
        """Head and body of the next request, as soon as all of it has arrived."""
        if not self.body_begin:
            head_end = self.arrived.find(b"\r\n\r\n")
            if head_end < 0:
                return None
            length = _CONTENT_LENGTH.search(self.arrived, 0, head_end + 2)
            self.body_begin = head_end + 4
            self.body_end = self.body_begin + (int(length[1]) if length else 0)
        if len(self.arrived) < self.body_end:
            return None
        head, body = bytes(self.arrived[: self.body_begin]), bytes(self.arrived[self.body_begin : self.body_end])
        del self.arrived[: self.body_end]
        self.body_begin = 0
        return head, body


class Server:
    """Reads requests, has them answered at once, and sends each answer when its latency is over."""

    def __init__(self, behaviour: SinkBehaviour, certificate: str) -> None:
        self._behaviour = behaviour
        self._table = Table(behaviour)
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._epoll = select.epoll()
        self._connections: dict[int, Connection] = {}
        self._replies: list[tuple[float, int, Connection, Reply]] = []
        self._numbers = count()
        self._free_at = [0.0] * (behaviour.parallel or 0)

    @property
    def port(self) -> int:
        """The port that the sink listens at."""
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self, until_closed: TextIO) -> None:
        """Serve until `until_closed` ends."""
        listener, end = self._listener.fileno(), until_closed.fileno()
        self._epoll.register(listener, select.EPOLLIN)
        self._epoll.register(end, select.EPOLLIN | select.EPOLLHUP)
        while True:
            wait = max(0.0, self._replies[0][0] - time.monotonic()) if self._replies else -1
            for descriptor, event in self._epoll.poll(wait):
                if descriptor == end:
                    return
                if descriptor == listener:
                    self._accept()
                elif event & select.EPOLLOUT:
                    self._send(self._connections[descriptor], b"")
                else:
                    self._receive(self._connections[descriptor])
            now = time.monotonic()
            while self._replies and self._replies[0][0] <= now:
                _, _, connection, reply = heapq.heappop(self._replies)
                self._reply(connection, reply)

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.setblocking(False)
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        except OSError:
            # The client has given up before it was served.
            client.close()
            return
        connection = Connection(client)
        self._connections[connection.descriptor] = connection
        self._epoll.register(connection.descriptor, select.EPOLLIN)
        self._table.report.connections += 1

    def _receive(self, connection: Connection) -> None:
        # A TLS socket may hold decrypted bytes that epoll doesn't know of, so read until there are none.
        while True:
            try:
                data = connection.socket.recv(_READ_BYTES)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            except OSError:
                data = b""
            if not data:
                self._close(connection)
                return
            connection.arrived += data
        while request := connection.next_request():
            self._take(connection, *request)

    def _take(self, connection: Connection, head: bytes, body: bytes) -> None:
        if head.startswith(b"GET"):
            self._send(connection, self._table.status(head.split(b" ", 2)[1]))
            return
        begin = time.monotonic()
        if self._free_at:
            begin = max(begin, self._free_at[0])
            heapq.heapreplace(self._free_at, begin + self._behaviour.latency_seconds)
        reply = self._table.batch_write(head, body)
        due = begin + self._behaviour.latency_seconds
        heapq.heappush(self._replies, (due, next(self._numbers), connection, reply))
        self._table.report.most_in_flight = max(self._table.report.most_in_flight, len(self._replies))

    def _reply(self, connection: Connection, reply: Reply) -> None:
        if connection.closed:
            return
        if self._behaviour.in_parts:
            for begin in range(0, len(reply.data), _PART_BYTES):
                self._send(connection, reply.data[begin : begin + _PART_BYTES])
                time.sleep(_PART_SECONDS)
        elif reply.data:
            self._send(connection, reply.data)
        if reply.then_reset and not connection.closed:
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._close(connection)

    def _send(self, connection: Connection, data: bytes) -> None:
        if connection.closed:
            return
        waited = bool(connection.leaving)
        connection.leaving += data
        try:
            sent = connection.socket.send(connection.leaving)
        except (BlockingIOError, ssl.SSLWantWriteError):
            sent = 0
        except OSError:
            self._close(connection)
            return
        connection.leaving = connection.leaving[sent:]
        if waited or connection.leaving:
            also = select.EPOLLOUT if connection.leaving else 0
            self._epoll.modify(connection.descriptor, select.EPOLLIN | also)

    def _close(self, connection: Connection) -> None:
        self._epoll.unregister(connection.descriptor)
        del self._connections[connection.descriptor]
        connection.socket.close()


if __name__ == "__main__":
    server = Server(SinkBehaviour.from_json(json.loads(sys.argv[1])), sys.argv[2])
    print(server.port, flush=True)
    server.serve(sys.stdin)
