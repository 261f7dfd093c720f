"""All objects of a load's records: made when the load begins, removed when others have taken their place."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aws_errors import named_failures
from data_bucket import record_key
from errors import AwsRefused, AwsUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client

    from records.table_state import Generation

# As many as a client of boto3's keeps; each request is mostly waiting.
_CONNECTIONS = 10
# DeleteObjects takes 1,000 keys.
_KEYS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Generations:
    """The records of the table `table` that was made at `made`, in the data bucket `bucket`.

    Every call may be made twice, and raises AwsUnavailable and AwsRefused.
    """

    s3: S3Client
    bucket: str
    table: str
    made: str

    def open(self, generation: Generation) -> None:
        """Put an empty object for each bucket, which says that the load has not begun with it; never over another."""
        with named_failures(), ThreadPoolExecutor(_CONNECTIONS) as threads:
            list(threads.map(self._put_empty, self._keys(generation)))

    def remove(self, generations: Iterable[Generation]) -> None:
        """Remove the objects of loads that nobody goes by any more."""
        for generation in generations:
            keys = self._keys(generation)
            for first in range(0, len(keys), _KEYS_AT_ONCE):
                self._remove(keys[first : first + _KEYS_AT_ONCE])

    def _remove(self, keys: list[str]) -> None:
        with named_failures():
            answer = self.s3.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        for failure in answer.get("Errors", []):
            error = AwsRefused if failure["Code"] == "AccessDenied" else AwsUnavailable
            raise error(f"DeleteObjects failed for s3://{self.bucket}/{failure['Key']} ({failure['Code']}).")

    def _keys(self, generation: Generation) -> list[str]:
        return [record_key(self.table, self.made, generation.load_id, bucket) for bucket in range(generation.buckets)]

    def _put_empty(self, key: str) -> None:
        try:
            self.s3.put_object(Bucket=self.bucket, Key=key, IfNoneMatch="*")
        except self.s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
