"""What a lock can be refused for. The class names reach the state machine."""

from errors import PipelineError


class TableIsBeingLoaded(PipelineError):
    """Another execution holds the target table."""
