"""The S3 that UNLOAD and COPY reach, through the IAM role that the statement names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3.client import S3Client

DEFAULT_ROLE: Final = "default"


class RoleNotUsable(Exception):
    """The IAM role of an UNLOAD or COPY isn't attached to the cluster, doesn't exist, or can't be assumed."""


class Storage:
    """S3 as the cluster sees it: each statement's client carries the credentials of the role it names.

    `session` holds the credentials that the cluster itself has; `default_role` is the ARN behind `IAM_ROLE default`,
    None if the cluster has none.
    """

    def __init__(self, session: boto3.Session, endpoint_url: str | None, default_role: str | None) -> None:
        self._session = session
        self._endpoint_url = endpoint_url
        self._default_role = default_role

    def as_role(self, role: str) -> S3Client:
        """An S3 client with the rights of `role`, an ARN or `default`. Raises `RoleNotUsable`."""
        arn = self._default_role if role == DEFAULT_ROLE else role
        if arn is None:
            raise RoleNotUsable("the cluster has no default IAM role; name one by its ARN")
        try:
            self._session.client("iam", endpoint_url=self._endpoint_url).get_role(RoleName=arn.rpartition("/")[2])
            credentials = self._session.client("sts", endpoint_url=self._endpoint_url).assume_role(
                RoleArn=arn, RoleSessionName="RedshiftIamRoleSession"
            )["Credentials"]
        except ClientError as error:
            raise RoleNotUsable(
                f"User arn:aws:redshift is not authorized to assume IAM Role {arn}: {error.response['Error']['Code']}"
            ) from error
        return self._session.client(
            "s3",
            endpoint_url=self._endpoint_url,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
        )
