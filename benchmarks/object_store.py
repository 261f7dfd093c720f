"""A process that is S3 for the loader: objects that are read and written.

`python -m benchmarks.object_store <directory>` prints its port and serves the directory's files as objects until its
standard input ends.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.task import BUCKET

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    directory: Path

    def do_GET(self) -> None:
        """Answer GetObject, of a range of a file or all of it."""
        with self._path().open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin, end = self._range(size)
            self.send_response(206)
            self.send_header("ETag", f'"{size}"')
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
            self.send_header("Content-Length", str(end - begin))
            self.end_headers()
            while begin < end:
                begin += os.sendfile(self.connection.fileno(), file.fileno(), begin, end - begin)

    def do_HEAD(self) -> None:
        """Answer HeadObject."""
        size = self._path().stat().st_size
        self._answer(size, content_length=size)

    def do_PUT(self) -> None:
        """Answer PutObject, whatever its conditions."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._path().write_bytes(body)
        self._answer(len(body), content_length=0)

    def _path(self) -> Path:
        """The file of an object, whose name is all of the key."""
        key = self.path.partition("?")[0].removeprefix(f"/{BUCKET}/")
        return self.directory / key.replace("/", "-")

    def _range(self, size: int) -> tuple[int, int]:
        """The bytes asked for, the second number being the first that isn't."""
        wanted = _RANGE.fullmatch(self.headers.get("Range", "bytes=0-"))
        if wanted is None:
            raise ValueError(f"this range is not understood: {self.headers['Range']!r}")
        first, last = wanted.groups()
        begin = int(first) if first else max(0, size - int(last))
        return begin, min(int(last) + 1, size) if first and last else size

    def _answer(self, size: int, *, content_length: int) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{size}"')
        self.send_header("Content-Length", str(content_length))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve the directory given on the command line."""
    Handler.directory = Path(sys.argv[1])
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(server.server_port, flush=True)
        sys.stdin.read()
        server.shutdown()


if __name__ == "__main__":
    main()
