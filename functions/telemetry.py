"""Logs, traces and metrics of all functions: one owner, so that every record carries the same names.

Task tokens, row contents and SQL text never go into any of them.
"""

from dataclasses import asdict

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from dynamo_load.verifying import LoadResult
from errors import PipelineError
from statements.resuming import Resumption

logger = Logger()
metrics = Metrics()
tracer = Tracer()

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


def record_load(figures: LoadResult) -> None:
    """Count and log a load that is complete and accounted for."""
    logger.info("load verified", **asdict(figures))
    metrics.add_metric("RowsWritten", MetricUnit.Count, figures.rows_written)
    metrics.add_metric("RowsRejected", MetricUnit.Count, figures.rows_rejected)
    metrics.add_metric("RowsSuperseded", MetricUnit.Count, figures.rows_superseded)
    metrics.add_metric("WriteUnits", MetricUnit.Count, figures.write_units)
    metrics.add_metric("LoadSeconds", MetricUnit.Seconds, figures.seconds)
