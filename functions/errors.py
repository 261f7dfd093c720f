"""The root of every failure that a state machine or a person must tell apart.

A class name is a contract: the state machines' `Retry` and `Catch` name it, and the failure mail shows it.
"""

_CONTINUED = "    "


class PipelineError(Exception):
    """A failure of either pipeline; its message says what was wrong, with which value, and what to do.

    As text it is one paragraph: names and Redshift's own words are in it, and stand in a mail beside lines that are to
    be believed.
    """

    def __str__(self) -> str:
        """The message as one paragraph."""
        return paragraph(super().__str__())


class TransientError(PipelineError):
    """A failure that the same attempt, made again later, may not meet."""


class AwsUnavailable(TransientError):
    """An AWS service throttled, failed on its own side or could not be reached, through the SDK's own retries."""


class AwsRefused(PipelineError):
    """An AWS service refused a call: no permission, no such resource, a bad request. It would do so again."""


class MissingConfiguration(PipelineError):
    """An environment variable that the template sets is absent or malformed."""


def paragraph(text: str) -> str:
    """Return a text with all its lines but the first indented, whatever breaks them; a paragraph stays as it is."""
    first, *others = text.splitlines() or [""]
    return "\n".join([first, *(line if line.startswith(_CONTINUED) else _CONTINUED + line for line in others)])


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
