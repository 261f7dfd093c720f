"""StartScheduledFunction: starts the execution of a schedule that EventBridge Scheduler says is due."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from execution_input import parse_input
from executions.starting import Firing, start_once
from telemetry import logger, traced


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Start `{"schedule", "scheduled_time", "state_machine", "input"}` unless that was started before."""
    firing = parse_input(Firing, event)
    started = start_once(client("stepfunctions"), firing)
    logger.info("schedule fired" if started else "schedule fired again", execution=firing.execution_name)
