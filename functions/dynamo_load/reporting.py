"""What a verified load logs and counts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from telemetry import MetricUnit, logger, metrics

if TYPE_CHECKING:
    from dynamo_load.accounting.verifying import LoadResult


def record_load(figures: LoadResult) -> None:
    """Count and log a load that is complete and accounted for."""
    logger.info("load verified", **asdict(figures))
    metrics.add_metric("RowsWritten", MetricUnit.Count, figures.rows_written)
    metrics.add_metric("RowsRejected", MetricUnit.Count, figures.rows_rejected)
    metrics.add_metric("RowsSuperseded", MetricUnit.Count, figures.rows_superseded)
    metrics.add_metric("WriteUnits", MetricUnit.Count, figures.write_units)
    metrics.add_metric("LoadSeconds", MetricUnit.Seconds, figures.seconds)
