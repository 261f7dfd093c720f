"""StepFunctionCallBack: resumes the task that waits for a statement when Redshift's completion event arrives."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from statements.errors import OutcomeNotVisible
from statements.reporting import record_resumption
from statements.resuming import Resumption
from statements.settings import StatementSettings
from telemetry import logger, metrics, traced


@cache
def _settings() -> StatementSettings:
    return StatementSettings.from_environment(os.environ)


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Handle a "Redshift Data Statement Status Change" event; duplicate, late and foreign ones change nothing.

    Raises OutcomeNotVisible, so that Lambda delivers the event again, if the statement is not seen to have ended yet.
    """
    name, statement_id = event["detail"]["statementName"], event["detail"]["statementId"]
    logger.append_keys(statement_name=name, statement_id=statement_id)
    resumption = _settings().resumer().resume(name, statement_id)
    waited = datetime.now(UTC) - datetime.fromisoformat(event["time"])
    record_resumption(resumption, waited.total_seconds())
    if resumption is Resumption.NOT_ENDED:
        raise OutcomeNotVisible(
            f"statement {statement_id} has been reported as ended, but is still described as running."
        )
