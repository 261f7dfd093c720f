"""A look into the unloaded files before the load: whether their columns fit the target, and what a few rows cost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from dynamo_load.encoding.items import KEY_VERSION, EncodedRows, ItemEncoder
from dynamo_load.errors import AmbiguousColumns
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import Piece, Slice
from dynamo_load.reading.piece_reader import PieceReader
from statements.identifiers import parse_identifier
from unload.buckets import BUCKET_COLUMN
from unload.errors import UnsuitableIncrementalColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from unload.manifest import Manifest, UnloadedFile
    from unload.request import Incremental

_SAMPLED_FILES = 8


@dataclass(frozen=True)
class Fit:
    """How the columns fit the target.

    `warnings` are sentences about what fits and is hardly meant. `key_form` is what the text of a key, and its hash,
    depend on; None if there are no rows, which fit any target.
    """

    warnings: "Sequence[str]" = ()
    key_form: str | None = None


def check_columns(
    s3: "S3Client", bucket: str, manifest: "Manifest", mapping: ItemMapping, incremental: "Incremental | None"
) -> Fit:
    """Check the columns against the target.

    The columns are those of the first file that has rows; an UNLOAD of no rows has none to check. Raises what
    ItemEncoder raises if they don't fit, what PieceReader raises if the file can't be read, AmbiguousColumns and
    UnsuitableIncrementalColumn.
    """
    first = next((file for file in manifest.files if file.rows), None)
    if first is None:
        return Fit()
    schema = _reader(s3, bucket, first).schema
    encoder = ItemEncoder(schema, mapping)
    if mapping.hash_column and BUCKET_COLUMN in schema.names:
        raise AmbiguousColumns(
            f"rename the column {BUCKET_COLUMN!r} in the query: the load needs the name for the folders of its files."
        )
    if incremental:
        _check_exact(incremental, schema)
    target = mapping.target
    form = [
        [key.name, key.type, manifest.stored_as(column), str(schema.field(column).type)]
        for key, column in zip(target.key, encoder.key_columns, strict=True)
    ]
    warning = f"no column becomes {target.ttl_attribute!r}, so the items will not expire as others of {target.name} do."
    return Fit([] if encoder.has_expiries else [warning], json.dumps([KEY_VERSION, *form]))


def _check_exact(incremental: "Incremental", schema: pa.Schema) -> None:
    """Refuse a column of floating-point numbers: how far a load came is kept as text, which may be rounded up."""
    (name,) = parse_identifier(incremental.column, max_parts=1).parts
    if any(field.name.lower() == name.lower() and pa.types.is_floating(field.type) for field in schema):
        raise UnsuitableIncrementalColumn(
            f"take another column than {incremental.column!r}, or cast it to DECIMAL in the query: Redshift rounds the "
            "text of floating-point numbers, so that the next load could miss rows just beyond the highest value."
        )


@dataclass(frozen=True)
class SampledRows:
    """Rows as a loader encodes them, and the epoch seconds at which those with a time to live expire."""

    encoded: EncodedRows
    expiries: "NDArray[np.float64]"


def sample(s3: "S3Client", bucket: str, manifest: "Manifest", mapping: ItemMapping) -> Iterator[SampledRows]:
    """The first rows of a few files that are spread over all."""
    files = [file for file in manifest.files if file.rows]
    for file in files[:: -(-len(files) // _SAMPLED_FILES) or 1]:
        reader = _reader(s3, bucket, file)
        encoder = ItemEncoder(reader.schema, mapping)
        rows = next(reader.chunks(0)).rows
        yield SampledRows(encoder.encode(rows), encoder.expiries(rows))


def _reader(s3: "S3Client", bucket: str, file: "UnloadedFile") -> PieceReader:
    return PieceReader(s3, bucket, Piece(file.key, file.rows, (Slice(file.key, None, file.rows),)))
