"""The rows that a load rejected, as its loaders have stored them in the data bucket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from data_bucket import rejects_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class RejectedRow:
    """A row as Redshift unloaded it, why DynamoDB can't take it (`reason`, `detail`), and where it comes from.

    It was row `file_row` of the `file` in the bucket and row `piece_row` of `piece`, both counted from 0. If
    `is_refused`, DynamoDB itself refused it; of a loader that was interrupted such a row may have been taken after all.
    """

    piece: str
    file: str
    file_row: int
    piece_row: int
    reason: str
    detail: str
    row: Mapping[str, Any]
    is_refused: bool


def rejected_rows(s3: S3Client, bucket: str, load_id: str) -> Iterator[RejectedRow]:
    """Yield the rejected rows of a load, each once. Raises AwsRefused and AwsUnavailable."""
    prefix = rejects_prefix(load_id)
    seen: set[tuple[str, int]] = set()
    with named_failures():
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                name = entry["Key"].removeprefix(prefix).removesuffix(".jsonl")
                is_refused = name.endswith("-refused")
                piece = name.removesuffix("-refused").rsplit("-", 2 if is_refused else 1)[0]
                for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].iter_lines():
                    reject = RejectedRow(piece=piece, is_refused=is_refused, **json.loads(line))
                    # A piece that began anew in another order keeps a row that was refused in two objects.
                    if (reject.file, reject.file_row) not in seen:
                        seen.add((reject.file, reject.file_row))
                        yield reject
