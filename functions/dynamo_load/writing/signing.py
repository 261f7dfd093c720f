"""Signature Version 4 for one kind of request: BatchWriteItem over POST, thousands of times a second.

botocore's own signer builds and sorts a general request each time, which costs several times the SHA-256 of the body.
Here everything but the body's hash is the same for all requests of one second, so it is made once per second.
Source: IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import CredentialRetrievalError, MetadataRetrievalError

from dynamo_load.errors import CredentialsUnavailable
from dynamo_load.writing.botocore_internals import newest_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.credentials import Credentials, ReadOnlyCredentials
    from botocore.session import Session

_CONTENT_TYPE = "application/x-amz-json-1.0"
_TARGET = "DynamoDB_20120810.BatchWriteItem"
_UNSIGNED = [
    # As botocore does for DynamoDB, so that the CRC32 is that of the bytes that arrive.
    b"Accept-Encoding: identity",
    # Without waiting for "100 Continue", which libcurl asks for when a body is large.
    b"Expect:",
]


class BatchWriteSigner:
    """Signs bodies of BatchWriteItem for an endpoint, as botocore resolved it, and its region.

    The credentials are those of a botocore session and may change at any time: its providers are asked again when they
    run out. `clock` gives epoch seconds.
    """

    def __init__(
        self, session: Session, *, endpoint_url: str, region: str, clock: Callable[[], float] = time.time
    ) -> None:
        url = urlsplit(endpoint_url)
        default_port = {"http": 80, "https": 443}[url.scheme]
        self._host = url.hostname if url.port in (None, default_port) else f"{url.hostname}:{url.port}"
        self._path = url.path or "/"
        self._region = region
        self._session = session
        self._clock = clock
        self._credentials = _required(session.get_credentials())
        self._second = -1
        self._signed_by: ReadOnlyCredentials | None = None

    def headers(self, body: bytes) -> list[bytes]:
        """The header lines, `Authorization` included, that make `body` a valid request at this second.

        Raises CredentialsUnavailable if credentials ran out and could not be refreshed.
        """
        second = int(self._clock())
        if second != self._second:
            self._prepare(second)
        canonical_request = self._canonical_head + hashlib.sha256(body).hexdigest().encode()
        to_sign = self._to_sign_head + hashlib.sha256(canonical_request).hexdigest().encode()
        signature = self._keyed.copy()
        signature.update(to_sign)
        return [*self._header_lines, self._authorization_head + signature.hexdigest().encode()]

    def renew_credentials(self) -> None:
        """Ask the session's credential providers anew, after DynamoDB called the present credentials expired.

        Credentials with a known expiry refresh themselves before it; this is for those that ran out without notice.
        Raises CredentialsUnavailable if there are no others.
        """
        renewed = _required(newest_credentials(self._session))
        if _frozen(renewed) == self._signed_by:
            raise CredentialsUnavailable(
                "DynamoDB says that the AWS credentials have expired, and the credential providers have no newer "
                "ones; run the load again with fresh credentials"
            )
        self._credentials = renewed
        self._second = -1

    def _prepare(self, second: int) -> None:
        """Make what all requests of this second share."""
        credentials = _frozen(self._credentials)
        time_stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%dT%H%M%SZ")
        date = time_stamp[:8]
        signed = {
            "content-type": _CONTENT_TYPE,
            "host": self._host,
            "x-amz-date": time_stamp,
            "x-amz-security-token": credentials.token,
            "x-amz-target": _TARGET,
        }
        signed = {name: value for name, value in signed.items() if value}
        names = ";".join(signed)
        lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
        scope = f"{date}/{self._region}/dynamodb/aws4_request"
        key = f"AWS4{credentials.secret_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        self._keyed = hmac.new(key, digestmod="sha256")
        self._canonical_head = f"POST\n{self._path}\n\n{lines}\n{names}\n".encode()
        self._to_sign_head = f"AWS4-HMAC-SHA256\n{time_stamp}\n{scope}\n".encode()
        self._authorization_head = (
            f"Authorization: AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature="
        ).encode()
        self._header_lines = [*(f"{name}: {value}".encode() for name, value in signed.items()), *_UNSIGNED]
        self._signed_by = credentials
        self._second = second


def _required(credentials: Credentials | None) -> Credentials:
    if credentials is None:
        raise CredentialsUnavailable(
            "no AWS credentials were found for writing to DynamoDB; give the function a role, or set a profile or "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    return credentials


def _frozen(credentials: Credentials) -> ReadOnlyCredentials:
    try:
        return credentials.get_frozen_credentials()
    except (CredentialRetrievalError, MetadataRetrievalError) as error:
        raise CredentialsUnavailable(f"the AWS credentials ran out and could not be refreshed: {error}") from error
