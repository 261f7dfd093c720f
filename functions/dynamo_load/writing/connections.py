"""What carries requests: kept connections to one endpoint, all moved by libcurl in the thread that waits for them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pycurl

from dynamo_load.errors import EndpointNotTrusted

CONNECT_SECONDS = 5.0

_NOT_TRUSTED = frozenset({pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CACERT_BADFILE})

T = TypeVar("T")


@dataclass(slots=True)
class Exchange(Generic[T]):
    """A request that has come to its end, `subject` being what it was started for.

    `sent_at` is on the monotonic clock, `seconds` the time from then to the end of the answer, without that for
    connecting, `head` the answer's header lines as received. Where no complete answer came, `failure` is libcurl's
    words for why.
    """

    subject: T
    sent_at: float
    seconds: float
    status: int
    head: bytes
    body: bytes
    failure: str | None


class Connections(Generic[T]):
    """Sends POST requests to one endpoint, `most` at once; its length is how many are in flight.

    A request without an answer after `request_seconds` has failed.
    """

    def __init__(
        self, endpoint_url: str, *, ca_bundle: str, user_agent: str, most: int, request_seconds: float
    ) -> None:
        self._endpoint_url, self._ca_bundle, self._user_agent = endpoint_url, ca_bundle, user_agent
        self._request_seconds = request_seconds
        self._curl = pycurl.CurlMulti()
        self._curl.setopt(pycurl.M_MAXCONNECTS, most)
        self._idle: list[_Connection[T]] = []
        self._in_flight: dict[Any, _Connection[T]] = {}

    def __len__(self) -> int:
        return len(self._in_flight)

    def start(self, subject: T, body: bytes, headers: list[bytes]) -> None:
        """Send a request on behalf of `subject`."""
        connection = self._idle.pop() if self._idle else _Connection(self._new_handle())
        connection.start(subject, body, headers)
        self._in_flight[connection.handle] = connection
        self._curl.add_handle(connection.handle)

    def finished(self) -> list[Exchange[T]]:
        """Return the requests that have come to their end, as far as is known without waiting.

        Raises EndpointNotTrusted if the endpoint's certificate could not be verified.
        """
        self._curl.perform()
        _, answered, failed = self._curl.info_read()
        exchanges = [self._release(handle).exchange(None) for handle in answered]
        for handle, code, message in failed:
            connection = self._release(handle)
            if code in _NOT_TRUSTED:
                raise EndpointNotTrusted(
                    f"the TLS certificate of {self._endpoint_url} could not be verified with {self._ca_bundle}: "
                    f"{message}; AWS_CA_BUNDLE names another bundle"
                )
            exchanges.append(connection.exchange(f"no answer from {self._endpoint_url}: {message}"))
        return exchanges

    def wait(self, seconds: float) -> None:
        """Sleep until something has arrived, `seconds` at most."""
        if not self._in_flight:
            time.sleep(seconds)
            return
        if (timer := self._curl.timeout()) >= 0:
            seconds = min(seconds, timer / 1000)
        if self._curl.select(seconds) < 0:
            time.sleep(min(seconds, 0.01))

    def abandon(self) -> None:
        """Forget what is in flight, and close its connections: an answer may still be on its way."""
        for handle in self._in_flight:
            self._curl.remove_handle(handle)
        self._in_flight.clear()

    def _release(self, handle: Any) -> _Connection[T]:
        self._curl.remove_handle(handle)
        connection = self._in_flight.pop(handle)
        self._idle.append(connection)
        return connection

    def _new_handle(self) -> Any:
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, self._endpoint_url)
        handle.setopt(pycurl.POST, 1)
        handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
        handle.setopt(pycurl.CAINFO, self._ca_bundle)
        handle.setopt(pycurl.USERAGENT, self._user_agent)
        handle.setopt(pycurl.CONNECTTIMEOUT_MS, int(min(CONNECT_SECONDS, self._request_seconds) * 1000))
        handle.setopt(pycurl.TIMEOUT_MS, int(self._request_seconds * 1000))
        handle.setopt(pycurl.NOSIGNAL, 1)
        return handle


class _Connection(Generic[T]):
    """A libcurl handle with the request that it carries and the answer as it comes in."""

    __slots__ = ("_body", "_head", "_sent_at", "_subject", "handle")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self._subject: T
        self._sent_at = 0.0
        self._head: list[bytes] = []
        self._body: list[bytes] = []
        handle.setopt(pycurl.HEADERFUNCTION, self._head.append)
        handle.setopt(pycurl.WRITEFUNCTION, self._body.append)

    def start(self, subject: T, body: bytes, headers: list[bytes]) -> None:
        """Make `body` with `headers` the next request of the handle."""
        self._subject, self._sent_at = subject, time.monotonic()
        self._head.clear()
        self._body.clear()
        self.handle.setopt(pycurl.HTTPHEADER, headers)
        self.handle.setopt(pycurl.POSTFIELDS, body)

    def exchange(self, failure: str | None) -> Exchange[T]:
        """What has become of the request, which has failed unless `failure` is None."""
        handle = self.handle
        seconds = handle.getinfo(pycurl.TOTAL_TIME) - handle.getinfo(pycurl.PRETRANSFER_TIME)
        status = handle.getinfo(pycurl.RESPONSE_CODE)
        return Exchange(
            self._subject, self._sent_at, seconds, status, b"".join(self._head), b"".join(self._body), failure
        )
