"""Going on with a load that has failed, by the plan that was stored beside its pieces."""

import json
from typing import TYPE_CHECKING

from aws_errors import named_failures
from data_bucket import plan_key
from dynamo_load.errors import PlanOfAnotherVersion
from dynamo_load.plan import LoadPlan
from target.table import TargetTable
from unload.errors import LoadNotResumable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def stored_plan(s3: "S3Client", bucket: str, load_id: str) -> LoadPlan:
    """The plan of a load. Raises LoadNotResumable if there is none, or one of another version of this code."""
    with named_failures():
        try:
            text = s3.get_object(Bucket=bucket, Key=plan_key(load_id))["Body"].read()
        except s3.exceptions.NoSuchKey as error:
            raise LoadNotResumable(
                f"correct the input's resume, or start a new load: there is no s3://{bucket}/{plan_key(load_id)}. "
                "Plans are kept for 15 days."
            ) from error
    try:
        return LoadPlan.from_json(json.loads(text))
    except (ValueError, PlanOfAnotherVersion) as error:
        raise LoadNotResumable(f"start a new load: the plan of load {load_id} is not one of this version.") from error


def check_target(plan: LoadPlan, target: TargetTable) -> None:
    """Raise LoadNotResumable if the plan is for another table than the one that has its name now."""
    planned = plan.mapping.target
    if (planned.made, planned.key) != (target.made, target.key):
        raise LoadNotResumable(
            f"start a new load: table {target.name} was deleted and made anew since load {plan.load_id} began."
        )
