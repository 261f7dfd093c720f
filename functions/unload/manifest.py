"""The manifest of an UNLOAD: which files it wrote, with how many rows.

Format: the examples of UNLOAD ... MANIFEST VERBOSE in the Redshift database developer guide. Files and rows are read
strictly, for every row must be accounted for; the schema leniently, for its details are not documented, nor is what
becomes of a manifest without rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from unload.errors import InvalidManifest, ManifestMismatch

_SUPER_TYPES = frozenset({"super"})
# `character` in the example of UNLOAD's page; the others are its names in "Character types".
_CHAR_TYPES = frozenset({"character", "char", "nchar", "bpchar"})


@dataclass(frozen=True)
class UnloadedFile:
    """One Parquet file: its object key in the data bucket, its size in bytes, its rows.

    The size is the manifest's `content_length` until it is held against S3's own.
    """

    key: str
    bytes: int
    rows: int


@dataclass(frozen=True)
class Manifest:
    """All files of an UNLOAD in the manifest's order, and the types of its columns as far as they are told."""

    files: tuple[UnloadedFile, ...] = ()
    types: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def super_columns(self) -> tuple[str, ...]:
        """The columns whose text is JSON."""
        return tuple(column for column, kind in self.types.items() if kind["base"] in _SUPER_TYPES)

    @property
    def char_columns(self) -> tuple[str, ...]:
        """The columns whose text is padded."""
        return tuple(column for column, kind in self.types.items() if kind["base"] in _CHAR_TYPES)

    @property
    def lengths(self) -> dict[str, int]:
        """How many bytes a value of a text column may have, as far as it is told."""
        told = ((column, kind.get("max_length")) for column, kind in self.types.items())
        return {column: length for column, length in told if isinstance(length, int) and length > 0}

    def stored_as(self, column: str) -> str:
        """The type by which a value's binary form is told: of padded text, with its length ("" if it isn't told)."""
        kind = self.types.get(column, {"base": ""})
        return f"{kind['base']}({kind.get('max_length', '')})" if kind["base"] in _CHAR_TYPES else str(kind["base"])

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
    meta: _Counts | None = None
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
    manifest = Manifest(files, _types(document.columns))
    if document.meta is None and manifest.rows:
        raise InvalidManifest(f"{location}manifest: meta: Field required, as its files have rows.")
    if document.meta and document.meta.record_count != manifest.rows:
        raise ManifestMismatch(
            f"{location}manifest says {document.meta.record_count:,} rows in all, but its files have {manifest.rows:,}."
        )
    return manifest


def _key(url: str, location: str) -> str:
    if not url.startswith(location) or url == location:
        raise ManifestMismatch(f"{location}manifest lists {url}, which lies elsewhere.")
    return url.removeprefix("s3://").split("/", 1)[1]


def _types(schema: Any) -> dict[str, dict[str, Any]]:
    match schema:
        case {"elements": [*elements]}:
            return {
                element["name"]: element["type"]
                for element in elements
                if isinstance(element, dict)
                and isinstance(element.get("name"), str)
                and isinstance(element.get("type"), dict)
                and isinstance(element["type"].get("base"), str)
            }
    return {}
