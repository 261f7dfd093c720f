"""StopExecutionFunction: stops what an execution left behind that was aborted, timed out or failed."""

import json
import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from statements.settings import ExecutionSettings
from telemetry import logger, metrics, traced


@cache
def _settings() -> ExecutionSettings:
    return ExecutionSettings.from_environment(os.environ)


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Stop the execution of one message of the queue: `{"execution_arn", "redrives"}`, both as text.

    Whatever is raised, the queue gives the message again.
    """
    (record,) = event["Records"]
    ended = json.loads(record["body"])
    logger.append_keys(execution_arn=ended["execution_arn"])
    # EventBridge leaves out what an event does not have.
    _settings().stopper().stop(ended["execution_arn"], int(ended["redrives"] or 0))
