"""The manifest of an UNLOAD: which files it wrote, and that S3 holds exactly these.

Format: the examples of UNLOAD ... MANIFEST VERBOSE in the Redshift database developer guide. Files and counts are read
strictly, for every row must be accounted for; the schema leniently, for its details are not documented.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from unload.errors import InvalidManifest, ManifestMismatch

_SHOWN = 5
_SUPER_TYPES = frozenset({"super"})
# `character` in the example of UNLOAD's page; the others are its names in "Character types".
_CHAR_TYPES = frozenset({"character", "char", "nchar", "bpchar"})


@dataclass(frozen=True)
class UnloadedFile:
    """One Parquet file: its object key in the data bucket, its size in bytes, its rows."""

    key: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """All files of an UNLOAD in the manifest's order, and the columns whose text is JSON (SUPER) or padded (CHAR)."""

    files: tuple[UnloadedFile, ...]
    super_columns: tuple[str, ...]
    char_columns: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Counts(_Strict):
    content_length: NonNegativeInt
    record_count: NonNegativeInt


class _Entry(_Strict):
    url: str
    meta: _Counts


class _Document(_Strict):
    entries: list[_Entry]
    meta: _Counts
    # By its own name, the field would hide a method of pydantic's.
    columns: Any = Field(default=None, alias="schema")


def read_manifest(text: bytes, location: str) -> Manifest:
    """Read the manifest of an UNLOAD to `location` (`s3://bucket/prefix/`).

    Raises InvalidManifest, and ManifestMismatch when it lists files elsewhere, twice, or sums up wrongly.
    """
    try:
        document = _Document.model_validate_json(text)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in fault["loc"])
        raise InvalidManifest(f"{location}manifest: {where or 'the document'}: {fault['msg']}.") from error
    files = tuple(
        UnloadedFile(_key(entry.url, location), entry.meta.content_length, entry.meta.record_count)
        for entry in document.entries
    )
    if len({file.key for file in files}) < len(files):
        raise ManifestMismatch(f"{location}manifest lists a file more than once.")
    manifest = Manifest(
        files,
        super_columns=_columns(document.columns, _SUPER_TYPES),
        char_columns=_columns(document.columns, _CHAR_TYPES),
    )
    if (manifest.rows, manifest.bytes) != (document.meta.record_count, document.meta.content_length):
        raise ManifestMismatch(
            f"{location}manifest says {document.meta.record_count:,} rows and {document.meta.content_length:,} bytes "
            f"in all, but its files have {manifest.rows:,} rows and {manifest.bytes:,} bytes."
        )
    return manifest


def check_files(manifest: Manifest, found: Mapping[str, int | None]) -> None:
    """Compare with the objects that S3 holds (size in bytes by key); raises ManifestMismatch."""
    listed = {file.key: file.bytes for file in manifest.files}
    faults = {
        "missing": sorted(listed.keys() - found.keys()),
        "not in the manifest": sorted(found.keys() - listed.keys()),
        "of another size": sorted(key for key in listed.keys() & found.keys() if listed[key] != found[key]),
    }
    if any(faults.values()):
        raise ManifestMismatch(
            "the unloaded files are not those of the manifest: "
            + "; ".join(f"{what}: {_shown(keys)}" for what, keys in faults.items() if keys)
            + ". Run the load again: it unloads to a place of its own."
        )


def _key(url: str, location: str) -> str:
    if not url.startswith(location) or url == location:
        raise ManifestMismatch(f"{location}manifest lists {url}, which lies elsewhere.")
    return url.removeprefix("s3://").split("/", 1)[1]


def _columns(schema: Any, types: frozenset[str]) -> tuple[str, ...]:
    match schema:
        case {"elements": [*elements]}:
            return tuple(
                element["name"]
                for element in elements
                if isinstance(element, dict)
                and isinstance(element.get("name"), str)
                and isinstance(element.get("type"), dict)
                and isinstance(element["type"].get("base"), str)
                and element["type"]["base"] in types
            )
    return ()


def _shown(keys: list[str]) -> str:
    more = f" and {len(keys) - _SHOWN:,} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
