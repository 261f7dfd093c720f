"""Whether UNLOAD must encrypt with KMS: asked of the data bucket, which must exist before UNLOAD starts."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_errors import named_failures
from unload.errors import BucketNotFound, BucketRefused

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def bucket_uses_kms(s3: "S3Client", bucket: str) -> bool:
    """Whether the bucket encrypts with KMS by default.

    Raises BucketNotFound, BucketRefused, AwsUnavailable and AwsRefused.
    """
    with named_failures():
        try:
            answer = s3.get_bucket_encryption(Bucket=bucket)
        except ClientError as error:
            match error.response["Error"]["Code"]:
                case "NoSuchBucket" | "404":
                    raise BucketNotFound(
                        f"bucket {bucket} does not exist: correct the stack's DataS3Bucket, or leave it empty."
                    ) from error
                case "AccessDenied" | "403":
                    raise BucketRefused(
                        f"bucket {bucket} may not be looked at (s3:GetEncryptionConfiguration): is it another "
                        "account's?"
                    ) from error
                case "ServerSideEncryptionConfigurationNotFoundError":
                    return False
            raise
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"]
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    return any(default.get("SSEAlgorithm", "").startswith("aws:kms") for default in defaults)
