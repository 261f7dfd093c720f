"""What a lock can be refused for. The class names reach the state machine."""

from errors import PipelineError, TransientError


class TableIsBeingLoaded(PipelineError):
    """Another execution holds the target table."""


class LoadStopped(TransientError):
    """The loader's execution was stopped. Step Functions tries again only if it is redriven."""


class SingletonIsHeld(PipelineError):
    """Another execution holds the name of which only one may run at a time."""


class SingletonAwaited(TransientError):
    """Another execution holds the name, and the input says to wait: the state machine tries again."""
