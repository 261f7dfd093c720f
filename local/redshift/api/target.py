"""The one Redshift cluster and the one serverless workgroup that exist locally, and which of them a request means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local.redshift.api.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

REGION = "us-east-1"
CLUSTER_IDENTIFIER = "local-redshift"
WORKGROUP_NAME = "local-workgroup"
# The role that UNLOAD and COPY take with `IAM_ROLE default`; it must exist in IAM to be of use.
DEFAULT_ROLE = "local-redshift"
# Policies name a workgroup by its id, not its name (Service Authorization Reference, Amazon Redshift Data API).
WORKGROUP_ID = "10ca1000-0000-4000-8000-000000000001"

_OPERATIONS_ON_A_TARGET = {
    "ExecuteStatement",
    "BatchExecuteStatement",
    "ListDatabases",
    "ListSchemas",
    "ListTables",
    "DescribeTable",
}


@dataclass(frozen=True)
class Target:
    """A cluster or a workgroup: `identifier` is the value a response shows under the member `member`."""

    member: str
    identifier: str
    arn: str

    @property
    def is_cluster(self) -> bool:
        """Whether it is a provisioned cluster."""
        return self.member == "ClusterIdentifier"


def find(request: Mapping[str, Any], region: str, account: str) -> Target:
    """The cluster or workgroup that a request means.

    Raises `ValidationError`: The request names none, both, or one that doesn't exist.
    """
    named = [member for member in ("ClusterIdentifier", "WorkgroupName") if member in request]
    if not named:
        raise ValidationError("Either ClusterIdentifier or WorkgroupName needs to be specified.")
    if len(named) > 1:
        raise ValidationError("Only one of ClusterIdentifier and WorkgroupName can be specified.")
    (member,) = named
    arn = _arn(request, region, account)
    existing = {_cluster_arn(CLUSTER_IDENTIFIER, region, account), _workgroup_arn(region, account)}
    if region != REGION or arn not in existing:
        raise ValidationError("Redshift endpoint doesn't exist in this region.")
    return Target(member, request[member], arn)


def resource_arn(operation: str, request: Mapping[str, Any], region: str, account: str) -> str:
    """What a policy's Resource must match for this call; `*` for operations without a resource.

    The actions table of the Service Authorization Reference for the Amazon Redshift Data API.
    """
    if operation not in _OPERATIONS_ON_A_TARGET:
        return "*"
    return _arn(request, region, account)


def _arn(request: Mapping[str, Any], region: str, account: str) -> str:
    cluster, workgroup = request.get("ClusterIdentifier"), request.get("WorkgroupName")
    if cluster:
        return _cluster_arn(cluster, region, account)
    if workgroup in (WORKGROUP_NAME, _workgroup_arn(region, account)):
        return _workgroup_arn(region, account)
    return str(workgroup) if workgroup else "*"


def _cluster_arn(identifier: str, region: str, account: str) -> str:
    return f"arn:aws:redshift:{region}:{account}:cluster:{identifier}"


def _workgroup_arn(region: str, account: str) -> str:
    return f"arn:aws:redshift-serverless:{region}:{account}:workgroup/{WORKGROUP_ID}"
