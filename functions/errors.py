"""The root of every failure that a state machine or a person must tell apart.

A class name is a contract: the state machines' `Retry` and `Catch` name it, and the failure mail shows it.
"""


class PipelineError(Exception):
    """A failure of either pipeline; its message says what was wrong, with which value, and what to do."""


class TransientError(PipelineError):
    """A failure that the same attempt, made again later, may not meet."""


class AwsUnavailable(TransientError):
    """An AWS service throttled, failed on its own side or could not be reached, through the SDK's own retries."""


class AwsRefused(PipelineError):
    """An AWS service refused a call: no permission, no such resource, a bad request. It would do so again."""


class MissingConfiguration(PipelineError):
    """An environment variable that the template sets is absent or malformed."""


def shortened(text: str, limit: int) -> str:
    """Return the words of others so that they take at most `limit` bytes as UTF-8 in a message of this application.

    What is cut off is marked by "…"; half a surrogate pair, which is no text, is written as an escape.
    """
    encoded = text.encode(errors="backslashreplace")
    if len(encoded) <= limit:
        return encoded.decode()
    return encoded[: limit - len("…".encode())].decode(errors="ignore") + "…"


class InvalidInput(PipelineError):
    """The execution's input has an unknown, missing, wrongly typed or oversized field."""
