"""RedshiftUnloadS3ListFunction: a plan and its pieces for what UNLOAD wrote, or a named failure before any row."""

import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pytest
from moto.s3.models import s3_backends

import redshift_unload_s3_list.app
from dynamo_load.errors import (
    AmbiguousColumns,
    CorruptParquetFile,
    FileAccessDenied,
    FileReadInterrupted,
    KeyTypeMismatch,
    MissingFile,
    MissingKeyColumn,
    MissingTtlColumn,
    UnknownColumn,
    UnsupportedColumnName,
    UnsupportedColumnType,
)
from errors import AwsRefused, AwsUnavailable, InvalidInput, MissingConfiguration
from locks.errors import TableIsBeingLoaded
from tests.unit.unload.conftest import (
    ASKED,
    BUCKET,
    EXECUTION,
    LOAD,
    PREFIX,
    STATEMENT,
    Unloaded,
    answer_calls,
    list_unloaded,
    make_target,
    parquet,
    prepare,
    reviews,
    set_ttl,
)
from tests.unit.waiting_task import ACCOUNT, REGION, FunctionContext
from unload.errors import InvalidManifest, ManifestMismatch

pytestmark = pytest.mark.usefixtures("target")


def pieces() -> list[dict[str, Any]]:
    body = boto3.client("s3", REGION).get_object(Bucket=BUCKET, Key=f"loads/{LOAD}/pieces.json")["Body"]
    return json.loads(body.read())  # type: ignore[no-any-return]


def keys(prefix: str) -> list[str]:
    listed = boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [part["Key"] for part in listed.get("Contents", [])]


def test_the_plan_tells_the_loaders_what_to_load_and_where() -> None:
    unloaded = Unloaded(
        columns=[
            {"name": "body", "type": {"base": "character varying", "max_length": 65_535}},
            {"name": "stars", "type": {"base": "character"}},
            {"name": "author", "type": {"base": "character varying", "max_length": 64}},
            {"name": "more", "type": {"base": "super"}},
        ]
    )
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.add("0001_part_00.parquet", reviews(20, first=10))
    unloaded.store()
    attributes = {"STARS": "rating"}
    listed = list_unloaded({"max_write_units_per_second": 500, "rejects_allowed": 3, "attributes": attributes})
    assert listed == {
        "report": None,
        "plan": {
            "load_id": LOAD,
            "bucket": BUCKET,
            "pieces_key": f"loads/{LOAD}/pieces.json",
            "pieces": 1,
            "files": 2,
            "rows": 30,
            "bytes": sum(map(len, unloaded.files.values())),
            "mapping": {
                "target": {
                    "name": "reviews",
                    "key": [{"name": "id", "type": "S"}],
                    "ttl_attribute": None,
                    "ttl_required": False,
                    "index_keys": [],
                    "local_indexes": [],
                    "made": listed["plan"]["mapping"]["target"]["made"],
                    "capacity": {"provisioned": None, "on_demand_maximum": None, "warm": 4000},
                },
                "super_columns": ["more"],
                "char_columns": ["stars"],
                "attributes": {"STARS": "rating"},
                "hash_column": None,
                "short_columns": ["author"],
            },
            "limits": {
                "max_write_units_per_second": 500,
                "rejects_allowed": 3,
                "loader_concurrency": 4,
                "headroom": 0.0,
            },
            "refresh": None,
            "dry_run": False,
            "verify_sample": 0,
            "progress": None,
            "mode": "upsert",
            "replayed": None,
        },
    }
    assert pieces() == [
        {
            "name": "00000",
            "rows": 30,
            "slices": [
                {"key": f"{PREFIX}0000_part_00.parquet", "row_groups": None, "rows": 10},
                {"key": f"{PREFIX}0001_part_00.parquet", "row_groups": None, "rows": 20},
            ],
            "bucket": None,
        }
    ]


def test_a_large_file_is_shared_out_by_its_row_groups() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(60_000), row_group_rows=10_000)
    unloaded.store()
    assert list_unloaded()["plan"]["pieces"] == 3
    assert [piece["slices"][0]["row_groups"] for piece in pieces()] == [[0, 1], [2, 3], [4, 5]]


def test_a_footer_larger_than_the_first_request_is_read_whole() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(30_000), row_group_rows=20)
    unloaded.store()
    list_unloaded()
    assert sum(len(part["row_groups"]) for piece in pieces() for part in piece["slices"]) == 1500


