"""RedshiftUnloadS3ListFunction in the modes with buckets: what the load is compared with, and each bucket a piece."""

import json
from dataclasses import asdict, replace
from typing import Any

import boto3
import pyarrow as pa
import pytest

import aws_clients
from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.encoding.items import KEY_VERSION
from dynamo_load.errors import AmbiguousColumns
from dynamo_load.plan import LoadPlan
from errors import AwsUnavailable
from locks.table import TableLock
from records.errors import RecordUnreadable
from records.table_state import Generation, Progress, TableState, TableStates
from tests.unit.unload.conftest import (
    BUCKET,
    EXECUTION,
    LOAD,
    PREFIX,
    Unloaded,
    answer_calls,
    counted,
    list_unloaded,
    prepare,
    reviews,
)
from tests.unit.waiting_task import REGION
from unload.errors import (
    BucketTooLarge,
    EmptyResult,
    FullLoadNeeded,
    ManifestMismatch,
    RowsNotCounted,
    UnsuitableIncrementalColumn,
)

pytestmark = pytest.mark.usefixtures("target")

CHANGES, MIRROR = {"mode": "changes"}, {"mode": "mirror"}
KNOWN = {"buckets": 4, "progress": None}
KEY_FORM = f'[{KEY_VERSION}, ["id", "S", "character varying", "string"]]'
COLUMNS = [
    {"name": "id", "type": {"base": "character varying", "max_length": 20}},
    {"name": "stars", "type": {"base": "integer"}},
]
CURRENT, BEGUN = Generation("sunday-00000000", 2), Generation("saturday-00000000", 4)


def stored(name: str) -> Any:
    body = boto3.client("s3", REGION).get_object(Bucket=BUCKET, Key=f"loads/{LOAD}/{name}.json")["Body"]
    return json.loads(body.read())


def unload(*buckets: int, columns: list[dict[str, Any]] | None = None) -> None:
    """Ten rows in each of these buckets."""
    unloaded = Unloaded(columns=COLUMNS if columns is None else columns)
    for bucket in buckets:
        unloaded.add_bucket(bucket, reviews(10, first=bucket * 10))
    unloaded.store()


def note(state: TableState) -> None:
    """Let the table's state be this one, by an execution that holds the table."""
    dynamodb = aws_clients.client("dynamodb")
    TableLock(dynamodb, "ledger", "reviews", EXECUTION).take(aws_clients.client("stepfunctions"))
    states = TableStates(dynamodb, "ledger", "reviews", EXECUTION)
    states.read(anew=True)
    states.write(state)


@pytest.fixture
def state() -> TableState:
    """The state after a load that succeeded, one that did not, and with the table as it is."""
    made = prepare()["target"]["made"]
    return TableState(made, KEY_FORM, ENCODER_VERSION, current=CURRENT, begun=(BEGUN,), keys=30)


def refresh(asked: dict[str, Any], **known: Any) -> dict[str, Any]:
    listed: dict[str, Any] = list_unloaded(asked, **({"known": KNOWN} | known))["plan"]["refresh"]
    return listed


def test_each_bucket_is_a_piece_also_one_without_rows() -> None:
    unload(1, 3)
    plan = list_unloaded(CHANGES, known=KNOWN)["plan"]
    assert (plan["pieces"], plan["rows"], plan["refresh"]["buckets"]) == (4, 20, 4)
    assert plan["mapping"]["hash_column"] == "load_hash"
    assert [(piece["name"], piece["rows"], piece["bucket"]) for piece in stored("pieces")] == [
        ("00000", 0, 0),
        ("00001", 10, 1),
        ("00002", 0, 2),
        ("00003", 10, 3),
    ]
    key = f"{PREFIX}load_bucket=1/0000_part_00.parquet"
    assert [piece["slices"] for piece in stored("pieces")][:2] == [[], [{"key": key, "row_groups": None, "rows": 10}]]


