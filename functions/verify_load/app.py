"""VerifyLoadFunction: says what a load came to, fails it unless every row is accounted for, and notes what is known."""

import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from dynamo_load.accounting.committing import commit_load
from dynamo_load.accounting.verifying import LoadResult, report_refresh, verify_load
from dynamo_load.plan import LoadPlan
from environment import required
from locks.table import TableLock
from telemetry import MetricUnit, logger, metrics, traced


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Verify a load by its plan: `{"plan", "execution_arn"}`; returns the load's figures, or a dry run's report."""
    execution_arn, plan = event["execution_arn"], LoadPlan.from_json(event["plan"])
    logger.append_keys(execution_arn=execution_arn)
    dynamodb, ledger_table = client("dynamodb"), required(os.environ, "LEDGER_TABLE")
    TableLock(dynamodb, ledger_table, plan.mapping.target.name, execution_arn).begin()
    verified = verify_load(dynamodb, ledger_table, plan)
    if plan.dry_run:
        return asdict(report_refresh(verified.result, plan, required(os.environ, "AWS_REGION")))
    commit_load(dynamodb, client("s3"), ledger_table, plan, execution_arn, recorded_keys=verified.recorded_keys)
    _record(verified.result)
    return asdict(verified.result)


def _record(figures: LoadResult) -> None:
    logger.info("load verified", **asdict(figures))
    metrics.add_metric("RowsWritten", MetricUnit.Count, figures.rows_written)
    metrics.add_metric("RowsUnchanged", MetricUnit.Count, figures.rows_unchanged)
    metrics.add_metric("RowsRejected", MetricUnit.Count, figures.rows_rejected)
    metrics.add_metric("RowsSuperseded", MetricUnit.Count, figures.rows_superseded)
    metrics.add_metric("RowsDeleted", MetricUnit.Count, figures.rows_deleted)
    metrics.add_metric("WriteUnits", MetricUnit.Count, figures.write_units)
    metrics.add_metric("WriteUnitsSaved", MetricUnit.Count, figures.write_units_saved)
    metrics.add_metric("RowsThrottled", MetricUnit.Count, figures.rows_throttled)
    metrics.add_metric("LoadSeconds", MetricUnit.Seconds, figures.seconds)