def test_listing_twice_gives_the_same_plan_and_the_same_pieces() -> None:
    unloaded = Unloaded()
    for number in range(4):
        unloaded.add(f"{number:04d}_part_00.parquet", reviews(20_000, first=number * 20_000), row_group_rows=5_000)
    unloaded.store()
    first = list_unloaded(), pieces()
    assert (list_unloaded(), pieces()) == first


def test_an_execution_that_takes_up_an_old_name_shares_nothing_with_the_old_load() -> None:
    first, second = (
        list_unloaded(statement=f"redshift-unload-event-|1795662000|{digest}")["plan"]
        for digest in ("0f1e2d3c", "c3d2e1f0")
    )
    assert all(first[name] != second[name] for name in ("load_id", "pieces_key"))


def test_an_unload_of_no_rows_left_nothing_and_is_no_fault() -> None:
    plan = list_unloaded()["plan"]
    assert (plan["rows"], plan["files"], plan["pieces"]) == (0, 0, 0)
    assert pieces() == []


def test_an_unload_of_no_rows_may_leave_an_empty_file_of_any_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTL_ATTRIBUTE", "until")
    set_ttl("until")
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(0))
    unloaded.store()
    plan = list_unloaded()["plan"]
    assert (plan["rows"], plan["files"], plan["pieces"]) == (0, 1, 0)


def test_the_files_of_another_attempt_are_left_alone() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    boto3.client("s3", REGION).put_object(
        Bucket=BUCKET, Key="unload/monday-ffffffff/0000_part_00.parquet", Body=b"left over"
    )
    assert list_unloaded()["plan"]["rows"] == 10


def test_files_without_a_manifest_are_refused() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    boto3.client("s3", REGION).delete_object(Bucket=BUCKET, Key=f"{PREFIX}manifest")
    with pytest.raises(ManifestMismatch, match="no manifest"):
        list_unloaded()


@pytest.mark.parametrize("entries", [[], ["0000_part_00.parquet"]])
def test_an_unload_of_no_rows_may_leave_a_manifest_without_totals(entries: list[str]) -> None:
    unloaded = Unloaded()
    for name in entries:
        unloaded.add(name, reviews(0))
    manifest = unloaded.manifest
    del manifest["meta"], manifest["schema"]
    unloaded.store(json.dumps(manifest))
    plan = list_unloaded()["plan"]
    assert (plan["rows"], plan["files"], plan["pieces"]) == (0, len(entries), 0)


class TestChangedFiles:
    """Files that are not those of the manifest are refused, by name, before any piece exists."""

    SECOND = f"{PREFIX}0001_part_00.parquet"

    @pytest.fixture(params=[1, 2, 12], ids=lambda rows: f"{rows}_rows_there")
    def unloaded(self, request: pytest.FixtureRequest) -> Unloaded:
        unloaded = Unloaded()
        unloaded.add("0000_part_00.parquet", reviews(request.param))
        unloaded.add("0001_part_00.parquet", reviews(10, first=100))
        return unloaded

    def refused(self) -> str:
        with pytest.raises(ManifestMismatch) as refusal:
            list_unloaded()
        assert keys("loads/") == []
        return str(refusal.value)

    def replace(self, content: bytes) -> None:
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=self.SECOND, Body=content)

    def test_missing(self, unloaded: Unloaded) -> None:
        unloaded.store()
        boto3.client("s3", REGION).delete_object(Bucket=BUCKET, Key=self.SECOND)
        assert f"missing: {self.SECOND}." in self.refused()

    def test_more_than_the_manifest_has(self, unloaded: Unloaded) -> None:
        unloaded.store()
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=f"{PREFIX}0002_part_00.parquet", Body=b"PAR1")
        assert f"not in the manifest: {PREFIX}0002_part_00.parquet." in self.refused()

    def test_cut_short(self, unloaded: Unloaded) -> None:
        unloaded.store()
        self.replace(unloaded.files["0001_part_00.parquet"][:-1])
        assert f"of another size: {self.SECOND}." in self.refused()

    def test_larger(self, unloaded: Unloaded) -> None:
        unloaded.store()
        self.replace(b"PAR1" + unloaded.files["0001_part_00.parquet"])
        assert f"of another size: {self.SECOND}." in self.refused()

    def test_replaced_by_one_of_as_many_rows(self, unloaded: Unloaded) -> None:
        unloaded.store()
        self.replace(parquet(reviews(10, first=2_000_000)))
        assert f"of another size: {self.SECOND}." in self.refused()

    def test_of_very_many_faults_only_some_are_named(self, unloaded: Unloaded) -> None:
        unloaded.store()
        for number in range(20):
            boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=f"{PREFIX}x{number:02}", Body=b"")
        assert f"{PREFIX}x04 and 15 more" in self.refused()