@pytest.mark.parametrize("asked", [{}, {**CHANGES, "verify_sample": 7}, {**MIRROR, "dry_run": True}])
def test_the_plan_is_kept_beside_the_pieces_for_a_load_that_goes_on_with_it(asked: dict[str, Any]) -> None:
    unload(0)
    listed = list_unloaded(asked, known=KNOWN)
    assert stored("plan") == listed["plan"]
    plan = LoadPlan.from_json(stored("plan"))
    assert json.loads(json.dumps(asdict(plan))) == listed["plan"]
    assert (plan.verify_sample, plan.dry_run) == (asked.get("verify_sample", 0), asked.get("dry_run", False))
    assert plan.mode == asked.get("mode", "upsert")


def test_a_dry_run_that_compares_has_a_plan_and_no_report() -> None:
    unload(0)
    listed = list_unloaded({**CHANGES, "dry_run": True}, known=KNOWN)
    assert (listed["report"], listed["plan"]["dry_run"]) == (None, True)


def test_a_load_is_compared_with_the_current_record_and_those_that_were_begun(state: TableState) -> None:
    note(state)
    unload(0)
    assert refresh({**MIRROR, "deletes_allowed": 0.25}) == {
        "buckets": 4,
        "key_form": KEY_FORM,
        "current": asdict(CURRENT),
        "begun": [asdict(BEGUN)],
        "digests_hold": True,
        "full_because": None,
        "deletes": True,
        "deletes_allowed": 0.25,
    }
    changes = refresh(CHANGES)
    assert (changes["deletes"], changes["deletes_allowed"], changes["current"]) == (False, 0, asdict(CURRENT))


@pytest.mark.parametrize(
    ("asked", "change", "because"),
    [
        ({**CHANGES, "full": True}, {}, "the input says full"),
        ({**MIRROR, "full": True}, {}, "the input says full"),
        ({"unique": True}, {}, "the input says unique"),
        (CHANGES, {"made": "2020-01-01"}, "made anew"),
        (CHANGES, {"key_form": KEY_FORM.replace("varying", "padded")}, "other types"),
        (CHANGES, {"key_form": KEY_FORM.replace(f"[{KEY_VERSION},", "[0,")}, "keys in another way"),
        (CHANGES, {"current": None, "begun": ()}, "noted yet"),
    ],
)
def test_nothing_is_known_of_another_table_or_key_or_by_a_load_that_begins_anew(
    asked: dict[str, Any], change: dict[str, Any], because: str, state: TableState
) -> None:
    note(replace(state, **change))
    unload(0)
    found = refresh(asked, counted=counted(5))
    assert (found["current"], found["begun"]) == (None, [])
    assert because in found["full_because"]


def test_the_first_load_of_a_table_says_that_nothing_is_noted_of_it() -> None:
    unload(0)
    found = refresh(CHANGES)
    assert (found["current"], found["begun"]) == (None, [])
    assert "noted yet" in found["full_because"]


def test_after_a_first_load_that_failed_its_own_record_is_what_is_known(state: TableState) -> None:
    note(replace(state, current=None))
    unload(0)
    found = refresh(CHANGES)
    assert (found["current"], found["begun"], found["full_because"]) == (None, [asdict(BEGUN)], None)


@pytest.mark.parametrize(
    ("change", "because"), [({"digests_hold": False}, "upsert"), ({"encoder": ENCODER_VERSION + 1}, "another way")]
)
def test_keys_stay_known_where_digests_do_not_hold(change: dict[str, Any], because: str, state: TableState) -> None:
    note(replace(state, **change))
    unload(0)
    found = refresh(MIRROR)
    assert (found["current"], found["begun"], found["digests_hold"]) == (asdict(CURRENT), [asdict(BEGUN)], False)
    assert because in found["full_because"]


def test_an_upsert_is_compared_with_nothing(state: TableState) -> None:
    note(state)
    unloaded = Unloaded()
    unloaded.add("0000_part_00.parquet", reviews(10))
    unloaded.store()
    plan = list_unloaded({})["plan"]
    assert (plan["refresh"], plan["mapping"]["hash_column"], plan["pieces"]) == (None, None, 1)


