"""PrepareLoadFunction: checks a load's input, reads its target table, and takes the table for it."""

import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from environment import required
from execution_input import parse_input
from locks.table import TableLock
from target.describing import configured_target, loadable_tables, requested_target
from target.table import TargetTable
from telemetry import logger, traced
from unload.query import requested_query
from unload.request import LoadRequest


@dataclass(frozen=True)
class Settings:
    """This function's environment; `loadable` are the names and patterns of the tables that an input may name."""

    target: TargetTable
    loadable: tuple[str, ...]
    ledger_table: str
    query: str


@cache
def _settings() -> Settings:
    return Settings(
        target=configured_target(os.environ),
        loadable=loadable_tables(os.environ),
        ledger_table=required(os.environ, "LEDGER_TABLE"),
        query=os.environ.get("UNLOAD_QUERY", ""),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return `{"target", "held_by"}`: the table, and the execution that the load has to wait for, or null.

    A dry run writes nothing, and takes no table.
    """
    execution, settings = event["execution"], _settings()
    logger.append_keys(execution_arn=execution["Id"])
    request = parse_input(LoadRequest, execution["Input"])
    requested_query(request, settings.query)
    target = requested_target(client("dynamodb"), request.target_table, settings.target, settings.loadable)
    held_by = None if request.dry_run else _take(request, target, execution, settings)
    logger.info("load prepared", table=target.name, held_by=held_by)
    return {"target": asdict(target), "held_by": held_by}


def _take(request: LoadRequest, target: TargetTable, execution: dict[str, Any], settings: Settings) -> str | None:
    lock = TableLock(client("dynamodb"), settings.ledger_table, target.name, execution["Id"])
    if request.wait:
        started_at = datetime.fromisoformat(execution["StartTime"]).timestamp()
        return lock.take_or_wait(client("stepfunctions"), time.time() - started_at)
    lock.take(client("stepfunctions"))
    return None
