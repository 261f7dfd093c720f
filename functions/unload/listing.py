"""What an UNLOAD left in the data bucket, proven to be what its manifest says."""

from typing import TYPE_CHECKING

import awswrangler as wr

from unload.errors import ManifestMismatch
from unload.manifest import Manifest, check_files, read_manifest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# ListObjectsV2 tells sizes, but awswrangler's listing drops them: what it has for sizes is one HEAD per file, each
# mostly waiting.
_SIZE_THREADS = 16


def find_unloaded(s3: "S3Client", bucket: str, prefix: str) -> Manifest:
    """The files of a finished UNLOAD under a prefix that ends in `/`.

    An UNLOAD of no rows writes no files, and no manifest either: that is a manifest without files.
    Raises InvalidManifest and ManifestMismatch.
    """
    location = f"s3://{bucket}/{prefix}"
    manifest_url = f"{location}manifest"
    found = list(wr.s3.list_objects(location))
    files = [url for url in found if url != manifest_url]
    if manifest_url not in found:
        if files:
            raise ManifestMismatch(
                f"{location} holds {len(files):,} files but no manifest, so they may not be all: run the load again."
            )
        return Manifest((), (), ())
    manifest = read_manifest(s3.get_object(Bucket=bucket, Key=f"{prefix}manifest")["Body"].read(), location)
    sizes = wr.s3.size_objects(files, use_threads=_SIZE_THREADS) if files else {}
    check_files(manifest, {url.removeprefix(f"s3://{bucket}/"): size for url, size in sizes.items()})
    return manifest
