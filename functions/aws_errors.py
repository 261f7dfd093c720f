"""Telling failures of AWS calls that may pass from those that will not, and giving both a name."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from errors import AwsRefused, AwsUnavailable, TransientError

_SERVER_ERROR = 500
_THROTTLED = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


@contextmanager
def named_failures(unavailable: type[TransientError] = AwsUnavailable) -> Iterator[None]:
    """Raise `unavailable` for throttling, server errors and broken connections, AwsRefused for any other refusal."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= _SERVER_ERROR or code in _THROTTLED:
            raise unavailable(f"{error.operation_name} kept failing ({code}): try again later.") from error
        message = error.response["Error"].get("Message", "")
        raise AwsRefused(f"{error.operation_name} was refused ({code}): {message}") from error
    except (UnreachableError, HTTPClientError) as error:
        raise unavailable(f"AWS could not be reached ({type(error).__name__}): try again later.") from error
