"""Going on with what a load has left undone, by the plan that was stored beside its pieces."""

import json
from typing import TYPE_CHECKING

from aws_errors import named_failures
from data_bucket import plan_key
from dynamo_load.accounting.ledger import pieces
from dynamo_load.errors import PlanOfAnotherVersion
from dynamo_load.plan import LoadPlan
from errors import PipelineError
from target.table import TargetTable
from unload.errors import LoadNotReplayable, LoadNotResumable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client


def stored_plan(s3: "S3Client", bucket: str, load_id: str, failure: type[PipelineError] = LoadNotResumable) -> LoadPlan:
    """The plan of a load. Raises `failure` if there is none, or one of another version of this code."""
    with named_failures():
        try:
            text = s3.get_object(Bucket=bucket, Key=plan_key(load_id))["Body"].read()
        except s3.exceptions.NoSuchKey as error:
            raise failure(
                f"correct the name of the load, or start a new one: there is no s3://{bucket}/{plan_key(load_id)}. "
                "Plans are kept for 15 days."
            ) from error
    try:
        return LoadPlan.from_json(json.loads(text))
    except (ValueError, PlanOfAnotherVersion) as error:
        raise failure(f"start a new load: the plan of load {load_id} is not one of this version.") from error


def check_target(plan: LoadPlan, target: TargetTable, failure: type[PipelineError] = LoadNotResumable) -> None:
    """Raise `failure` if the plan is for another table than the one that has its name now."""
    planned = plan.mapping.target
    if (planned.made, planned.key) != (target.made, target.key):
        raise failure(
            f"start a new load: table {target.name} was deleted and made anew since load {plan.load_id} began."
        )


def check_replayable(
    s3: "S3Client", dynamodb: "DynamoDBClient", ledger_table: str, plan: LoadPlan, last_load: str | None, over: bool
) -> None:
    """Raise LoadNotReplayable unless the load of a plan is done with all of its rows, and the table is as it left it.

    `last_load` is the load that changed the table last. Only the load itself, and replays of its rejects, may have:
    else rows of later loads would be replaced by those that were rejected before, unless they are to be written `over`.
    """
    if plan.dry_run:
        raise LoadNotReplayable(f"name another load: {plan.load_id} was a dry run, which has written nothing.")
    found = list(pieces(dynamodb, ledger_table, plan.load_id))
    if len(found) != plan.pieces or not all(piece.finished for piece in found):
        raise LoadNotReplayable(
            f'go on with load {plan.load_id} by "resume" first, with enough "rejects_allowed": it was not done with '
            "all of its rows, so there may be more rejects."
        )
    if not over and last_load != plan.load_id and (last_load is None or _origin(s3, plan, last_load) != plan.origin):
        raise LoadNotReplayable(
            'give "write_over": true if the corrected rows shall replace whatever has their keys: '
            f"{last_load or 'another load'} has changed table {plan.mapping.target.name} since load {plan.load_id}."
        )


def _origin(s3: "S3Client", plan: LoadPlan, last_load: str) -> str | None:
    try:
        return stored_plan(s3, plan.bucket, last_load, LoadNotReplayable).origin
    except LoadNotReplayable:
        return None
