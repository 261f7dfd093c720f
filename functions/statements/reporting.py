"""What the callback mechanism logs and counts."""

from statements.resuming import Resumption
from statements.submitting import Submission
from telemetry import MetricUnit, logger, metrics

_METRIC_OF_END = {
    Resumption.SUCCEEDED: "StatementsFinished",
    Resumption.FAILED: "StatementsFailed",
}
_METRIC_OF_EVENT = _METRIC_OF_END | {
    Resumption.NOT_ENDED: "EarlyEvents",
    Resumption.DUPLICATE: "DuplicateEvents",
    Resumption.LATE: "LateEvents",
    Resumption.UNKNOWN: "UnknownEvents",
}


def record_submission(submission: Submission) -> None:
    """Count and log what an attempt to submit came to: each statement once, its end too if its event was lost."""
    logger.append_keys(statement_id=submission.statement_id)
    if submission.is_new:
        logger.info("statement submitted")
        metrics.add_metric("StatementsSubmitted", MetricUnit.Count, 1)
    elif submission.resumption:
        logger.info("statement found again", resumption=submission.resumption.value)
        metrics.add_metric("StatementsReattached", MetricUnit.Count, 1)
    if submission.resumption in _METRIC_OF_END:
        metrics.add_metric(_METRIC_OF_END[submission.resumption], MetricUnit.Count, 1)
    if submission.failure:
        logger.warning("task failed", error=type(submission.failure).__name__, cause=str(submission.failure))
        if submission.statement_id is None:
            metrics.add_metric("StatementsNotSubmitted", MetricUnit.Count, 1)


def record_resumption(resumption: Resumption, seconds: float) -> None:
    """Count and log what came of a completion event that Redshift sent `seconds` ago."""
    logger.info("completion event handled", resumption=resumption.value, seconds_since_event=seconds)
    metrics.add_metric(_METRIC_OF_EVENT[resumption], MetricUnit.Count, 1)
    if resumption in _METRIC_OF_END:
        metrics.add_metric("SecondsFromEventToResume", MetricUnit.Seconds, seconds)
