"""RedshiftUnloadFunction: submits the UNLOAD of a load, or the count before it, for a task that waits for its token."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from data_bucket import load_id, unload_prefix
from environment import required
from statements.data_api import RedshiftLogin, Statement
from statements.names import StatementKind
from statements.settings import ExecutionSettings
from target.table import TargetTable
from telemetry import logger, metrics, traced
from unload.asked import AskedLoad
from unload.buckets import BUCKET_COLUMN
from unload.encryption import bucket_uses_kms
from unload.statement import UnloadOptions, unload_statement


@dataclass(frozen=True)
class Settings:
    """This function's environment; `query` is what an input without one unloads, and may be empty."""

    statements: ExecutionSettings
    login: RedshiftLogin
    bucket: str
    options: UnloadOptions
    query: str


@cache
def _settings() -> Settings:
    return Settings(
        statements=ExecutionSettings.from_environment(os.environ),
        login=RedshiftLogin.from_environment(os.environ),
        bucket=required(os.environ, "DATA_BUCKET"),
        options=UnloadOptions.from_environment(os.environ),
        query=os.environ.get("UNLOAD_QUERY", ""),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
@metrics.log_metrics
def handler(event: dict[str, Any], _context: LambdaContext) -> None:
    """Submit the statement of a load, `unload` or `count`; the outcome comes through the task token.

    `{"execution", "state", "task_token", "statement", "target", "known", "counted"}`, where `counted` is the output of
    the task that counted, or null.
    """
    settings = _settings()
    kind, make = _STATEMENTS[event["statement"]]
    submitter = settings.statements.submitter(settings.login)
    submitter.submit_for(event, kind, lambda name: make(event, name, settings))


def _count(event: dict[str, Any], _name: str, settings: Settings) -> Statement:
    return AskedLoad.from_event(event, settings.query).count


def _unload(event: dict[str, Any], name: str, settings: Settings) -> Statement:
    asked = AskedLoad.from_event(event, settings.query)
    return unload_statement(
        asked.rows(TargetTable.from_json(event["target"])),
        f"s3://{settings.bucket}/{unload_prefix(load_id(event['execution']['Id'], name))}",
        settings.options,
        partition_by=BUCKET_COLUMN if asked.request.has_buckets else None,
        encrypt_with_kms=bucket_uses_kms(client("s3"), settings.bucket),
    )


_STATEMENTS = {"unload": (StatementKind.UNLOAD, _unload), "count": (StatementKind.COUNT, _count)}
