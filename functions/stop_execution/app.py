"""StopExecutionFunction: stops what an execution left behind that was aborted, timed out or failed."""

import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from environment import required
from statements.settings import StatementSettings
from telemetry import logger, metrics, traced


@dataclass(frozen=True)
class Settings:
    """This function's environment."""

    statements: StatementSettings
    ledger_table: str


@cache
def _settings() -> Settings:
    return Settings(StatementSettings.from_environment(os.environ), required(os.environ, "LEDGER_TABLE"))


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Stop the execution of one message of the queue: `{"execution_arn", "redrives"}`, both as text.

    Whatever is raised, the queue gives the message again.
    """
    (record,) = event["Records"]
    ended, settings = json.loads(record["body"]), _settings()
    logger.append_keys(execution_arn=ended["execution_arn"])
    # EventBridge leaves out what an event does not have.
    settings.statements.stopper(settings.ledger_table).stop(ended["execution_arn"], int(ended["redrives"] or 0))
