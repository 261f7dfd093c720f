"""What can be wrong with the target table before anything is written. The class names reach the state machine."""

from errors import PipelineError


class TargetTableNotFound(PipelineError):
    """The target table does not exist."""


class TargetKeyMismatch(PipelineError):
    """The target table's key is not the one that the stack is configured for."""
