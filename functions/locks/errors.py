"""What a lock can be refused for. The class names reach the state machine."""

from errors import PipelineError, TransientError


class TableIsBeingLoaded(PipelineError):
    """Another execution holds the target table."""


class LoadStopped(TransientError):
    """The loader's execution was stopped. Step Functions tries again only if it is redriven."""
