"""The row groups of a Parquet file in S3, from its footer, at the cost of one small request or two."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from dynamo_load.errors import CorruptParquetFile, MissingFile
from unload.errors import ManifestMismatch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from unload.manifest import UnloadedFile

# A footer's length in four bytes, then the magic text ("File format" of Apache Parquet).
_TRAILER_BYTES = 8
# Most footers are smaller than this, so that one request is enough.
_FIRST_REQUEST_BYTES = 64 * 1024


def row_groups(s3: "S3Client", bucket: str, file: "UnloadedFile") -> list[int]:
    """The rows of each row group of a file.

    Raises MissingFile, CorruptParquetFile, and ManifestMismatch when it has other rows than the manifest says.
    """
    tail = _last_bytes(s3, bucket, file, _FIRST_REQUEST_BYTES)
    needed = int.from_bytes(tail[-_TRAILER_BYTES:-4], "little") + _TRAILER_BYTES
    if len(tail) < needed <= file.bytes:
        tail = _last_bytes(s3, bucket, file, needed)
    try:
        metadata = pq.read_metadata(pa.BufferReader(tail))
    except (pa.ArrowException, OSError) as error:
        raise CorruptParquetFile(f"s3://{bucket}/{file.key} can't be read as Parquet ({error}).") from error
    if metadata.num_rows != file.rows:
        raise ManifestMismatch(
            f"s3://{bucket}/{file.key} has {metadata.num_rows:,} rows, the manifest says {file.rows:,}: "
            "run the load again."
        )
    return [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]


def _last_bytes(s3: "S3Client", bucket: str, file: "UnloadedFile", count: int) -> bytes:
    try:
        return s3.get_object(Bucket=bucket, Key=file.key, Range=f"bytes=-{count}")["Body"].read()
    except s3.exceptions.NoSuchKey as error:
        raise MissingFile(f"s3://{bucket}/{file.key} was deleted after it was listed.") from error
    except ClientError as error:
        if error.response["Error"]["Code"] == "InvalidRange":
            raise CorruptParquetFile(f"s3://{bucket}/{file.key} is empty, so it isn't a Parquet file.") from error
        raise
