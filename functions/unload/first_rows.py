"""A look into the unloaded files before the load: whether their columns fit the target, and what a few rows cost."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dynamo_load.encoding.items import EncodedRows, ItemEncoder
from dynamo_load.mapping import ItemMapping
from dynamo_load.plan import Piece, Slice
from dynamo_load.reading.piece_reader import PieceReader

if TYPE_CHECKING:
    import numpy as np
    from mypy_boto3_s3 import S3Client
    from numpy.typing import NDArray

    from unload.manifest import Manifest, UnloadedFile

_SAMPLED_FILES = 8


def check_columns(s3: "S3Client", bucket: str, manifest: "Manifest", mapping: ItemMapping) -> list[str]:
    """Check the columns against the target, and return warnings about what can be loaded and is hardly meant.

    The columns are those of the first file that has rows; an UNLOAD of no rows has none to check. Raises what
    ItemEncoder raises if they don't fit, and what PieceReader raises if the file can't be read.
    """
    first = next((file for file in manifest.files if file.rows), None)
    if first is None or ItemEncoder(_reader(s3, bucket, first).schema, mapping).has_expiries:
        return []
    target = mapping.target
    return [f"no column becomes {target.ttl_attribute!r}, so the items will not expire as others of {target.name} do."]


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
