"""Loading a corrected copy of what a load has rejected, in the place of what UNLOAD would have written."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from aws_errors import named_failures
from data_bucket import load_id, unload_prefix
from dynamo_load.accounting.corrected import corrected_rows
from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.encoding.items import ItemEncoder
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import LoadPlan, Refresh
from dynamo_load.reading.piece_reader import file_schema
from records.table_state import TableState
from target.table import TargetTable
from telemetry import logger
from unload.buckets import BUCKET_COLUMN
from unload.manifest import Manifest, UnloadedFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# So that several loaders can share the rows of a file.
_ROW_GROUP_ROWS = 25_000


@dataclass(frozen=True)
class Replay:
    """The corrected rows of a load as files of a load of their own, `load_id`, and what that is compared with."""

    load_id: str
    origin: str
    manifest: Manifest
    mapping: ItemMapping
    refresh: Refresh | None

    @classmethod
    def prepare(
        cls, s3: "S3Client", plan: LoadPlan, execution: Mapping[str, Any], target: TargetTable, state: TableState | None
    ) -> Self:
        """Write the corrected rows of the load of a plan to files of their own; the same for the same copy.

        If that load keeps a record, and no row's key was changed, the replay is compared with what is known of the
        table and notes what it writes. Else it is written as by mode upsert: nobody but Redshift can hash a new key.
        Raises what `corrected_rows` and `rows` raise, MissingFile if the rejects' own files are gone, what ItemEncoder
        raises if the columns don't fit the target any more, AwsUnavailable and AwsRefused.
        """
        corrected = corrected_rows(s3, plan.bucket, plan.load_id)
        hash_column = plan.mapping.hash_column
        schema = file_schema(s3, plan.bucket, corrected.file)
        mapping = replace(plan.mapping, target=target, short_columns=())
        refresh = None
        if hash_column and corrected.same(ItemEncoder(schema, mapping).key_columns):
            refresh = _refresh(plan, target, state)
        # An execution has one replay, however often it is tried or redriven.
        digest = hashlib.sha256(f"{execution['Id']}\n{execution['StartTime']}".encode()).hexdigest()
        name = load_id(execution["Id"], digest)
        rows = corrected.rows(schema, hash_column)
        files = tuple(_written(s3, plan.bucket, unload_prefix(name), rows, hash_column, refresh))
        logger.info("corrected rows taken", rows=len(rows), replayed=plan.load_id, compared=refresh is not None)
        return cls(name, plan.origin, Manifest(files), mapping, refresh)


def _refresh(plan: LoadPlan, target: TargetTable, state: TableState | None) -> Refresh | None:
    """Compare with all that is known of the table, if the hashes of the rejects still say where in the records."""
    if plan.refresh is None or state is None or (state.made, state.key_form) != (target.made, plan.refresh.key_form):
        return None
    known = state.current or next(iter(state.begun), None)
    if known is None:
        return None
    return Refresh(
        buckets=known.buckets,
        key_form=state.key_form,
        current=state.current,
        begun=state.begun,
        digests_hold=state.digests_hold and state.encoder == ENCODER_VERSION,
    )


def _written(
    s3: "S3Client", bucket: str, prefix: str, rows: pa.Table, hash_column: str | None, refresh: Refresh | None
) -> Iterator[UnloadedFile]:
    for folder, part in _folders(rows, hash_column, refresh):
        file = io.BytesIO()
        pq.write_table(part, file, row_group_size=_ROW_GROUP_ROWS, write_page_checksum=True)
        key = f"{prefix}{folder}corrected.parquet"
        with named_failures():
            s3.put_object(Bucket=bucket, Key=key, Body=file.getvalue())
        yield UnloadedFile(key, file.getbuffer().nbytes, len(part))


def _folders(rows: pa.Table, hash_column: str | None, refresh: Refresh | None) -> Iterator[tuple[str, pa.Table]]:
    if refresh is None or hash_column is None:
        yield "", rows
        return
    buckets = rows[hash_column].to_numpy() & (refresh.buckets - 1)
    for number in sorted(set(buckets.tolist())):
        yield f"{BUCKET_COLUMN}={number}/", rows.filter(pa.array(buckets == number))
