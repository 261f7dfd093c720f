"""CompareKeysFunction: counts for one bucket of a load how many of the target's keys the query does not return."""

import os
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

import lean_arrow  # noqa: F401
from aws_clients import client
from dynamo_load.accounting.vanishing import note_compared, note_not_compared
from dynamo_load.comparing import count_vanished
from dynamo_load.plan import LoadPlan, Piece
from environment import required
from locks.table import TableLock
from telemetry import logger, traced


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Compare a piece of a plan: `{"plan", "piece", "execution_arn"}`; the counts are in the ledger, too."""
    logger.append_keys(execution_arn=event["execution_arn"], piece=event["piece"]["name"])
    plan, piece = LoadPlan.from_json(event["plan"]), Piece.from_json(event["piece"])
    dynamodb, ledger_table = client("dynamodb"), required(os.environ, "LEDGER_TABLE")
    TableLock(dynamodb, ledger_table, plan.mapping.target.name, event["execution_arn"]).begin()
    try:
        counts = count_vanished(client("s3"), plan, piece)
    except Exception as failure:
        note_not_compared(dynamodb, ledger_table, plan.load_id, piece.name, failure)
        raise
    note_compared(dynamodb, ledger_table, plan.load_id, piece.name, counts)
    logger.info("keys compared", **asdict(counts))
    return {"piece": piece.name, **asdict(counts)}
