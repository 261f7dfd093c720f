"""One object of S3 as a file that can be read anywhere, each read a request."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from dynamo_load.errors import CorruptParquetFile, FileAccessDenied, FileReadInterrupted, MissingFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

_TAIL_BYTES = 64 * 1024


class S3File(io.RawIOBase):
    """A seekable view of one S3 object. Its last bytes, where the footer is, are kept; a read elsewhere is one GET."""

    def __init__(self, s3: S3Client, bucket: str, key: str) -> None:
        super().__init__()
        self._s3, self._bucket, self.key = s3, bucket, key
        self.url = f"s3://{bucket}/{key}"
        self._position = 0
        self._etag: str | None = None
        self._tail = self._get(f"bytes=-{_TAIL_BYTES}")

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Return the position in bytes."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position, which costs nothing, and return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes from the position on (negative: all). Raises what is named in `errors`."""
        end = self._size if size < 0 else min(self._position + size, self._size)
        start, self._position = self._position, max(self._position, end)
        if end <= start:
            return b""
        tail_start = self._size - len(self._tail)
        if start >= tail_start:
            return self._tail[start - tail_start : end - tail_start]
        return self._get(f"bytes={start}-{end - 1}")

    def _get(self, byte_range: str) -> bytes:
        request: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": self.key, "Range": byte_range}
        if self._etag:
            # A file that is replaced meanwhile is refused rather than read as half of each.
            request["IfMatch"] = self._etag
        try:
            answer = self._s3.get_object(**request)
            self._etag = answer["ETag"]
            # An answer without a range is all of a small object.
            self._size = int(answer.get("ContentRange", f"/{answer['ContentLength']}").rsplit("/", 1)[-1])
            return answer["Body"].read()
        except ClientError as error:
            raise self._named(error) from error
        except BotoCoreError as error:
            raise FileReadInterrupted(
                f"reading {self.url} broke off ({type(error).__name__}); a retry goes on from the checkpoint."
            ) from error

    def _named(self, error: ClientError) -> Exception:
        match error.response["Error"]["Code"]:
            case "NoSuchKey" | "NoSuchBucket" | "404":
                return MissingFile(f"{self.url} isn't there: was it deleted, or did its lifecycle expire it?")
            case "AccessDenied" | "403":
                return FileAccessDenied(f"{self.url} may not be read: allow s3:GetObject, and kms:Decrypt on its key.")
            case "InvalidRange" | "416":
                return CorruptParquetFile(f"{self.url} is empty, so it isn't a Parquet file: unload it again.")
            case "PreconditionFailed" | "412":
                return CorruptParquetFile(f"{self.url} was replaced while it was read: unload it again.")
            case code:
                return FileReadInterrupted(f"S3 answered {code} for {self.url}; a retry goes on from the checkpoint.")
