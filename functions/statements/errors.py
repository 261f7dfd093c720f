"""What can go wrong between a task and its statement. The class names reach the state machines as error names."""

from errors import PipelineError, TransientError


class InvalidIdentifier(PipelineError):
    """A text that should name a database object is not an identifier."""


class ProcedureNotAllowed(PipelineError):
    """The procedure is none of those that the stack's AllowedProcedures patterns let through."""


class RedshiftBusy(TransientError):
    """Redshift or the Data API took no more statements just now (throttled, or 500 active statements)."""


class RedshiftUnavailable(TransientError):
    """The Data API failed on its own side (HTTP 5xx), could not be reached, or does not agree with itself yet."""


class StatementRefused(PipelineError):
    """The Data API refused to take the statement: bad parameters, no such cluster, no permission. Nothing ran."""


class StatementForgotten(PipelineError):
    """Redshift no longer knows the statement, or may not know that it has run it: how it ended is not told."""


class OutcomeNotVisible(PipelineError):
    """Redshift announced the end of a statement that the Data API still calls running; the event must come again."""


class OutcomeNotTold(PipelineError):
    """The statement has ended, but Step Functions does not let this attempt of its task be resumed."""


class StatementFailed(PipelineError):
    """Redshift ran the statement and it failed; the message is Redshift's own."""


class StatementAborted(PipelineError):
    """The statement was cancelled before it finished."""


class StatementStopping(TransientError):
    """The statement of the run before is being cancelled; when it has ended, a redrive runs it anew."""


class ExecutionStopped(PipelineError):
    """The execution was stopped or redriven before this attempt submitted its statement, or stopped while it did."""
