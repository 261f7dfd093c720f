"""RedshiftUnloadFunction: submits the UNLOAD of a load for a task that waits for its token."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from data_bucket import load_id, unload_prefix
from environment import required
from execution_input import parse_input
from statements.data_api import RedshiftLogin, Statement
from statements.names import StatementKind
from statements.settings import StatementSettings
from telemetry import logger, metrics, traced
from unload.encryption import bucket_uses_kms
from unload.query import requested_query
from unload.request import LoadRequest
from unload.statement import UnloadOptions, unload_statement


@dataclass(frozen=True)
class Settings:
    """This function's environment; `query` is what an input without one unloads, and may be empty."""

    statements: StatementSettings
    login: RedshiftLogin
    bucket: str
    options: UnloadOptions
    query: str


@cache
def _settings() -> Settings:
    return Settings(
        statements=StatementSettings.from_environment(os.environ),
        login=RedshiftLogin.from_environment(os.environ),
        bucket=required(os.environ, "DATA_BUCKET"),
        options=UnloadOptions.from_environment(os.environ),
        query=os.environ.get("UNLOAD_QUERY", ""),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Submit the UNLOAD that the execution's input asks for; the outcome comes through the task token."""
    settings = _settings()
    settings.statements.submitter(settings.login).submit_for(
        event, StatementKind.UNLOAD, lambda name: _unload(event["execution"], name, settings)
    )


def _unload(execution: dict[str, Any], name: str, settings: Settings) -> Statement:
    query = requested_query(parse_input(LoadRequest, execution["Input"]), settings.query)
    with_kms = bucket_uses_kms(client("s3"), settings.bucket)
    destination = f"s3://{settings.bucket}/{unload_prefix(load_id(execution['Id'], name))}"
    return unload_statement(query, destination, settings.options, encrypt_with_kms=with_kms)
