"""What counts as a manifest, and when the files are those that it lists."""

import json
from typing import Any

import pytest

from tests.unit.unload.conftest import BUCKET, PREFIX
from unload.errors import InvalidManifest, ManifestMismatch
from unload.manifest import UnloadedFile, read_manifest

LOCATION = f"s3://{BUCKET}/{PREFIX}"


def document(**changes: Any) -> dict[str, Any]:
    return {
        "entries": [
            {"url": f"{LOCATION}0000_part_00.parquet", "meta": {"content_length": 32295, "record_count": 10}},
            {"url": f"{LOCATION}0001_part_00.parquet", "meta": {"content_length": 32771, "record_count": 20}},
        ],
        "schema": {
            "elements": [
                {"name": "id", "type": {"base": "integer"}},
                {"name": "name", "type": {"base": "character varying", "max_length": 25}},
                {"name": "tags", "type": {"base": "super"}},
            ]
        },
        "meta": {"content_length": 65066, "record_count": 30},
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    } | changes


def read(document: Any) -> Any:
    return read_manifest(json.dumps(document).encode(), LOCATION)


def test_files_totals_and_super_columns_are_read() -> None:
    manifest = read(document())
    assert manifest.files == (
        UnloadedFile(f"{PREFIX}0000_part_00.parquet", bytes=32295, rows=10),
        UnloadedFile(f"{PREFIX}0001_part_00.parquet", bytes=32771, rows=20),
    )
    assert (manifest.rows, manifest.bytes, manifest.super_columns) == (30, 65066, ("tags",))
    assert manifest.char_columns == ()


def test_lengths_are_those_that_the_manifest_tells_as_numbers_of_bytes() -> None:
    told = {"name": 25, "code": 5, "none": None, "text": "25", "endless": -1, "empty": 0}
    elements = [{"name": name, "type": {"base": "character", "max_length": told[name]}} for name in told]
    manifest = read(document(schema={"elements": [*elements, {"name": "id", "type": {"base": "integer"}}]}))
    assert manifest.lengths == {"name": 25, "code": 5}


@pytest.mark.parametrize("base", ["character", "char", "nchar", "bpchar"])
def test_char_columns_are_those_of_any_name_of_the_type(base: str) -> None:
    elements = [
        {"name": "code", "type": {"base": base, "max_length": 2}},
        {"name": "name", "type": {"base": "character varying", "max_length": 2}},
    ]
    manifest = read(document(schema={"elements": elements}))
    assert (manifest.char_columns, manifest.super_columns) == (("code",), ())


def test_the_stored_type_of_a_column_is_its_name_and_the_length_only_where_text_is_padded_to_it() -> None:
    elements = [
        {"name": "code", "type": {"base": "character", "max_length": 2}},
        {"name": "name", "type": {"base": "character varying", "max_length": 25}},
        {"name": "price", "type": {"base": "numeric", "precision": 5, "scale": 2}},
    ]
    manifest = read(document(schema={"elements": elements}))
    stored = [manifest.stored_as(column) for column in ("code", "name", "price", "none")]
    assert stored == ["character(2)", "character varying", "numeric", ""]


@pytest.mark.parametrize(
    "schema",
    [
        None,
        [],
        {"elements": None},
        {"elements": [5, {"name": 1}, {"name": "a"}, {"name": "a", "type": "super"}]},
        {"elements": [{"name": "a", "type": {"base": ["super"]}}]},
    ],
)
def test_a_schema_in_another_form_is_no_fault(schema: Any) -> None:
    assert read(document(schema=schema)).super_columns == ()


@pytest.mark.parametrize(
    ("faulty", "named"),
    [
        ({}, "entries"),
        ([], "the document"),
        (document(entries=[{"url": f"{LOCATION}a"}]), "entries.0.meta"),
        (document(meta={"content_length": 1}), "meta.record_count"),
        (document(meta={"content_length": 1, "record_count": "30"}), "meta.record_count"),
        (document(meta={"content_length": 1, "record_count": -1}), "meta.record_count"),
    ],
)
def test_a_document_that_is_no_verbose_manifest_is_refused(faulty: Any, named: str) -> None:
    with pytest.raises(InvalidManifest, match=named):
        read(faulty)


def test_a_manifest_that_breaks_off_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="manifest"):
        read_manifest(json.dumps(document()).encode()[:-10], LOCATION)


@pytest.mark.parametrize(
    "url", ["s3://other/unload/a.parquet", f"s3://{BUCKET}/unload/tuesday/a", LOCATION, "a.parquet"]
)
def test_a_file_outside_the_prefix_is_refused(url: str) -> None:
    entries = [{"url": url, "meta": {"content_length": 1, "record_count": 1}}]
    with pytest.raises(ManifestMismatch, match="elsewhere"):
        read(document(entries=entries, meta={"content_length": 1, "record_count": 1}))


def test_a_file_listed_twice_is_refused() -> None:
    entries = [document()["entries"][0]] * 2
    with pytest.raises(ManifestMismatch, match="more than once"):
        read(document(entries=entries, meta={"content_length": 64590, "record_count": 20}))


def test_rows_that_are_not_the_sum_are_refused() -> None:
    with pytest.raises(ManifestMismatch, match="31 rows in all, but its files have 30"):
        read(document(meta={"content_length": 65066, "record_count": 31}))


def test_bytes_that_are_not_the_sum_are_no_fault() -> None:
    """What `content_length` means is documented nowhere; rows are what is accounted for."""
    assert read(document(meta={"content_length": 5, "record_count": 30})).rows == 30


@pytest.mark.parametrize(
    "entries",
    [[], [{"url": f"{LOCATION}0000_part_00.parquet", "meta": {"content_length": 512, "record_count": 0}}]],
)
@pytest.mark.parametrize("without", [[], ["meta"], ["meta", "schema", "author"]])
def test_a_manifest_without_rows_may_lack_what_it_has_otherwise(entries: list[Any], without: list[str]) -> None:
    empty = document(entries=entries, meta={"content_length": 0, "record_count": 0})
    assert read({name: value for name, value in empty.items() if name not in without}).rows == 0


def test_a_manifest_without_totals_is_refused_if_it_has_rows() -> None:
    with pytest.raises(InvalidManifest, match="meta"):
        read({name: value for name, value in document().items() if name != "meta"})
