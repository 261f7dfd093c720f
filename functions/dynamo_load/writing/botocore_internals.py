"""All that is used of botocore though it is no public part of it: a release may change it without notice.

What botocore decides about an error, about certificates and about credentials is asked of botocore itself rather than
written down again, so that a loader behaves as any AWS SDK client. The runtime brings botocore and keeps it new.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.httpsession import get_cert_path
from botocore.model import Shape
from botocore.parsers import JSONParser, ResponseParserError
from botocore.retries.standard import RetryContext, ThrottledRetryableChecker, TransientRetryableChecker

from aws_errors import RETRYABLE_CODES

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from botocore.session import Session

_NO_SHAPE = Shape("Error", {"type": "structure"})


@dataclass(frozen=True)
class ServiceError:
    """An error answer of a service. `throttled` or `passing` says that any AWS SDK client would try again, and why."""

    code: str
    message: str
    throttled: bool
    passing: bool


class ErrorReader:
    """Reads error answers as the retry mode "standard" does.

    By botocore's lists of throttling and passing errors, and by what the service's own model calls retryable.
    """

    def __init__(self) -> None:
        self._parser = JSONParser()
        self._is_throttled = ThrottledRetryableChecker().is_retryable
        self._is_passing = TransientRetryableChecker().is_retryable

    def read(self, status: int, body: bytes) -> ServiceError:
        """Class one answer, given its status and body; one that is no service's has its status for its code."""
        try:
            parsed = self._parser.parse({"status_code": status, "headers": {}, "body": body}, _NO_SHAPE)
        except (ResponseParserError, AttributeError):
            parsed = {"Error": {"Code": str(status), "Message": "an answer that is not DynamoDB's"}}
        context = RetryContext(
            attempt_number=1,
            parsed_response=parsed,
            http_response=AWSResponse("", status, HTTPHeaders(), None),
        )
        code = parsed["Error"]["Code"]
        return ServiceError(
            code=code,
            message=parsed["Error"]["Message"] or "",
            throttled=self._is_throttled(context),
            passing=self._is_passing(context) or code in RETRYABLE_CODES,
        )


def certificate_authorities(session: Session) -> str:
    """The path of the certificate authorities that the session's clients trust."""
    return str(get_cert_path(session.get_config_variable("ca_bundle") or True))


def newest_credentials(session: Session) -> Credentials | None:
    """Ask the session's credential providers anew, past what the session keeps."""
    credentials: Credentials | None = session.get_component("credential_provider").load_credentials()
    return credentials
