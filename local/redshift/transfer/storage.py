"""The S3 that UNLOAD and COPY reach, through the IAM role that the statement names."""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Final, TypedDict

from botocore.exceptions import ClientError

from local.redshift.sql.failures import SqlFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3
    from mypy_boto3_s3.client import S3Client

DEFAULT_ROLE: Final = "default"

_URL: Final = re.compile(r"s3://([^/]+)/?(.*)", re.DOTALL)


class RoleNotUsable(SqlFailed):
    """The IAM role of an UNLOAD or COPY doesn't exist or can't be assumed."""


class _Credentials(TypedDict, total=False):
    """What a client is opened with; empty for the session's own credentials."""

    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: str


class Storage:
    """S3 as the cluster sees it: each statement's client carries the credentials of the role it names.

    `session` holds the credentials that the cluster itself has; `default_role` is the ARN behind `IAM_ROLE default`,
    None if the cluster has none.
    """

    def __init__(self, session: boto3.Session, endpoint_url: str | None, default_role: str | None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._default_role = default_role
        # Statements run in threads of their own; sessions are not made for that, clients are.
        self._opening_client = threading.Lock()
        self._iam = session.client("iam", endpoint_url=endpoint_url)

    def as_role(self, role: str, region: str | None = None) -> S3Client:
        """An S3 client with the rights of `role`: `default`, an ARN, or ARNs chained by commas.

        Raises `RoleNotUsable`.
        """
        chain = self._default_role if role == DEFAULT_ROLE else role
        if chain is None:
            raise RoleNotUsable("the cluster has no default IAM role: name a role by its ARN")
        credentials = _Credentials()
        for arn in chain.split(","):
            credentials = self._assume(arn, credentials)
        with self._opening_client:
            return self._session.client("s3", region_name=region, endpoint_url=self._endpoint_url, **credentials)

    def _assume(self, arn: str, credentials: _Credentials) -> _Credentials:
        with self._opening_client:
            sts = self._session.client("sts", endpoint_url=self._endpoint_url, **credentials)
        try:
            # An emulated STS hands out credentials for roles that don't exist.
            self._iam.get_role(RoleName=arn.rpartition("/")[2])
            assumed = sts.assume_role(RoleArn=arn, RoleSessionName="RedshiftIamRoleSession")["Credentials"]
        except ClientError as error:
            raise RoleNotUsable(
                f"User arn:aws:redshift is not authorized to assume IAM Role {arn} ({error.response['Error']['Code']})"
            ) from error
        return _Credentials(
            aws_access_key_id=assumed["AccessKeyId"],
            aws_secret_access_key=assumed["SecretAccessKey"],
            aws_session_token=assumed["SessionToken"],
        )


def split_url(url: str) -> tuple[str, str]:
    """The bucket, and the key or prefix, of `s3://bucket/key`. Raises `SqlFailed`."""
    match = _URL.fullmatch(url)
    if match is None:
        raise SqlFailed(f"The S3 location {url!r} must begin with s3://")
    return match.group(1), match.group(2)


def keys_under(s3: S3Client, bucket: str, prefix: str) -> Iterator[str]:
    """The keys of all objects whose key begins with `prefix`, in S3's order. Raises `ClientError`."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            yield item["Key"]


def storage_error(error: ClientError) -> str:
    """What Redshift reports when S3 refuses a request."""
    code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return f"S3ServiceException:{error.response['Error'].get('Message', '')},Status {status},Error {code}"