@pytest.mark.parametrize(
    ("manifest_type", "arrow_type", "same"),
    [
        ({"base": "character varying", "max_length": 500}, pa.string(), True),
        ({"base": "character", "max_length": 20}, pa.string(), False),
        ({"base": "character varying"}, pa.large_string(), False),
    ],
)
def test_a_keys_form_changes_with_its_types_and_not_with_the_longest_text(
    manifest_type: dict[str, Any], arrow_type: pa.DataType, *, same: bool, state: TableState
) -> None:
    note(state)
    unloaded = Unloaded(columns=[{"name": "id", "type": manifest_type}])
    unloaded.add_bucket(0, pa.table({"id": pa.array(["a"], arrow_type)}))
    unloaded.store()
    found = refresh(CHANGES)
    assert (found["key_form"] == KEY_FORM, found["current"] is not None) == (same, same)


def test_a_manifest_without_a_schema_still_gives_the_key_a_form() -> None:
    unload(0, columns=[])
    assert refresh(CHANGES)["key_form"] == KEY_FORM.replace("character varying", "")


class TestNoRows:
    """A query that returned nothing: no files, no manifest, and nothing that tells the key's form."""

    @pytest.mark.parametrize("asked", [MIRROR, {**MIRROR, "deletes_allowed": 0.99}, {**MIRROR, "dry_run": True}])
    def test_a_mirror_of_it_is_refused(self, asked: dict[str, Any], state: TableState) -> None:
        note(state)
        with pytest.raises(EmptyResult, match='"deletes_allowed": 1'):
            list_unloaded(asked, known=KNOWN)
        assert boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET, Prefix="loads/")["KeyCount"] == 0

    def test_where_every_row_may_vanish_all_buckets_are_empty_pieces(self, state: TableState) -> None:
        note(state)
        plan = list_unloaded({**MIRROR, "deletes_allowed": 1}, known=KNOWN)["plan"]
        assert (plan["pieces"], plan["rows"], plan["refresh"]["key_form"]) == (4, 0, KEY_FORM)
        assert plan["refresh"]["current"] == asdict(CURRENT)
        assert [piece["rows"] for piece in stored("pieces")] == [0, 0, 0, 0]

    def test_changes_carry_over_what_is_known(self, state: TableState) -> None:
        note(state)
        found = refresh(CHANGES)
        assert (found["key_form"], found["current"], found["full_because"]) == (KEY_FORM, asdict(CURRENT), None)

    def test_the_first_load_of_a_table_may_be_of_no_rows(self) -> None:
        found = refresh(CHANGES, known={"buckets": None, "progress": None}, counted=counted(0))
        assert (found["buckets"], found["key_form"], found["current"]) == (1, "", None)


@pytest.mark.parametrize("folder", ["load_bucket=4", "load_bucket=__HIVE_DEFAULT_PARTITION__"])
def test_files_outside_the_buckets_are_refused(folder: str) -> None:
    unloaded = Unloaded()
    unloaded.add(f"{folder}/0000_part_00.parquet", reviews(10))
    unloaded.store()
    with pytest.raises(ManifestMismatch, match="none of the 4 buckets"):
        list_unloaded(CHANGES, known=KNOWN)
    assert boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET, Prefix="loads/")["KeyCount"] == 0


def test_a_column_of_the_query_that_has_the_name_of_the_buckets_column_is_refused() -> None:
    """Redshift may have made the folders by that one."""
    unloaded = Unloaded()
    unloaded.add_bucket(0, reviews(10).append_column("load_bucket", pa.array(range(10))))
    unloaded.store()
    with pytest.raises(AmbiguousColumns, match="'load_bucket'"):
        list_unloaded(CHANGES, known=KNOWN)


def test_a_bucket_of_too_many_rows_is_refused() -> None:
    unloaded = Unloaded()
    unloaded.add_bucket(0, reviews(10))
    unloaded.add_bucket(2, reviews(10, first=10))
    unloaded.rows["load_bucket=2/0000_part_00.parquet"] = 2_000_001
    unloaded.store()
    with pytest.raises(BucketTooLarge, match="bucket 2"):
        list_unloaded(CHANGES, known=KNOWN)


