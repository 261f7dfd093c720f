"""VerifyLoadFunction: says what a load came to, and fails it unless every unloaded row is accounted for."""

import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from dynamo_load.accounting.verifying import LoadResult, verify_load
from dynamo_load.plan import LoadPlan
from environment import required
from telemetry import MetricUnit, logger, metrics, traced


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Verify a load by its plan: `{"plan", "execution_arn"}`; returns the load's figures."""
    logger.append_keys(execution_arn=event["execution_arn"])
    result = verify_load(client("dynamodb"), required(os.environ, "LEDGER_TABLE"), LoadPlan.from_json(event["plan"]))
    _record(result)
    return asdict(result)


def _record(figures: LoadResult) -> None:
    logger.info("load verified", **asdict(figures))
    metrics.add_metric("RowsWritten", MetricUnit.Count, figures.rows_written)
    metrics.add_metric("RowsRejected", MetricUnit.Count, figures.rows_rejected)
    metrics.add_metric("RowsSuperseded", MetricUnit.Count, figures.rows_superseded)
    metrics.add_metric("WriteUnits", MetricUnit.Count, figures.write_units)
    metrics.add_metric("LoadSeconds", MetricUnit.Seconds, figures.seconds)
