"""The reviews in a table of the local Redshift."""

from __future__ import annotations

import tempfile
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from local import reviews
from local.data_api import DataApi
from local.stack import ARTIFACTS_BUCKET, PROJECT

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from local.stack import LocalAws

NAME = "public.amazon_reviews_parquet"

_DDL = PROJECT / "scripts" / "setup_redshift_table.sql"
_PREFIX = "reviews/"
_BATCHES_PER_FILE = 10


def fill(aws: LocalAws, rows: int, *, timeout_seconds: float = 600.0) -> None:
    """Create the table if it is missing and add the first `rows` reviews to it by COPY from S3.

    The files are written one at a time, and deleted when they are copied. Raises `SqlFailedError` with Redshift's words
    if a statement fails or takes too long.
    """
    redshift = DataApi(aws.client("redshift-data"), aws.redshift_connection)
    redshift.run_script(_DDL)
    if rows == 0:
        return
    s3: S3Client = aws.client("s3")
    source = reviews.batches(rows)
    keys: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "reviews.parquet")
        try:
            while batches := list(islice(source, _BATCHES_PER_FILE)):
                reviews.write_parquet(file, batches)
                keys.append(f"{_PREFIX}{len(keys):05}.parquet")
                s3.upload_file(str(file), ARTIFACTS_BUCKET, keys[-1])
            copy = f"COPY {NAME} FROM 's3://{ARTIFACTS_BUCKET}/{_PREFIX}' IAM_ROLE default FORMAT AS PARQUET"
            redshift.query(copy, timeout_seconds=timeout_seconds)
        finally:
            for key in keys:
                s3.delete_object(Bucket=ARTIFACTS_BUCKET, Key=key)
