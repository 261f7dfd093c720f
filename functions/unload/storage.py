"""Failures of S3 and DynamoDB that may pass, given a name that the state machine retries."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as UnreachableError

from unload.errors import StorageUnavailable

_SERVER_ERROR = 500
_THROTTLED = {"SlowDown", "ThrottlingException", "RequestLimitExceeded"}


@contextmanager
def passing_failures_named() -> Iterator[None]:
    """Raise StorageUnavailable for server errors, throttling and broken connections; let other errors through."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"]["Code"]
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status >= _SERVER_ERROR or code in _THROTTLED:
            raise StorageUnavailable(f"{error.operation_name} kept failing ({code}): try again later.") from error
        raise
    except (UnreachableError, HTTPClientError) as error:
        raise StorageUnavailable(f"AWS could not be reached ({type(error).__name__}): try again later.") from error
