"""What an UNLOAD left in the data bucket, proven to be what its manifest says."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import awswrangler as wr

from dynamo_load.errors import CorruptParquetFile
from dynamo_load.reading.piece_reader import row_group_rows
from telemetry import logger
from unload.errors import ManifestMismatch
from unload.manifest import Manifest, UnloadedFile, read_manifest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = 10
"""As many as a client of boto3's or awswrangler's keeps; each request is mostly waiting."""

_SHOWN = 5


@dataclass(frozen=True)
class _Object:
    """An object of S3: its size in bytes, and when it was written."""

    size: int
    modified: datetime


def find_unloaded(s3: "S3Client", bucket: str, prefix: str) -> Manifest:
    """The files of a finished UNLOAD under a prefix that ends in `/`.

    An UNLOAD of no rows writes no files, and no manifest either: that is a manifest without files.
    Raises InvalidManifest and ManifestMismatch, and of a file that is looked into what `row_group_rows` raises.
    """
    location, key = f"s3://{bucket}/{prefix}", f"{prefix}manifest"
    found = _objects(bucket, prefix)
    written = found.pop(key, None)
    if written is None:
        if found:
            raise ManifestMismatch(
                f"{location} holds {len(found):,} files but no manifest, so they may not be all: run the load again."
            )
        return Manifest()
    manifest = read_manifest(s3.get_object(Bucket=bucket, Key=key)["Body"].read(), location)
    listed = {file.key for file in manifest.files}
    _refuse({"missing": listed - found.keys(), "not in the manifest": found.keys() - listed})
    _check_sizes(s3, bucket, manifest, found, written)
    return replace(manifest, files=tuple(replace(file, bytes=found[file.key].size) for file in manifest.files))


def _objects(bucket: str, prefix: str) -> dict[str, _Object]:
    described = wr.s3.describe_objects(f"s3://{bucket}/{prefix}", use_threads=CONNECTIONS)
    return {
        url.removeprefix(f"s3://{bucket}/"): _Object(answer["ContentLength"], answer["LastModified"])
        for url, answer in described.items()
    }


def _check_sizes(
    s3: "S3Client", bucket: str, manifest: Manifest, found: Mapping[str, _Object], written: _Object
) -> None:
    """Let files be of another size than the manifest's `content_length` only where it can't mean their size.

    That it does is documented nowhere. If it does for one file, those of another size were changed. If it does for
    none, it is the rows that prove the load complete: each file's own count, which stands at its end.
    """
    other_size = {file for file in manifest.files if found[file.key].size != file.bytes}
    if not other_size:
        return
    if any(file.rows for file in manifest.files if file not in other_size):
        _refuse({"of another size": {file.key for file in other_size}})
    _refuse({"written after the manifest": {key for key in found if found[key].modified > written.modified}})
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        faults = threads.map(lambda file: _fault_in_rows(s3, bucket, file), other_size)
        _refuse({"without the rows of the manifest": {key for key in faults if key}})
    logger.warning(
        "content_length is not the size of the files; their rows are those of the manifest",
        files=len(other_size),
        content_length=manifest.bytes,
        size=sum(found[file.key].size for file in manifest.files),
    )


def _fault_in_rows(s3: "S3Client", bucket: str, file: UnloadedFile) -> str | None:
    """The key of a file that has other rows than the manifest says, or was cut short; None if all is well."""
    try:
        row_group_rows(s3, bucket, file.key, file.rows)
    except CorruptParquetFile:
        return file.key
    return None


def _refuse(faults: "Mapping[str, set[str]]") -> None:
    if any(faults.values()):
        raise ManifestMismatch(
            "the unloaded files are not those of the manifest: "
            + "; ".join(f"{what}: {_shown(sorted(keys))}" for what, keys in faults.items() if keys)
            + ". Run the load again: it unloads to a place of its own."
        )


def _shown(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
