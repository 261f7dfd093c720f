"""The root of every failure that a state machine or a person must tell apart.

A class name is a contract: the state machines' `Retry` and `Catch` name it, and the failure mail shows it.
"""


class PipelineError(Exception):
    """A failure of either pipeline; its message says what was wrong, with which value, and what to do."""


class TransientError(PipelineError):
    """A failure that the same attempt, made again later, may not meet."""