class TestContentLengthThatIsNoSize:
    """Where `content_length` is the size of no file, the rows prove the load complete, and a log line says so."""

    @pytest.fixture
    def manifest(self) -> dict[str, Any]:
        unloaded = Unloaded()
        unloaded.add("0000_part_00.parquet", reviews(10))
        unloaded.add("0001_part_00.parquet", reviews(30_000, first=10), row_group_rows=10_000)
        unloaded.store()
        manifest = unloaded.manifest
        for entry in manifest["entries"]:
            entry["meta"]["content_length"] -= 12
        return manifest

    def store(self, manifest: dict[str, Any]) -> None:
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=f"{PREFIX}manifest", Body=json.dumps(manifest))

    def test_the_rows_are_loaded_and_the_size_is_that_of_the_files(
        self, manifest: dict[str, Any], logs: io.StringIO
    ) -> None:
        self.store(manifest)
        plan = list_unloaded()["plan"]
        assert (plan["rows"], plan["bytes"]) == (30_010, manifest["meta"]["content_length"])
        (warning,) = [line for line in map(json.loads, logs.getvalue().splitlines()) if line["level"] == "WARNING"]
        assert "content_length" in warning["message"]
        assert (warning["files"], warning["size"] - warning["content_length"]) == (2, 24)

    def test_no_word_of_it_where_it_is_the_size(self, manifest: dict[str, Any], logs: io.StringIO) -> None:
        for entry in manifest["entries"]:
            entry["meta"]["content_length"] += 12
        self.store(manifest)
        list_unloaded()
        assert "content_length" not in logs.getvalue()

    @pytest.mark.parametrize(
        "content", [b"", b"PAR1", parquet(reviews(9)), parquet(reviews(10))[:-1]], ids=["empty", "no", "other", "cut"]
    )
    def test_a_file_that_is_cut_short_or_replaced_is_refused(self, manifest: dict[str, Any], content: bytes) -> None:
        key = f"{PREFIX}0000_part_00.parquet"
        boto3.client("s3", REGION).put_object(Bucket=BUCKET, Key=key, Body=content)
        self.store(manifest)
        with pytest.raises(ManifestMismatch, match=f"without the rows of the manifest: {key}"):
            list_unloaded()
        assert keys("loads/") == []

    def test_a_file_that_is_newer_than_the_manifest_is_refused(self, manifest: dict[str, Any]) -> None:
        """Even one of as many rows: the manifest is what an UNLOAD writes last."""
        self.store(manifest)
        key = f"{PREFIX}0000_part_00.parquet"
        s3_backends[ACCOUNT]["aws"].buckets[BUCKET].keys[key].last_modified += timedelta(hours=1)
        with pytest.raises(ManifestMismatch, match=f"written after the manifest: {key}"):
            list_unloaded()


def test_a_manifest_that_cannot_be_read_is_refused() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store(manifest="{")
    with pytest.raises(InvalidManifest):
        list_unloaded()


@pytest.mark.parametrize("rows", [10, 30_000])
def test_a_file_that_is_not_parquet_is_refused(rows: int) -> None:
    unloaded = Unloaded({"0000_part_00.parquet": b"x" * 100}, {"0000_part_00.parquet": rows})
    unloaded.store()
    with pytest.raises(CorruptParquetFile, match=r"0000_part_00\.parquet"):
        list_unloaded()
    assert keys("loads/") == []