def test_without_a_record_and_a_count_there_is_no_number_of_buckets() -> None:
    unload(0)
    with pytest.raises(RowsNotCounted):
        list_unloaded(CHANGES)


def test_what_is_noted_and_cannot_be_read_ends_a_load_unless_it_begins_anew(state: TableState) -> None:
    note(state)
    boto3.resource("dynamodb", REGION).Table("ledger").update_item(
        Key={"loadId": "table#reviews", "entry": "record"},
        UpdateExpression="SET #state = :broken",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":broken": "{"},
    )
    unload(0)
    with pytest.raises(RecordUnreadable, match='"full": true'):
        refresh(CHANGES)
    assert refresh({**CHANGES, "full": True}, counted=counted(5))["current"] is None


def test_a_ledger_that_cannot_be_asked_now_is_one_that_may_be_later() -> None:
    unload(0)
    answer_calls("dynamodb.GetItem", 500, "InternalServerError", service="dynamodb")
    with pytest.raises(AwsUnavailable, match="GetItem"):
        refresh(CHANGES)


class TestIncremental:
    """How far the load will have come is in its plan, in every mode."""

    @pytest.fixture(params=["upsert", "changes"])
    def asked(self, request: pytest.FixtureRequest, state: TableState) -> dict[str, Any]:
        """What an incremental load of each mode is asked for, after another, and ten rows of it."""
        note(state)
        unloaded = Unloaded(columns=COLUMNS)
        if request.param == "upsert":
            unloaded.add("0000_part_00.parquet", reviews(10))
        else:
            unloaded.add_bucket(0, reviews(10))
        unloaded.store()
        return {"mode": request.param, "incremental": {"column": "stars"}}

    def progress(self, asked: dict[str, Any], **known: Any) -> Any:
        return list_unloaded(asked, **known)["plan"]["progress"]

    def test_it_is_the_highest_value_or_without_one_what_it_was(self, asked: dict[str, Any]) -> None:
        first = self.progress(asked, counted=counted(10, "4"))
        assert Progress(**first).highest == "4"
        known = {"buckets": 1, "progress": first}
        assert self.progress(asked, known=known, counted=counted(10)) == first
        assert self.progress(asked, known=known, counted=counted(10, "5")) == first | {"highest": "5"}
        other = asked | {"incremental": {"column": "id"}}
        assert self.progress(other, known=known, counted=counted(10)) is None

    def test_newer_rows_alone_are_refused_where_the_keys_of_the_others_have_another_form(
        self, state: TableState
    ) -> None:
        """The new record would lack them, and a mirror would never delete them."""
        unload(0)
        newer = {**CHANGES, "incremental": {"column": "stars"}}
        progress = self.progress(newer, counted=counted(10, "4"))
        note(replace(state, key_form="[]", progress=Progress(**progress)))
        with pytest.raises(FullLoadNeeded, match=r'"full": true.*other types'):
            self.progress(newer, known={"buckets": 4, "progress": progress}, counted=counted(1, "5"))
        nothing = {"buckets": None, "progress": None}
        assert self.progress({**newer, "full": True}, known=nothing, counted=counted(10, "5"))["highest"] == "5"

    def test_a_load_that_is_not_incremental_has_none(self, asked: dict[str, Any]) -> None:
        known = {"buckets": 1, "progress": {"column": "stars", "query": "x", "highest": "4"}}
        assert self.progress({"mode": asked["mode"]}, known=known) is None

    @pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
    def test_a_column_whose_text_is_rounded_is_refused(self, kind: pa.DataType) -> None:
        unloaded = Unloaded()
        unloaded.add("0000_part_00.parquet", pa.table({"id": ["a"], "stars": pa.array([0.1], kind)}))
        unloaded.store()
        with pytest.raises(UnsuitableIncrementalColumn, match=r"'STARS'.*DECIMAL"):
            list_unloaded({"incremental": {"column": "STARS"}}, counted=counted(1, "0.1"))
