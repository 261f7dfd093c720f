"""RedshiftUnloadS3ListFunction: lists what was unloaded, proves it complete and fitting, and plans the load."""

import os
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from aws_clients import client
from aws_errors import named_failures
from dynamo_load.target import Target
from environment import required
from statements.inputs import parse_input
from telemetry import logger, traced
from unload.destination import index_keys
from unload.estimate import WritePrice, estimate
from unload.listing import find_unloaded
from unload.locations import unload_prefix
from unload.plan import plan_load
from unload.request import LoadLimits, LoadRequest
from unload.rows import check_columns, sample


@dataclass(frozen=True)
class Settings:
    """This function's environment."""

    bucket: str
    target: Target
    limits: LoadLimits
    price: WritePrice


@cache
def _settings() -> Settings:
    return Settings(
        bucket=required(os.environ, "DATA_BUCKET"),
        target=Target.from_environment(os.environ),
        limits=LoadLimits.from_environment(os.environ),
        price=WritePrice.from_environment(os.environ),
    )


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Return the plan of a load, or of a dry run the report: `{"dry_run", "plan", "report"}`, the absent one null."""
    execution_arn = event["execution"]["Id"]
    logger.append_keys(execution_arn=execution_arn)
    request = parse_input(LoadRequest, event["execution"]["Input"])
    with named_failures():
        return _listed(request, execution_arn, event["unload"]["statement_name"], _settings())


def _listed(request: LoadRequest, execution_arn: str, statement_name: str, settings: Settings) -> dict[str, Any]:
    s3, bucket, limits = client("s3"), settings.bucket, settings.limits.overridden_by(request)
    manifest = find_unloaded(s3, bucket, unload_prefix(execution_arn, statement_name))
    logger.info("unload listed", files=len(manifest.files), rows=manifest.rows, bytes=manifest.bytes)
    table = settings.target.table
    mapping = settings.target.mapping.of_load(manifest.super_columns, index_keys(client("dynamodb"), table))
    check_columns(s3, bucket, manifest, mapping)
    if request.dry_run:
        report = estimate(
            manifest,
            sample(s3, bucket, manifest, mapping),
            max_write_units_per_second=limits.max_write_units_per_second,
            price=settings.price,
        )
        return {"dry_run": True, "plan": None, "report": asdict(report)}
    plan = plan_load(
        s3,
        bucket,
        manifest,
        execution_arn=execution_arn,
        table=table,
        index_keys=mapping.index_keys,
        limits=limits,
    )
    return {"dry_run": False, "plan": asdict(plan), "report": None}
