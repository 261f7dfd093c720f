"""A stand-in for DynamoDB's BatchWriteItem that is cheap enough to measure a loader, and unkind enough to test one.

It runs as a process of its own on 127.0.0.1 and speaks only what a loader meets: HTTP/1.1 with keep-alive, TLS if
wanted (with a certificate made for this run), BatchWriteItem's answer with its CRC32, and, in chosen shares, the ways
in which DynamoDB and a network fail. It counts what it gets and, when told the key, how often each key was stored.

    with DynamoDbSink(SinkBehaviour(latency_seconds=0.005, unprocessed_share=0.3)) as sink:
        load_into(sink.endpoint_url, sink.ca_bundle)
        assert sink.report().rows_stored == 10_000

In reading order: this file (what a test or benchmark uses), `capacity` (when a table throttles), `table` (what is
stored and what is answered), `server` (sockets, TLS, HTTP, latency).
"""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import trustme

from local.dynamodb_sink.capacity import TableCapacity

_STOP_SECONDS = 10
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class SinkBehaviour:
    """How the sink answers. A share is a probability from 0 to 1, drawn per request (per item for unprocessed)."""

    tls: bool = True
    latency_seconds: float = 0.0
    parallel: int | None = None
    """How many requests are served at once; others wait, so that latency grows with what is in flight."""
    in_parts: bool = False
    """Answers arrive a few bytes at a time."""
    key: str | None = None
    """Attribute whose values are counted, each for itself; None counts rows only, which is cheapest."""
    hot_key: str | None = None
    """Value of the partition key whose rows are counted for themselves too (needs `capacity`)."""
    strict: bool = False
    """Parse every body as JSON too and record what DynamoDB would refuse."""
    consumed_capacity: bool = True
    """Answer ReturnConsumedCapacity: one write unit for each stored item."""
    capacity: TableCapacity | None = None
    """What the table takes: rows beyond it are unprocessed, and a request of which no row fits is throttled."""
    unprocessed_share: float = 0.0
    throttled_share: float = 0.0
    error_share: float = 0.0
    """HTTP 500, nothing stored."""
    reset_share: float = 0.0
    """TCP reset, nothing stored."""
    lost_answer_share: float = 0.0
    """TCP reset, though everything is stored."""
    silent_share: float = 0.0
    """No answer ever, though everything is stored and the connection stays open."""
    truncated_share: float = 0.0
    """The connection ends in the middle of the answer, though everything is stored."""
    bad_crc_share: float = 0.0
    """A wrong CRC32, though everything is stored."""
    refusal: tuple[str, str] | None = None
    """Error code and message with which requests are refused (HTTP 400): all, or those with one of `refused_keys`."""
    refused_keys: tuple[str, ...] = ()
    """Values of `key`; a request that holds one of them is refused whole."""
    refused_share: float = 1.0
    """Of the requests that are to be refused; the others are stored."""
    expired_access_key: str | None = None
    """Requests signed with this access key get ExpiredTokenException."""
    seed: int = 0

    @classmethod
    def from_json(cls, settings: dict[str, Any]) -> Self:
        """What `dataclasses.asdict` was made of."""
        capacity = settings["capacity"]
        return cls(**settings | {"capacity": TableCapacity.from_json(capacity) if capacity else None})


@dataclass
class SinkReport:
    """What the sink got until now."""

    requests: int = 0
    request_bytes: int = 0
    rows_received: int = 0
    rows_stored: int = 0
    """Deletes are rows too."""
    rows_deleted: int = 0
    keys: int = 0
    keys_stored_again: int = 0
    """Keys that were stored or deleted more than once."""
    rows_by_second: dict[int, int] = field(default_factory=dict)
    """Rows received in each epoch second, the ones sent again included."""
    began_at: float = 0.0
    """Seconds on the machine's monotonic clock: the first request."""
    rows_stored_by_tenth: list[int] = field(default_factory=list)
    """In each tenth of a second, from the first request on; so are the next four."""
    rows_stored_by_access_key: dict[str, list[int]] = field(default_factory=dict)
    """The same for each access key that requests were signed with."""
    hot_rows_stored_by_tenth: list[int] = field(default_factory=list)
    """Those of them that have the hot key."""
    other_asked_by_tenth: list[int] = field(default_factory=list)
    """Write units that the other traffic asked for."""
    other_throttled_by_tenth: list[int] = field(default_factory=list)
    answers: dict[str, int] = field(default_factory=dict)
    """Number of requests by what was done with them: stored, unprocessed, throttled, error, reset …"""
    violations: list[str] = field(default_factory=list)
    """What DynamoDB would have refused."""
    connections: int = 0
    most_in_flight: int = 0
    cpu_seconds: float = 0.0


class DynamoDbSink:
    """Context manager that runs the sink in a process of its own and asks it what it got."""

    def __init__(self, behaviour: SinkBehaviour | None = None) -> None:
        self._behaviour = behaviour or SinkBehaviour()
        self._cleanup = ExitStack()
        self._port = 0
        self.endpoint_url = ""
        self.ca_bundle: str | None = None
        """Path of the certificate authority that vouches for the sink; None without TLS."""

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="dynamodb-sink-")))
            certificate = self._make_certificate(directory) if self._behaviour.tls else ""
            process = subprocess.Popen(
                [sys.executable, "-m", "local.dynamodb_sink.server", json.dumps(asdict(self._behaviour)), certificate],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            # The sink ends when its standard input does, so it can't outlive this process either.
            cleanup.callback(process.communicate, timeout=_STOP_SECONDS)
            port = process.stdout.readline() if process.stdout else ""
            if not port:
                raise RuntimeError("the DynamoDB sink did not start; its standard error says why")
            self._port = int(port)
            self.endpoint_url = f"{'https' if self._behaviour.tls else 'http'}://127.0.0.1:{self._port}"
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def report(self) -> SinkReport:
        """What the sink got until now."""
        report = SinkReport(**self._get("/report"))
        report.rows_by_second = {int(second): rows for second, rows in report.rows_by_second.items()}
        return report

    def stored(self) -> dict[str, int]:
        """How often each key was stored or deleted (needs `SinkBehaviour.key`)."""
        counts: dict[str, int] = self._get("/stored")
        return counts

    def _make_certificate(self, directory: Path) -> str:
        authority = trustme.CA()
        self.ca_bundle = str(directory / "authority.pem")
        authority.cert_pem.write_to_path(self.ca_bundle)
        certificate = str(directory / "sink.pem")
        authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
        return certificate

    def _get(self, path: str) -> Any:
        connection = (
            http.client.HTTPSConnection(
                "127.0.0.1",
                self._port,
                context=ssl.create_default_context(cafile=self.ca_bundle),
                timeout=_STOP_SECONDS,
            )
            if self.ca_bundle
            else http.client.HTTPConnection("127.0.0.1", self._port, timeout=_STOP_SECONDS)
        )
        try:
            connection.request("GET", path)
            return json.load(connection.getresponse())
        finally:
            connection.close()