@pytest.mark.parametrize("claimed", [11, 30_001])
def test_a_file_with_other_rows_than_the_manifest_says_is_refused(claimed: int) -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(1))
    unloaded.add("0001_part_00.parquet", reviews(10))
    unloaded.rows["0001_part_00.parquet"] = claimed
    unloaded.store()
    if claimed > 25_000:
        with pytest.raises(CorruptParquetFile, match="has 10 rows in place of the 30,001 that are listed"):
            list_unloaded()
    else:
        # Too small for a look into it here: its loader finds out before it writes.
        assert list_unloaded()["plan"]["rows"] == 12


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"review": ["a"]}, MissingKeyColumn),
        ({"id": ["a"], "Id": ["b"]}, AmbiguousColumns),
        ({"id": [1]}, KeyTypeMismatch),
        ({"id": ["a"], "many": [[1]]}, UnsupportedColumnType),
    ],
)
def test_columns_that_do_not_fit_the_target_are_refused_before_any_piece_exists(
    columns: dict[str, Any], error: type[Exception]
) -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", pa.table(columns))
    unloaded.store()
    with pytest.raises(error):
        list_unloaded()
    assert keys("loads/") == []


def test_the_columns_are_held_against_the_configured_sort_key_and_time_to_live() -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", pa.table({"id": ["a"], "price": [Decimal("1.5")], "until": ["soon"]}))
    unloaded.store()
    remake_target(("price", "S"))
    with pytest.raises(KeyTypeMismatch, match="price"):
        list_unloaded()


def remake_target(*sort_key: tuple[str, str], **indexes: Any) -> None:
    boto3.client("dynamodb", REGION).delete_table(TableName="reviews")
    make_target((("id", "S"), *sort_key), **indexes)


def test_the_plan_names_the_key_attributes_of_the_targets_indexes() -> None:
    remake_target(
        ("at", "N"),
        global_indexes=[[("author", "S"), ("score", "N")], [("hash", "B"), ("author", "S")], [("title", "S")]],
        local_indexes=[[("id", "S"), ("shelf", "S")]],
    )
    index_keys = list_unloaded()["plan"]["mapping"]["target"]["index_keys"]
    # The author is the sort key of one index, which takes fewer bytes than the partition key that it is of another.
    assert sorted((key["name"], key["type"], key["max_bytes"]) for key in index_keys) == [
        ("author", "S", 1024),
        ("hash", "B", 2048),
        ("id", "S", 2048),
        ("score", "N", 1024),
        ("shelf", "S", 1024),
        ("title", "S", 2048),
    ]


def test_the_plan_says_what_the_targets_local_indexes_hold() -> None:
    remake_target(
        ("at", "N"),
        local_indexes=[[("id", "S"), ("shelf", "S")], [("id", "S"), ("author", "S")], [("id", "S"), ("score", "N")]],
        projections=[
            {"ProjectionType": "ALL"},
            {"ProjectionType": "KEYS_ONLY"},
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["title"]},
        ],
    )
    local_indexes = list_unloaded()["plan"]["mapping"]["target"]["local_indexes"]
    assert sorted(local_indexes, key=lambda index: str(index["sort_key"])) == [
        {"sort_key": "author", "projected": []},
        {"sort_key": "score", "projected": ["title"]},
        {"sort_key": "shelf", "projected": None},
    ]


@pytest.mark.parametrize("attributes", [{"star": "rating"}, {"id": "key"}, {"stars": "id"}, {"stars": ""}])
def test_attributes_that_do_not_fit_are_refused_before_any_piece_exists(attributes: dict[str, str]) -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    with pytest.raises((UnknownColumn, MissingKeyColumn, AmbiguousColumns, UnsupportedColumnName)):
        list_unloaded({"attributes": attributes})
    assert keys("loads/") == []


@pytest.mark.parametrize("execution_input", [{}, {"dry_run": True}])
def test_rows_without_the_time_to_live_are_refused_before_any_piece_exists(
    execution_input: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTL_ATTRIBUTE", "Starts")
    set_ttl("Starts")
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(0))
    unloaded.add("0001_part_00.parquet", reviews(10))
    unloaded.store()
    with pytest.raises(MissingTtlColumn, match=r"'Starts'.*'stars'"):
        list_unloaded(execution_input)
    assert keys("loads/") == []


