"""What the callback mechanism logs and counts."""

from errors import PipelineError
from statements.resuming import Resumption
from telemetry import MetricUnit, logger, metrics

_METRIC_OF = {
    Resumption.SUCCEEDED: "StatementsFinished",
    Resumption.FAILED: "StatementsFailed",
    Resumption.NOT_ENDED: "EarlyEvents",
    Resumption.DUPLICATE: "DuplicateEvents",
    Resumption.LATE: "LateEvents",
    Resumption.UNKNOWN: "UnknownEvents",
}


def record_submission(failure: PipelineError | None) -> None:
    """Count and log a statement that was submitted, or why it was not."""
    if failure is None:
        logger.info("statement submitted")
        metrics.add_metric("StatementsSubmitted", MetricUnit.Count, 1)
    else:
        logger.warning("statement not submitted", error=type(failure).__name__, cause=str(failure))
        metrics.add_metric("StatementsNotSubmitted", MetricUnit.Count, 1)


def record_resumption(resumption: Resumption, seconds: float) -> None:
    """Count and log what came of a completion event that Redshift sent `seconds` ago."""
    logger.info("completion event handled", resumption=resumption.value, seconds_since_event=seconds)
    metrics.add_metric(_METRIC_OF[resumption], MetricUnit.Count, 1)
    if resumption in {Resumption.SUCCEEDED, Resumption.FAILED}:
        metrics.add_metric("SecondsFromEventToResume", MetricUnit.Seconds, seconds)
