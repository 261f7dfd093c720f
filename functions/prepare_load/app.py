"""PrepareLoadFunction: checks a load's input, takes its target table, and says what is known of that."""

import os
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from environment import required
from execution_input import parse_input
from locks.table import TableLock
from records.table_state import TableStates
from target.describing import ConfiguredTarget, loadable_tables, requested_target
from telemetry import logger, traced
from unload.buckets import Known, known_of, must_count
from unload.errors import LoadNotReplayable
from unload.query import requested_query
from unload.request import LoadRequest, requested_limits
from unload.resuming import check_replayable, check_target, stored_plan
from unload.taking import TableTaker


@dataclass(frozen=True)
class Settings:
    """This function's environment; `loadable` are the names and patterns of the tables that an input may name."""

    target: ConfiguredTarget
    loadable: tuple[str, ...]
    bucket: str
    ledger_table: str
    query: str


@cache
def _settings() -> Settings:
    return Settings(
        target=ConfiguredTarget.from_environment(os.environ),
        loadable=loadable_tables(os.environ),
        bucket=required(os.environ, "DATA_BUCKET"),
        ledger_table=required(os.environ, "LEDGER_TABLE"),
        query=os.environ.get("UNLOAD_QUERY", ""),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return `{"target", "held_by", "known", "count", "resumed", "replays"}` for an execution.

    `target` is the table, and `held_by` whom the load has to wait for, or null; then the others say nothing. `known` is
    what is known of the table, `count` whether that does not say how many rows to expect, `resumed` the plan of the
    load to go on with, or null, and `replays` whether rejects are loaded in place of a query. A dry run of an upsert
    takes no table.
    """
    execution, settings = event["execution"], _settings()
    logger.append_keys(execution_arn=execution["Id"])
    request = parse_input(LoadRequest, execution["Input"])
    dynamodb, resumed, replayed, name = client("dynamodb"), None, None, request.target_table
    if request.resume:
        resumed = stored_plan(client("s3"), settings.bucket, request.resume)
        name = resumed.mapping.target.name
    elif request.replay:
        replayed = stored_plan(client("s3"), settings.bucket, request.replay, LoadNotReplayable)
        name = replayed.mapping.target.name
    else:
        requested_query(request, settings.query)
    target = requested_target(dynamodb, name, settings.target, settings.loadable)
    held_by, known = None, Known(None, None)
    if request.takes_table:
        taker = TableTaker(dynamodb, client("stepfunctions"), settings.ledger_table)
        held_by = taker.take(target.name, request, execution)
    if resumed:
        check_target(resumed, target)
        planned = replace(resumed.mapping.target, capacity=target.capacity)
        mapping = replace(resumed.mapping, target=planned)
        resumed = replace(resumed, mapping=mapping, limits=requested_limits(request, resumed.limits))
    elif replayed:
        check_target(replayed, target, LoadNotReplayable)
        if not held_by:
            last_load = TableLock(dynamodb, settings.ledger_table, target.name, execution["Id"]).last_load()
            check_replayable(
                client("s3"), dynamodb, settings.ledger_table, replayed, last_load, over=request.write_over
            )
    elif not held_by and not request.forgets and (request.has_buckets or request.incremental):
        state = TableStates(dynamodb, settings.ledger_table, target.name, execution["Id"]).read()
        known = known_of(request, target, state)
    logger.info("load prepared", table=target.name, held_by=held_by)
    return {
        "target": asdict(target),
        "held_by": held_by,
        "timeout_seconds": request.timeout_seconds,
        "known": asdict(known),
        "count": not resumed and must_count(request, known),
        "resumed": resumed and asdict(resumed),
        "replays": replayed is not None,
    }
