"""RedshiftRunSpsFunction: submits a stored procedure for a task that waits for its token."""

import os
import time
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from environment import required
from execution_input import parse_input
from locks.singleton import take_singleton
from statements.data_api import RedshiftLogin, Statement
from statements.names import StatementKind
from statements.procedure_call import ProcedureRequest, procedure_call
from statements.settings import ExecutionSettings
from telemetry import logger, metrics, traced


@dataclass(frozen=True)
class Settings:
    """This function's environment."""

    statements: ExecutionSettings
    login: RedshiftLogin
    allowed_procedures: tuple[str, ...]


@cache
def _settings() -> Settings:
    return Settings(
        statements=ExecutionSettings.from_environment(os.environ),
        login=RedshiftLogin.from_environment(os.environ),
        allowed_procedures=tuple(required(os.environ, "ALLOWED_PROCEDURES").split(",")),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Submit the procedure that the execution's input names; the outcome comes through the task token."""
    settings = _settings()
    settings.statements.submitter(settings.login).submit_for(
        event,
        StatementKind.STORED_PROCEDURE,
        lambda _: _call(event["execution"], settings),
    )


def _call(execution: dict[str, Any], settings: Settings) -> Statement:
    """The call that an execution's input asks for, which nobody else makes meanwhile if it is to be a singleton."""
    request = parse_input(ProcedureRequest, execution["Input"])
    call = procedure_call(request, settings.allowed_procedures)
    if request.singleton is not None:
        started_at = datetime.fromisoformat(execution["StartTime"]).timestamp()
        take_singleton(
            client("dynamodb"),
            settings.statements.ledger_table,
            request.singleton,
            execution["Id"],
            client("stepfunctions"),
            waited_seconds=time.time() - started_at if request.wait else None,
        )
    return call
