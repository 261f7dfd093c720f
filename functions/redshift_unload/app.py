"""RedshiftUnloadFunction: submits the UNLOAD of a load for a task that waits for its token."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from data_bucket import load_id, unload_prefix
from environment import required
from statements.data_api import RedshiftTarget, Statement
from statements.inputs import parse_input
from statements.names import CallbackTask, StatementKind, statement_name
from statements.reporting import record_submission
from statements.settings import StatementSettings
from target.describing import configured_target, described_target
from target.table import TargetTable
from telemetry import logger, metrics, traced
from unload.encryption import bucket_uses_kms
from unload.query import requested_query
from unload.request import LoadRequest
from unload.statement import UnloadOptions, unload_statement


@dataclass(frozen=True)
class Settings:
    """This function's environment; `query` is what an input without one unloads, and may be empty."""

    statements: StatementSettings
    redshift: RedshiftTarget
    bucket: str
    target: TargetTable
    options: UnloadOptions
    query: str


@cache
def _settings() -> Settings:
    return Settings(
        statements=StatementSettings.from_environment(os.environ),
        redshift=RedshiftTarget.from_environment(os.environ),
        bucket=required(os.environ, "DATA_BUCKET"),
        target=configured_target(os.environ),
        options=UnloadOptions.from_environment(os.environ),
        query=os.environ.get("UNLOAD_QUERY", ""),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Submit the UNLOAD that the execution's input asks for; the outcome comes through the task token."""
    settings = _settings()
    task = CallbackTask.from_event(event)
    name = statement_name(StatementKind.UNLOAD, task)
    logger.append_keys(execution_arn=task.execution_arn, statement_name=name)
    prefix = unload_prefix(load_id(task.execution_arn, name))
    submission = settings.statements.submitter(settings.redshift).submit(
        task, name, lambda: _unload(event["execution"]["Input"], prefix, settings)
    )
    record_submission(submission)


def _unload(execution_input: Any, prefix: str, settings: Settings) -> Statement:
    query = requested_query(parse_input(LoadRequest, execution_input), settings.query)
    with_kms = bucket_uses_kms(client("s3"), settings.bucket)
    described_target(client("dynamodb"), settings.target)
    return unload_statement(query, f"s3://{settings.bucket}/{prefix}", settings.options, encrypt_with_kms=with_kms)
