"""What can be wrong with the records. The class names reach the state machine."""

from errors import PipelineError


class RecordUnreadable(PipelineError):
    """What is known of the target table can't be read: a record is missing, damaged, or of a newer version."""
