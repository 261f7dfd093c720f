"""The plan of one load and the list of its pieces, both in S3: for a load that is resumed, and for Distributed Map."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import TYPE_CHECKING

from data_bucket import pieces_key, plan_key, unload_prefix
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadLimits, LoadPlan, Piece, Refresh
from dynamo_load.reading.piece_reader import row_group_rows
from records.table_state import Progress
from unload.listing import CONNECTIONS
from unload.manifest import Manifest, UnloadedFile
from unload.request import LoadRequest
from unload.work_list import as_json, cut, in_buckets, rows_per_piece

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def plan_load(
    s3: "S3Client",
    bucket: str,
    load_id: str,
    manifest: Manifest,
    mapping: ItemMapping,
    limits: LoadLimits,
    request: LoadRequest,
    refresh: Refresh | None,
    *,
    progress: Progress | None = None,
    replayed: str | None = None,
) -> LoadPlan:
    """Cut the unloaded rows into pieces, write these and the plan to S3, and return it; the same for the same files.

    With a `refresh`, each bucket is a piece. Raises ManifestMismatch and BucketTooLarge, and of files whose row groups
    must be known what `row_group_rows` raises.
    """
    if refresh:
        pieces = in_buckets(manifest.files, unload_prefix(load_id), refresh.buckets)
    else:
        pieces = _of_equal_rows(s3, bucket, manifest, limits)
    plan = LoadPlan(
        load_id=load_id,
        bucket=bucket,
        pieces_key=pieces_key(load_id),
        pieces=len(pieces),
        files=len(manifest.files),
        rows=manifest.rows,
        bytes=manifest.bytes,
        mapping=mapping,
        limits=limits,
        refresh=refresh,
        dry_run=request.dry_run,
        verify_sample=request.verify_sample,
        progress=progress,
        mode="replay" if replayed else request.mode,
        replayed=replayed,
    )
    for key, body in ((plan.pieces_key, as_json(pieces)), (plan_key(load_id), json.dumps(asdict(plan)).encode())):
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json")
    return plan


def _of_equal_rows(s3: "S3Client", bucket: str, manifest: Manifest, limits: LoadLimits) -> list[Piece]:
    most_rows = rows_per_piece(manifest.rows, limits.loader_concurrency)
    large = [file for file in manifest.files if file.rows > most_rows]
    groups = _row_groups_by_key(s3, bucket, large)
    return cut(manifest.files, most_rows, lambda file: groups[file.key])


def _row_groups_by_key(s3: "S3Client", bucket: str, files: Sequence[UnloadedFile]) -> Mapping[str, list[int]]:
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        found = threads.map(lambda file: row_group_rows(s3, bucket, file.key, file.rows), files)
        return {file.key: groups for file, groups in zip(files, found, strict=True)}
