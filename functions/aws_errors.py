"""Telling failures of AWS calls that may pass from those that will not, and giving both a name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from errors import AwsRefused, AwsUnavailable, PipelineError, TransientError

_SERVER_ERROR = 500
BUSY_CODES = frozenset(
    {
        "ActiveSessionsExceededException",
        "ActiveStatementsExceededException",
        "ActiveWaitingRequestsExceededException",
        "ConditionalRequestConflict",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflictException",
    }
)
"""The services' words for "not now": there is too much at once, or another request for the very same row or object."""
RETRYABLE_CODES = frozenset({"ReplicatedWriteConflictException"})
"""Client errors that botocore's models of the services used here mark as `retryable`, as any AWS SDK retries them."""

# The Data API passes on what another service answered as a ValidationException of its own, such as "Service returned
# error code ThrottlingException (Service: RedshiftServerless, Status Code: 400, …)": seen in jitsucom/jitsu#1464.
_PASSED_ON = re.compile(r"error code (\w+) \(Service: \w+, Status Code: (\d+)")


@contextmanager
def named_failures(
    unavailable: type[TransientError] = AwsUnavailable,
    *,
    busy: type[TransientError] | None = None,
    refused: type[PipelineError] = AwsRefused,
    secret: str = "",
) -> Iterator[None]:
    """Raise `busy` (else `unavailable`) for throttling, `unavailable` for what else may pass, `refused` for the rest.

    AWS's own words stand last in each message, so that a message that is cut keeps what this application says. A
    `secret` of the call, which AWS quotes in some of them, is left out.
    """
    try:
        yield
    except ClientError as error:
        code, status = _meant(error)
        failed, message = error.operation_name, error.response["Error"].get("Message", "")
        if secret:
            message = message.replace(secret, "…")
        if code in BUSY_CODES:
            raise (busy or unavailable)(f"{failed} was throttled ({code}), try again later: {message}") from error
        if status >= _SERVER_ERROR or code in RETRYABLE_CODES:
            raise unavailable(f"{failed} kept failing ({code}), try again later: {message}") from error
        raise refused(f"{failed} was refused ({code}): {message}") from error
    except (UnreachableError, HTTPClientError) as error:
        raise unavailable(f"AWS could not be reached ({type(error).__name__}), try again later.") from error


def _meant(error: ClientError) -> tuple[str, int]:
    """Return the code and the HTTP status of what went wrong, also where another service's error is passed on."""
    if passed_on := _PASSED_ON.search(error.response["Error"].get("Message", "")):
        return passed_on[1], int(passed_on[2])
    return error.response["Error"]["Code"], error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
