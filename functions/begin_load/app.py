"""BeginLoadFunction: notes that a load is about to change its table, unless it would delete too much."""

import os
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from dynamo_load.accounting.beginning import begin_load
from dynamo_load.plan import LoadPlan
from environment import required
from telemetry import logger, traced


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Let the load of a plan begin, or go on: `{"plan", "execution_arn"}`."""
    logger.append_keys(execution_arn=event["execution_arn"])
    plan = LoadPlan.from_json(event["plan"])
    ledger_table = required(os.environ, "LEDGER_TABLE")
    begin_load(client("dynamodb"), client("s3"), ledger_table, plan, event["execution_arn"])
    logger.info("load begun", load_id=plan.load_id, table=plan.mapping.target.name)
