"""What the callback mechanism logs and counts."""

from errors import PipelineError
from locks.errors import SingletonAwaited
from statements.resuming import Resumption
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


def record_submitted() -> None:
    """Count and log a statement whose id is noted: each once."""
    logger.info("statement submitted")
    metrics.add_metric("StatementsSubmitted", MetricUnit.Count, 1)


def record_second_look(resumption: Resumption, *, found: bool) -> None:
    """Count and log what came of looking at a statement again, and its end too if its event was lost.

    `found` tells whether an attempt before had submitted it and noted its id.
    """
    logger.info("statement looked at again", resumption=resumption.value)
    if found:
        metrics.add_metric("StatementsReattached", MetricUnit.Count, 1)
    if resumption in _METRIC_OF_END:
        metrics.add_metric(_METRIC_OF_END[resumption], MetricUnit.Count, 1)


def record_failure(failure: PipelineError, statement_id: str | None) -> None:
    """Log what a task is failed with, and count it if Redshift has no statement of its own for it."""
    logger.warning("task failed", error=type(failure).__name__, cause=str(failure))
    if statement_id is None and not isinstance(failure, SingletonAwaited):
        metrics.add_metric("StatementsNotSubmitted", MetricUnit.Count, 1)


def record_resumption(resumption: Resumption, seconds: float) -> None:
    """Count and log what came of a completion event that Redshift sent `seconds` ago."""
    logger.info("completion event handled", resumption=resumption.value, seconds_since_event=seconds)
    metrics.add_metric(_METRIC_OF_EVENT[resumption], MetricUnit.Count, 1)
    if resumption in _METRIC_OF_END:
        metrics.add_metric("SecondsFromEventToResume", MetricUnit.Seconds, seconds)


def record_cancelled(name: str, statement_id: str) -> None:
    """Count and log a statement that Redshift was told to cancel."""
    logger.info("statement cancelled", statement_name=name, statement_id=statement_id)
    metrics.add_metric("StatementsCancelled", MetricUnit.Count, 1)


def record_rescue(name: str, resumption: Resumption) -> None:
    """Log a statement whose end nobody had told, and count it if its task has been told now."""
    logger.warning("completion event missed", statement_name=name, resumption=resumption.value)
    if resumption in _METRIC_OF_END:
        metrics.add_metric("StatementsRescued", MetricUnit.Count, 1)
        metrics.add_metric(_METRIC_OF_END[resumption], MetricUnit.Count, 1)


def record_watch_failure(name: str, failure: PipelineError) -> None:
    """Log why a statement could not be looked after."""
    logger.warning("statement not looked after", statement_name=name, error=type(failure).__name__, cause=str(failure))
