"""What the Redshift Data API answers instead of a result: one class for each error in its service model."""

from __future__ import annotations


class DataApiError(Exception):
    """An error that goes to the caller. `code` is its name in the API, `members` are its fields beside the message."""

    code = "InternalServerException"
    status = 500

    def __init__(self, message: str, **members: str) -> None:
        super().__init__(message)
        self.members = members


class ValidationError(DataApiError):
    """The request breaks a rule of the API."""

    code = "ValidationException"
    status = 400


class NotImitatedError(ValidationError):
    """The API has this, the local one hasn't: refused by name rather than answered wrongly."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not imitated by the local Redshift Data API")


class AccessDeniedError(DataApiError):
    """The caller's policies don't allow what the request needs beyond the redshift-data action itself."""

    code = "AccessDeniedException"
    status = 400


class ResourceNotFoundError(DataApiError):
    """There is no such statement, or the caller may not know of it, or it has no result."""

    code = "ResourceNotFoundException"
    status = 400

    def __init__(self, message: str, resource_id: str) -> None:
        super().__init__(message, ResourceId=resource_id)


class ActiveStatementsExceededError(DataApiError):
    """As many statements as a cluster takes are waiting or running."""

    code = "ActiveStatementsExceededException"
    status = 400


class ThrottlingError(DataApiError):
    """The operation was called more often than an account may. It is none of the API's model, but what AWS answers."""

    code = "ThrottlingException"
    status = 400


class DatabaseConnectionError(DataApiError):
    """No connection to the database that a metadata operation names."""

    code = "DatabaseConnectionException"
    status = 500
