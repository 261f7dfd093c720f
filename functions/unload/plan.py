"""The plan of one load: what every loader is told, and the list of pieces that the Distributed Map reads from S3."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamo_load.mapping import IndexKeyAttribute
from dynamo_load.reading.piece_reader import row_group_rows
from unload.errors import ManifestMismatch
from unload.locations import execution_name, pieces_key
from unload.work_list import as_json, cut, rows_per_piece

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from unload.manifest import Manifest, UnloadedFile
    from unload.request import LoadLimits

# As many as a client keeps connections for; reading a footer is mostly waiting.
_FOOTER_THREADS = 10


@dataclass(frozen=True)
class LoadPlan:
    """What a load has to do; its size in state does not grow with the table.

    `pieces`, `files`, `rows` and `bytes` are totals; `index_keys` are the key attributes of the table's secondary
    indexes; `load_id` names the load in the ledger; `max_write_units_per_second` 0 means no budget.
    """

    bucket: str
    pieces_key: str
    pieces: int
    files: int
    rows: int
    bytes: int
    super_columns: list[str]
    index_keys: list[IndexKeyAttribute]
    load_id: str
    table: str
    max_write_units_per_second: int
    rejects_allowed: int
    loader_concurrency: int


def plan_load(
    s3: "S3Client",
    bucket: str,
    manifest: "Manifest",
    *,
    execution_arn: str,
    table: str,
    index_keys: Sequence[IndexKeyAttribute],
    limits: "LoadLimits",
) -> LoadPlan:
    """Cut the unloaded rows into pieces, write these to S3, and return the plan. Twice gives the same twice.

    Of files whose row groups must be known, raises what `row_group_rows` raises, and ManifestMismatch.
    """
    most_rows = rows_per_piece(manifest.rows, limits.loader_concurrency)
    large = [file for file in manifest.files if file.rows > most_rows]
    groups = _row_groups_by_key(s3, bucket, large)
    pieces = cut(manifest.files, most_rows, lambda file: groups[file.key])
    key = pieces_key(execution_arn)
    s3.put_object(Bucket=bucket, Key=key, Body=as_json(pieces), ContentType="application/json")
    return LoadPlan(
        bucket=bucket,
        pieces_key=key,
        pieces=len(pieces),
        files=len(manifest.files),
        rows=manifest.rows,
        bytes=manifest.bytes,
        super_columns=list(manifest.super_columns),
        index_keys=list(index_keys),
        load_id=execution_name(execution_arn),
        table=table,
        max_write_units_per_second=limits.max_write_units_per_second,
        rejects_allowed=limits.rejects_allowed,
        loader_concurrency=limits.loader_concurrency,
    )


def _row_groups_by_key(s3: "S3Client", bucket: str, files: "Sequence[UnloadedFile]") -> Mapping[str, list[int]]:
    with ThreadPoolExecutor(_FOOTER_THREADS) as threads:
        found = threads.map(lambda file: _row_groups(s3, bucket, file), files)
        return {file.key: groups for file, groups in zip(files, found, strict=True)}


def _row_groups(s3: "S3Client", bucket: str, file: "UnloadedFile") -> list[int]:
    groups = row_group_rows(s3, bucket, file.key)
    if sum(groups) != file.rows:
        raise ManifestMismatch(
            f"s3://{bucket}/{file.key} has {sum(groups):,} rows, the manifest says {file.rows:,}: run the load again."
        )
    return groups
