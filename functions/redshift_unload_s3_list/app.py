"""RedshiftUnloadS3ListFunction: lists what was unloaded, proves it complete and fitting, and plans the load."""

import os
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from aws_errors import named_failures
from data_bucket import load_id, unload_prefix
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits
from environment import number, required
from execution_input import parse_input
from target.table import TargetTable
from telemetry import logger, traced
from unload.estimate import estimate
from unload.first_rows import check_columns, sample
from unload.listing import find_unloaded
from unload.planning import plan_load
from unload.request import LoadRequest, configured_limits, requested_limits


@dataclass(frozen=True)
class Settings:
    """This function's environment."""

    bucket: str
    limits: LoadLimits
    dollars_per_million_write_units: float


@cache
def _settings() -> Settings:
    return Settings(
        bucket=required(os.environ, "DATA_BUCKET"),
        limits=configured_limits(os.environ),
        dollars_per_million_write_units=number(os.environ, "DOLLARS_PER_MILLION_WRITE_UNITS"),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the plan of a load, or of a dry run the report: `{"dry_run", "plan", "report"}`, the absent one null."""
    execution_arn = event["execution"]["Id"]
    logger.append_keys(execution_arn=execution_arn)
    request = parse_input(LoadRequest, event["execution"]["Input"])
    with named_failures():
        load = load_id(execution_arn, event["unload"]["statement_name"])
        return _listed(request, load, TargetTable.from_json(event["target"]), _settings())


def _listed(request: LoadRequest, load: str, target: TargetTable, settings: Settings) -> dict[str, Any]:
    s3, bucket = client("s3"), settings.bucket
    limits = requested_limits(request, settings.limits)
    manifest = find_unloaded(s3, bucket, unload_prefix(load))
    logger.info("unload listed", files=len(manifest.files), rows=manifest.rows, bytes=manifest.bytes)
    mapping = ItemMapping(target, manifest.super_columns, manifest.char_columns, request.attributes)
    warnings = check_columns(s3, bucket, manifest, mapping)
    for warning in warnings:
        logger.warning(warning, table=target.name)
    if request.dry_run:
        report = estimate(
            manifest,
            sample(s3, bucket, manifest, mapping),
            max_write_units_per_second=limits.max_write_units_per_second,
            dollars_per_million=settings.dollars_per_million_write_units,
            warnings=warnings,
        )
        return {"dry_run": True, "plan": None, "report": asdict(report)}
    plan = plan_load(s3, bucket, load, manifest, mapping, limits)
    return {"dry_run": False, "plan": asdict(plan), "report": None}
