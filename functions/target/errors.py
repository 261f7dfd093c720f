"""What can be wrong with the target table before anything is written. The class names reach the state machine."""

from errors import PipelineError


class TargetTableNotFound(PipelineError):
    """The target table does not exist."""


class TableNotLoadable(PipelineError):
    """The input names a table that the stack's LoadableTables don't, or one in which the stack keeps its accounts."""


class TargetTtlMismatch(PipelineError):
    """The items of the target table don't expire by the attribute that the stack is configured for."""


class TargetTableReplaced(PipelineError):
    """The target table was deleted and made anew while it was loaded."""
