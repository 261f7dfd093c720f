"""RedshiftUnloadS3ListFunction: lists what was unloaded, proves it complete and fitting, and plans the load."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from aws_errors import named_failures
from data_bucket import load_id, unload_prefix
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits
from dynamo_load.reading.piece_reader import short_columns
from environment import required
from execution_input import parse_input
from locks.table import TableLock
from records.table_state import TableStates
from target.table import TargetTable
from telemetry import logger, traced
from unload.asked import AskedLoad
from unload.buckets import HASH_COLUMN
from unload.errors import LoadNotReplayable
from unload.estimate import estimate
from unload.first_rows import check_columns, sample
from unload.listing import find_unloaded
from unload.manifest import Manifest
from unload.planning import plan_load
from unload.refreshing import refresh_of, refuse_empty
from unload.replaying import Replay
from unload.request import LoadRequest, requested_limits
from unload.resuming import stored_plan


@dataclass(frozen=True)
class Settings:
    """This function's environment; `query` is what an input without one unloads, and may be empty."""

    bucket: str
    ledger_table: str
    query: str
    region: str


@cache
def _settings() -> Settings:
    return Settings(
        bucket=required(os.environ, "DATA_BUCKET"),
        ledger_table=required(os.environ, "LEDGER_TABLE"),
        query=os.environ.get("UNLOAD_QUERY", ""),
        region=required(os.environ, "AWS_REGION"),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return `{"plan", "report"}`: the plan of a load, or the report of an upsert's dry run, the other null.

    Loaders count what a dry run in another mode would do, by a plan that says so. The event is `{"execution", "unload",
    "target", "known", "counted"}`, the last two as for the UNLOAD; a replay of rejects has no `unload`.
    """
    logger.append_keys(execution_arn=event["execution"]["Id"])
    settings = _settings()
    request = parse_input(LoadRequest, event["execution"]["Input"])
    target = TargetTable.from_json(event["target"])
    ledger = client("dynamodb"), settings.ledger_table, target.name, event["execution"]["Id"]
    if request.takes_table:
        TableLock(*ledger).begin()
    states = TableStates(*ledger)
    if request.replay:
        return _replayed(request, request.replay, event["execution"], target, states, settings)
    asked = AskedLoad.from_event(event, settings.query)
    with named_failures():
        load = load_id(event["execution"]["Id"], event["unload"]["statement_name"])
        return _listed(asked, load, target, states, settings)


def _listed(
    asked: AskedLoad, load: str, target: TargetTable, states: TableStates, settings: Settings
) -> dict[str, Any]:
    s3, bucket, request = client("s3"), settings.bucket, asked.request
    limits = requested_limits(request, LoadLimits())
    manifest = find_unloaded(s3, bucket, unload_prefix(load))
    logger.info("unload listed", files=len(manifest.files), rows=manifest.rows, bytes=manifest.bytes)
    refuse_empty(request, manifest.rows)
    hash_column = HASH_COLUMN if request.has_buckets else None
    mapping = ItemMapping(
        target,
        manifest.super_columns,
        manifest.char_columns,
        request.attributes,
        hash_column,
        short_columns(manifest.lengths),
    )
    fit = check_columns(s3, bucket, manifest, mapping, request.incremental)
    for warning in fit.warnings:
        logger.warning(warning, table=target.name)
    if request.dry_run and not request.has_buckets:
        return _report(manifest, mapping, limits, fit.warnings, settings)
    refresh = refresh_of(asked, target, states, fit.key_form)
    plan = plan_load(s3, bucket, load, manifest, mapping, limits, request, refresh, progress=asked.progress)
    return {"plan": asdict(plan), "report": None}


def _replayed(
    request: LoadRequest,
    load: str,
    execution: dict[str, Any],
    target: TargetTable,
    states: TableStates,
    settings: Settings,
) -> dict[str, Any]:
    s3, bucket = client("s3"), settings.bucket
    limits = requested_limits(request, LoadLimits())
    replay = Replay.prepare(s3, stored_plan(s3, bucket, load, LoadNotReplayable), execution, target, states.read())
    if request.dry_run:
        return _report(replay.manifest, replay.mapping, limits, [], settings)
    plan = plan_load(
        s3,
        bucket,
        replay.load_id,
        replay.manifest,
        replay.mapping,
        limits,
        request,
        replay.refresh,
        replayed=replay.origin,
    )
    return {"plan": asdict(plan), "report": None}


def _report(
    manifest: Manifest, mapping: ItemMapping, limits: LoadLimits, warnings: Sequence[str], settings: Settings
) -> dict[str, Any]:
    report = estimate(
        manifest,
        sample(client("s3"), settings.bucket, manifest, mapping),
        limits=limits,
        capacity=mapping.target.capacity,
        region=settings.region,
        warnings=warnings,
    )
    return {"plan": None, "report": asdict(report)}
