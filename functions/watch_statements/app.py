"""WatchStatementsFunction: looks after statements whose completion event has not come."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from environment import required
from statements.settings import StatementSettings
from telemetry import logger, metrics, traced

# One statement may take as long as the SDK tries to reach a service that does not answer.
_SECONDS_FOR_ONE = 60.0


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
def handler(_event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Look at every statement that is overdue; return how many there were of each outcome."""

    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - _SECONDS_FOR_ONE

    settings = _settings()
    seen = settings.statements.watch(settings.ledger_table, seconds_left).look()
    logger.info("statements looked after", statements=dict(seen))
    return dict(seen)
