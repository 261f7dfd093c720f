"""The plan of one load, and the list of its pieces that the Distributed Map reads from S3."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from data_bucket import pieces_key
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan
from dynamo_load.reading.piece_reader import row_group_rows
from unload.listing import CONNECTIONS
from unload.manifest import Manifest, UnloadedFile
from unload.work_list import as_json, cut, rows_per_piece

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def plan_load(
    s3: "S3Client", bucket: str, load_id: str, manifest: Manifest, mapping: ItemMapping, limits: LoadLimits
) -> LoadPlan:
    """Cut the unloaded rows into pieces, write these to S3, and return the plan; the same again for the same files.

    Of files whose row groups must be known, raises what `row_group_rows` raises.
    """
    most_rows = rows_per_piece(manifest.rows, limits.loader_concurrency)
    large = [file for file in manifest.files if file.rows > most_rows]
    groups = _row_groups_by_key(s3, bucket, large)
    pieces = cut(manifest.files, most_rows, lambda file: groups[file.key])
    key = pieces_key(load_id)
    s3.put_object(Bucket=bucket, Key=key, Body=as_json(pieces), ContentType="application/json")
    return LoadPlan(
        load_id=load_id,
        bucket=bucket,
        pieces_key=key,
        pieces=len(pieces),
        files=len(manifest.files),
        rows=manifest.rows,
        bytes=manifest.bytes,
        mapping=mapping,
        limits=limits,
    )


def _row_groups_by_key(s3: "S3Client", bucket: str, files: Sequence[UnloadedFile]) -> Mapping[str, list[int]]:
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        found = threads.map(lambda file: row_group_rows(s3, bucket, file.key, file.rows), files)
        return {file.key: groups for file, groups in zip(files, found, strict=True)}