@pytest.mark.parametrize("execution_input", [{"target_table": "audits"}, {"target_table": "audits", "dry_run": True}])
def test_rows_of_another_table_need_no_time_to_live_and_a_warning_says_so(
    execution_input: Any, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:
    monkeypatch.setenv("LOADABLE_TABLES", "audits")
    make_target(name="audits", ttl="until")
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    listed = list_unloaded(execution_input)
    (warning,) = [line for line in map(json.loads, logs.getvalue().splitlines()) if line["level"] == "WARNING"]
    assert "'until'" in warning["message"]
    if listed["plan"] is None:
        assert listed["report"]["warnings"] == [warning["message"]]
    else:
        assert listed["plan"]["mapping"]["target"]["name"] == "audits"


@pytest.mark.parametrize("execution_input", [{}, {"dry_run": True}])
def test_a_column_of_another_type_than_an_indexs_key_is_refused_before_any_piece_exists(
    execution_input: Any,
) -> None:
    remake_target(global_indexes=[[("stars", "S")]])
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    with pytest.raises(KeyTypeMismatch, match="'stars'"):
        list_unloaded(execution_input)
    assert keys("loads/") == []


def test_a_dry_run_counts_the_rows_that_an_index_would_not_take() -> None:
    remake_target(global_indexes=[[("author", "S")]])
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", pa.table({"id": ["a", "b", "c"], "author": ["", "me", None]}))
    unloaded.store()
    report = list_unloaded({"dry_run": True})["report"]
    assert (report["sampled_rows"], report["sampled_rejects"]) == (3, 1)


def test_a_time_to_live_that_is_no_time_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", pa.table({"id": ["a"], "until": ["soon"]}))
    unloaded.store()
    monkeypatch.setenv("TTL_ATTRIBUTE", "until")
    set_ttl("until")
    with pytest.raises(UnsupportedColumnType, match="until"):
        list_unloaded()


def test_a_dry_run_reports_and_leaves_no_work() -> None:
    unloaded = Unloaded()
    wide = pa.table({"id": [f"R{number}" for number in range(1000)], "text": ["x" * 1500] * 1000})
    unloaded.add("0000_part_00.parquet", wide)
    unloaded.store()
    listed = list_unloaded({"dry_run": True, "max_write_units_per_second": 10})
    assert listed["plan"] is None
    assert listed["report"] == {
        "files": 1,
        "rows": 1000,
        "bytes": len(unloaded.files["0000_part_00.parquet"]),
        "write_units": 2000,
        "dollars": 0.0,
        "minutes": 3.3,
        "write_units_per_second": 10,
        "limited_by": "write budget",
        "warming": None,
        "sampled_rows": 1000,
        "sampled_rejects": 0,
        "expires_from": None,
        "expires_to": None,
        "warnings": [],
    }
    assert keys("loads/") == []


def test_a_dry_run_goes_by_what_the_table_takes_and_the_load_leaves_of_it() -> None:
    unloaded = Unloaded()
    wide = pa.table({"id": [f"R{number}" for number in range(1000)], "text": ["x" * 1500] * 1000})
    unloaded.add("0000_part_00.parquet", wide)
    unloaded.store()
    target = prepare()["target"] | {"capacity": {"provisioned": None, "on_demand_maximum": None, "warm": 20}}
    report = list_unloaded({"dry_run": True, "headroom": 0.5}, target=target)["report"]
    assert (report["write_units_per_second"], report["limited_by"], report["minutes"]) == (10, "warm throughput", 3.3)
    assert report["warming"] == {"write_units_per_second": 200, "units_charged": 180, "minutes": 0.3}


def test_a_dry_run_samples_files_all_over_and_scales_to_all_rows() -> None:
    unloaded = Unloaded()
    for number in range(20):
        text = "x" * (2500 if number >= 10 else 10)
        unloaded.add(f"{number:04d}_part_00.parquet", pa.table({"id": [str(number), ""], "text": [text, text]}))
    unloaded.store()
    report = list_unloaded({"dry_run": True})["report"]
    assert report["sampled_rejects"] * 2 == report["sampled_rows"] < 40
    # A row with an empty key is rejected and costs nothing; the others cost 1 or 3 units, about half of them each.
    assert 30 <= report["write_units"] <= 50
    assert (report["write_units_per_second"], report["limited_by"]) == (4000, "warm throughput")


@pytest.mark.parametrize(
    ("until", "first", "last", "unlikely"),
    [
        ([1_795_662_000, 1_795_662_060.5, None], "2026-11-26T03:00:00Z", "2026-11-26T03:01:00Z", 0),
        ([946_684_799, 946_684_800, None], "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z", 1),
        ([7_289_654_399, 7_289_654_400, None], "2200-12-31T23:59:59Z", "2201-01-01T00:00:00Z", 1),
        ([1_795_662_000_000, 1_795_662_000_000, 1.5e125], "58872-04-06T00:00:00Z", "31688740476-10-23T01:46:40Z", 3),
        ([None, None, float("nan")], None, None, 0),
    ],
)
def test_a_dry_run_says_when_items_would_expire(
    until: list[Any], first: str | None, last: str | None, unlikely: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTL_ATTRIBUTE", "Until")
    set_ttl("Until")
    unloaded = Unloaded()
    rows = pa.table({"id": ["a", "b", "c"], "until": pa.array(until, pa.float64())})
    unloaded.add("0000_part_00.parquet", rows)
    unloaded.store()
    report = list_unloaded({"dry_run": True})["report"]
    assert (report["expires_from"], report["expires_to"]) == (first, last)
    assert len(report["warnings"]) == bool(unlikely)
    assert all(f"{unlikely} of " in warning and "milliseconds" in warning for warning in report["warnings"])


def test_a_dry_run_of_no_rows_costs_nothing() -> None:
    report = list_unloaded({"dry_run": True})["report"]
    assert (report["rows"], report["write_units"], report["dollars"], report["minutes"]) == (0, 0, 0, 0)


def test_a_dry_run_says_where_it_knows_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-north-1")
    report = list_unloaded({"dry_run": True})["report"]
    assert report["dollars"] is None
    assert [warning for warning in report["warnings"] if "eu-north-1 is not known here" in warning]


def test_a_bad_input_or_a_bad_stack_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInput, match="rejects"):
        list_unloaded({"rejects": 5})
    monkeypatch.setenv("DATA_BUCKET", "")
    with pytest.raises(MissingConfiguration, match="DATA_BUCKET"):
        list_unloaded()


@pytest.mark.parametrize(
    ("operation", "status", "code", "error"),
    [
        ("PutObject", 503, "SlowDown", AwsUnavailable),
        ("PutObject", 403, "AccessDenied", AwsRefused),
        ("GetObject", 403, "AccessDenied", AwsRefused),
    ],
)
def test_a_failure_of_s3_has_a_name_that_says_whether_it_may_pass(
    operation: str, status: int, code: str, error: type[Exception]
) -> None:
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    answer_calls(f"s3.{operation}", status, code)
    with pytest.raises(error, match=f"{operation}.*{code}"):
        list_unloaded()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "AccessDenied", FileAccessDenied),
        (404, "NoSuchKey", MissingFile),
        (500, "InternalError", FileReadInterrupted),
        (503, "SlowDown", FileReadInterrupted),
        # Enabled again it is of use: worth the minutes of the state machine's attempts.
        (400, "KMS.DisabledException", FileReadInterrupted),
    ],
)
@pytest.mark.parametrize("name", ["0000_part_00.parquet", "0001_part_00.parquet"])
def test_a_file_that_cannot_be_read_is_named(name: str, status: int, code: str, error: type[Exception]) -> None:
    """The first file is looked into for its columns, the second for its row groups."""
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.add("0001_part_00.parquet", reviews(30_000))
    unloaded.store()
    answer_calls("s3.GetObject", status, code, name)
    with pytest.raises(error, match=name):
        list_unloaded()
    assert keys("loads/") == []


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize("asked", [{}, {"mode": "changes"}, {"mode": "changes", "dry_run": True}])
def test_an_execution_that_has_lost_the_table_lists_nothing(asked: Any) -> None:
    prepared = prepare(asked)
    key = {"loadId": {"S": "table#reviews"}, "entry": {"S": "lock"}}
    boto3.client("dynamodb", REGION).update_item(
        TableName="ledger",
        Key=key,
        UpdateExpression="SET holder = :holder",
        ExpressionAttributeValues={":holder": {"S": f"{EXECUTION}-again"}},
    )
    event = {
        "execution": {"Id": EXECUTION, "Input": asked},
        "unload": {"statement_id": "1", "statement_name": STATEMENT},
        **ASKED,
        "target": prepared["target"],
    }
    with pytest.raises(TableIsBeingLoaded, match=f"{EXECUTION}-again"):
        redshift_unload_s3_list.app.handler(event, FunctionContext())
