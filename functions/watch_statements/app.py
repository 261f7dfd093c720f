"""WatchStatementsFunction: looks after statements whose completion event has not come."""

import os
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from statements.settings import ExecutionSettings
from telemetry import logger, metrics, traced

# One statement may take as long as the SDK tries to reach a service that does not answer.
_SECONDS_FOR_ONE = 60.0


@cache
def _settings() -> ExecutionSettings:
    return ExecutionSettings.from_environment(os.environ)


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Look at every statement that is overdue; return how many there were of each outcome."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - _SECONDS_FOR_ONE

    seen = _settings().watch(seconds_left).look()
    logger.info("statements looked after", statements=dict(seen))
    return dict(seen)
