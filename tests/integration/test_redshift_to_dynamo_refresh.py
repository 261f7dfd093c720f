"""Refreshing tables through the one deployed stack: what changed is written, what has vanished deleted, and no more."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from local import executions
from tests.integration.rights import denied_to_loaders

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.data_api import DataApi
    from local.executions import Execution
    from local.mails import Mailbox
    from local.stack import LocalAws


class Pipeline:
    """The deployed stack, with what a test looks at beside the figures of loads."""

    def __init__(self, aws: LocalAws, outputs: Mapping[str, str], redshift: DataApi) -> None:
        self.aws, self.outputs, self.redshift = aws, outputs, redshift
        self.states, self.dynamodb, self.s3 = aws.client("stepfunctions"), aws.client("dynamodb"), aws.client("s3")
        self.machine = outputs["RedshiftToDynamoStateMachineArn"]

    def run(self, payload: Mapping[str, Any]) -> Execution:
        return executions.run(self.states, self.machine, payload)

    def statements(self) -> int:
        """How many statements the stack has ever submitted."""
        return len(self.dynamodb.scan(TableName=self.outputs["MetaTableName"])["Items"])

    def objects(self, prefix: str) -> dict[str, str]:
        """The objects of the data bucket under a prefix, by key, each with what tells its versions apart."""
        listed = self.s3.list_objects_v2(Bucket=self.outputs["DataBucketName"], Prefix=prefix).get("Contents", [])
        return {entry["Key"]: entry["ETag"] for entry in listed}


class Pair:
    """A table of the local Redshift, and one of DynamoDB that is loaded from it: same name, same keys."""

    def __init__(self, pipeline: Pipeline, name: str, key: Mapping[str, str], columns: str) -> None:
        self.pipeline, self.name, self.key = pipeline, name, key
        self.source = f"public.{name.replace('-', '_')}"
        self.sql(f"CREATE TABLE {self.source} ({columns})")
        self.make_target()

    def make_target(self) -> None:
        self.pipeline.dynamodb.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in self.key.items()],
            KeySchema=[
                {"AttributeName": name, "KeyType": "RANGE" if number else "HASH"}
                for number, name in enumerate(self.key)
            ],
        )

    def recorded_loads(self) -> set[str]:
        """The loads whose records of the table are kept."""
        return {key.split("/")[3] for key in self.pipeline.objects(f"records/{self.name}/")}

    def sql(self, statement: str) -> list[dict[str, Any]]:
        return self.pipeline.redshift.query(statement)

    def insert(self, *rows: str) -> None:
        """Insert rows, each the text between the brackets of VALUES."""
        self.sql(f"INSERT INTO {self.source} VALUES {', '.join(f'({row})' for row in rows)}")

    def start(self, **more: Any) -> str:
        payload = {"target_table": self.name, "query": f"SELECT * FROM {self.source}", **more}
        return executions.start(self.pipeline.states, self.pipeline.machine, payload)

    def wait(self, arn: str) -> Execution:
        return executions.wait(self.pipeline.states, arn)

    def load(self, **more: Any) -> dict[str, Any]:
        """Run a load that must succeed; return its figures."""
        return figures_of(self.wait(self.start(**more)))

    def fail(self, error: str, **more: Any) -> Execution:
        """Run a load that must fail with this error."""
        return failed_by(error, self.wait(self.start(**more)))

    def items(self) -> list[dict[str, Any]]:
        found = self.pipeline.dynamodb.scan(TableName=self.name, ConsistentRead=True)["Items"]
        return sorted(found, key=in_order)

    def rows_as_items(self) -> list[dict[str, Any]]:
        """What the target should hold, from the source itself."""
        return sorted((self._item(row) for row in self.sql(f"SELECT * FROM {self.source}")), key=in_order)

    def _item(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._attribute(name, value) for name, value in row.items() if value is not None}

    def _attribute(self, name: str, value: Any) -> dict[str, str]:
        if self.key.get(name) == "N":
            return {"N": f"{Decimal(value).normalize():f}"}
        return {"N": str(value)} if isinstance(value, int) else {"S": value}


def in_order(item: Mapping[str, Any]) -> str:
    """What to sort items by, whatever their attributes."""
    return repr(sorted(item.items()))


def figures_of(execution: Execution) -> dict[str, Any]:
    """The figures of a load that must have succeeded; they account for every row."""
    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    figures: dict[str, Any] = execution.output
    settled = ("rows_written", "rows_unchanged", "rows_rejected", "rows_superseded")
    assert sum(figures[name] for name in settled) == figures["rows_unloaded"]
    return figures


def failed_by(error: str, execution: Execution) -> Execution:
    """The execution, which must have failed with this error."""
    assert (execution.status, execution.error) == ("FAILED", error), execution.output or execution.cause
    return execution


def counts(figures: Mapping[str, Any]) -> dict[str, int]:
    """How many rows were unloaded, written, left alone and deleted."""
    return {name: figures[f"rows_{name}"] for name in ("unloaded", "written", "unchanged", "deleted")}


@pytest.fixture(scope="module")
def pipeline(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> Pipeline:
    return Pipeline(aws, outputs, redshift)


def test_three_tables_with_other_keys_are_mirrored_by_one_stack(pipeline: Pipeline) -> None:
    """Each is loaded, changed, tried and refreshed, at the same time as the others."""
    books = Pair(pipeline, "local-books", {"isbn": "S"}, "isbn VARCHAR(20), n INTEGER, note VARCHAR(50)")
    bills = Pair(pipeline, "local-bills", {"bill": "N"}, "bill DECIMAL(12,2), n INTEGER, note VARCHAR(50)")
    stays = Pair(
        pipeline,
        "local-stays",
        {"guest": "S", "night": "N"},
        "guest VARCHAR(20), night BIGINT, n INTEGER, note VARCHAR(50)",
    )
    key_of = {books: "'978-{0}'", bills: "{0}.50", stays: "'guest {1}', {0}"}

    def rows(pair: Pair, numbers: range) -> list[str]:
        return [f"{key_of[pair].format(n, n % 7)}, {n}, 'note {n}'" for n in numbers]

    def all_loaded(**more: Any) -> dict[Pair, Execution]:
        started = {pair: pair.start(mode="mirror", **more) for pair in key_of}
        return {pair: pair.wait(arn) for pair, arn in started.items()}

    for pair in key_of:
        pair.insert(*rows(pair, range(60)))
    for pair, execution in all_loaded().items():
        figures = figures_of(execution)
        assert (figures["table"], figures["mode"]) == (pair.name, "mirror")
        assert counts(figures) == {"unloaded": 60, "written": 60, "unchanged": 0, "deleted": 0}
        assert figures["full_load_because"] == "no load has noted yet what the table holds"
        assert pair.items() == pair.rows_as_items()

    for pair in key_of:
        pair.sql(f"UPDATE {pair.source} SET note = 'another' WHERE n < 6")
        pair.sql(f"DELETE FROM {pair.source} WHERE n >= 57")
        pair.insert(*rows(pair, range(100, 105)))
    before = {pair: pair.items() for pair in key_of}
    records = pipeline.objects("records/")
    for pair, execution in all_loaded(dry_run=True).items():
        assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
        report = execution.output
        assert (report["table"], report["mode"], report["rows"]) == (pair.name, "mirror", 62)
        assert (report["rows_to_write"], report["rows_unchanged"], report["rows_to_delete"]) == (11, 51, 3)
        assert (report["write_units"], report["full_load_write_units"]) == (14, 62)
        assert pair.items() == before[pair]
    assert pipeline.objects("records/") == records

    for pair, execution in all_loaded().items():
        figures = figures_of(execution)
        assert (figures["table"], figures["mode"]) == (pair.name, "mirror")
        assert counts(figures) == {"unloaded": 62, "written": 11, "unchanged": 51, "deleted": 3}
        assert (figures["write_units"], figures["write_units_saved"]) == (14, 51)
        assert figures["full_load_because"] is None
        assert pair.items() == pair.rows_as_items()
        assert pair.recorded_loads() == {figures["load_id"]}


def test_more_deletions_than_allowed_stop_a_mirror_before_it_changes_anything(
    pipeline: Pipeline, mailbox: Mailbox
) -> None:
    rooms = Pair(pipeline, "local-rooms", {"room": "N"}, "room INTEGER, bed VARCHAR(20)")
    rooms.insert(*(f"{n}, 'single'" for n in range(20)))
    rooms.load(mode="mirror")
    before, records = rooms.items(), pipeline.objects("records/local-rooms/")
    rooms.sql(f"UPDATE {rooms.source} SET bed = 'double' WHERE room < 3")
    rooms.sql(f"DELETE FROM {rooms.source} WHERE room >= 17")

    failed = rooms.fail("TooManyDeletions", mode="mirror")

    assert failed.cause.startswith("3 of 20 rows would be deleted (15.0%), 10.0% are allowed")
    mail = mailbox.next_mail().text
    assert failed.cause in mail
    assert failed.arn in mail
    assert rooms.items() == before
    assert pipeline.objects("records/local-rooms/") == records

    nothing = f"SELECT * FROM {rooms.source} WHERE room < 0"
    rooms.fail("EmptyResult", mode="mirror", query=nothing)
    assert rooms.items() == before
    assert pipeline.objects("records/local-rooms/") == records

    assert counts(rooms.load(mode="mirror", deletes_allowed=0.15)) == {
        "unloaded": 17,
        "written": 3,
        "unchanged": 14,
        "deleted": 3,
    }
    assert rooms.items() == rooms.rows_as_items()

    emptied = rooms.load(mode="mirror", query=nothing, deletes_allowed=1)
    assert counts(emptied) == {"unloaded": 0, "written": 0, "unchanged": 0, "deleted": 17}
    assert rooms.items() == []


def test_an_incremental_load_takes_what_is_newer_and_with_an_overlap_what_came_late(pipeline: Pipeline) -> None:
    calls = Pair(pipeline, "local-calls", {"id": "S"}, "id VARCHAR(20), n INTEGER, updated_at TIMESTAMP")
    calls.insert(*(f"'{n}', {n}, '2026-01-01 00:{n:02}:00'" for n in range(30)))
    incremental = {"column": "updated_at", "overlap_seconds": 300}

    first = calls.load(mode="changes", incremental=incremental)
    assert counts(first) == {"unloaded": 30, "written": 30, "unchanged": 0, "deleted": 0}

    calls.sql(f"UPDATE {calls.source} SET n = 1000, updated_at = '2026-01-02 00:00:00' WHERE id = '3'")
    calls.insert("'new', 31, '2026-01-03 00:00:00'", "'late', 32, '2026-01-01 00:26:30'")
    # Older than the overlap, which an incremental load doesn't see.
    calls.insert("'too late', 33, '2026-01-01 00:01:00'")
    second = calls.load(mode="changes", incremental=incremental)
    # Five of before lie within the overlap (00:25 to 00:29, less the one at its edge), beside the three that are new.
    assert counts(second) == {"unloaded": 8, "written": 3, "unchanged": 5, "deleted": 0}
    found = {item["id"]["S"]: item["n"]["N"] for item in calls.items()}
    assert found == {str(n): str(n) for n in range(30)} | {"3": "1000", "new": "31", "late": "32"}

    third = calls.load(mode="changes", incremental=incremental)
    assert counts(third) == {"unloaded": 1, "written": 0, "unchanged": 1, "deleted": 0}
    fourth = calls.load(mode="changes", incremental={"column": "updated_at"})
    assert counts(fourth) == {"unloaded": 0, "written": 0, "unchanged": 0, "deleted": 0}
    assert {item["id"]["S"]: item["n"]["N"] for item in calls.items()} == found


def test_a_load_that_failed_is_resumed_without_another_unload_until_another_one_takes_the_table(
    pipeline: Pipeline,
) -> None:
    stock = Pair(pipeline, "local-stock", {"article": "S"}, "article VARCHAR(20), pieces INTEGER")
    stock.insert(*(f"'{n:03}', {n}" for n in range(200)))
    first = stock.load(mode="mirror")
    stock.sql(f"UPDATE {stock.source} SET pieces = pieces + 1 WHERE pieces >= 50")
    stock.sql(f"DELETE FROM {stock.source} WHERE pieces < 10")
    stock.insert("'', 0")

    with denied_to_loaders(pipeline.aws, "dynamodb:BatchWriteItem"):
        failed = stock.fail("RowsUnaccounted", mode="mirror")
    assert "DynamoDbRefused: AccessDeniedException" in failed.cause
    (load_id,) = re.findall(r"entries of load (\S+) in the ledger", failed.cause)

    assert stock.recorded_loads() == {first["load_id"], load_id}
    statements, unloaded = pipeline.statements(), pipeline.objects("unload/")
    failed_by("TooManyRejects", pipeline.run({"resume": load_id}))
    resumed = figures_of(pipeline.run({"resume": load_id, "rejects_allowed": 1}))
    assert (resumed["load_id"], resumed["table"], resumed["mode"]) == (load_id, stock.name, "mirror")
    assert counts(resumed) == {"unloaded": 191, "written": 150, "unchanged": 40, "deleted": 10}
    assert resumed["rows_rejected"] == 1
    assert stock.recorded_loads() == {load_id}
    assert (pipeline.statements(), pipeline.objects("unload/")) == (statements, unloaded)
    stock.sql(f"DELETE FROM {stock.source} WHERE article = ''")
    assert stock.items() == stock.rows_as_items()

    nothing_new = stock.load(mode="mirror")
    assert counts(nothing_new) == {"unloaded": 190, "written": 0, "unchanged": 190, "deleted": 0}
    assert nothing_new["write_units"] == 0
    refused = failed_by("LoadNotResumable", pipeline.run({"resume": load_id}))
    assert nothing_new["load_id"] in refused.cause


def test_rejects_are_replayed_once_they_are_corrected_and_the_next_refresh_knows_them(pipeline: Pipeline) -> None:
    prices = Pair(pipeline, "local-tariffs", {"article": "S"}, "article VARCHAR(20), price DOUBLE PRECISION")
    prices.insert(*(f"'{n:03}', {n}" for n in range(60)), "'bad', 'NaN'", "'worse', 'NaN'")
    first = prices.load(mode="mirror", rejects_allowed=2)
    bucket = pipeline.outputs["DataBucketName"]
    lines = [
        json.loads(line)
        for key in pipeline.objects(f"rejects/{first['load_id']}/")
        for line in pipeline.s3.get_object(Bucket=bucket, Key=key)["Body"].read().splitlines()
    ]
    bad = next(line for line in lines if line["row"]["article"] == "bad")
    bad["row"]["price"] = 99.5
    body = "\n".join(map(json.dumps, lines)).encode()
    pipeline.s3.put_object(Bucket=bucket, Key=f"corrected/{first['load_id']}/mine.jsonl", Body=body)
    statements = pipeline.statements()

    replayed = figures_of(pipeline.run({"replay": first["load_id"], "rejects_allowed": 1}))

    assert (replayed["mode"], replayed["table"]) == ("replay", prices.name)
    assert (replayed["rows_unloaded"], replayed["rows_written"], replayed["rows_rejected"]) == (2, 1, 1)
    assert pipeline.statements() == statements
    assert {"article": {"S": "bad"}, "price": {"N": "99.5"}} in prices.items()
    prices.sql(f"UPDATE {prices.source} SET price = 99.5 WHERE article = 'bad'")
    prices.sql(f"DELETE FROM {prices.source} WHERE article = 'worse'")
    after = prices.load(mode="mirror")
    assert counts(after) == {"unloaded": 61, "written": 0, "unchanged": 61, "deleted": 0}
    refused = failed_by("LoadNotReplayable", pipeline.run({"replay": first["load_id"]}))
    assert after["load_id"] in refused.cause


def test_rows_that_go_back_to_what_they_were_before_a_load_that_failed_are_written_again(pipeline: Pipeline) -> None:
    prices = Pair(pipeline, "local-prices", {"article": "S"}, "article VARCHAR(20), price INTEGER")
    prices.insert(*(f"'{n:03}', {n}" for n in range(100)))
    prices.load(mode="changes")
    before = prices.items()

    # The last rows are not accepted, when others have been written.
    dearer = f"SELECT article, price + 1 AS price FROM {prices.source} UNION ALL SELECT NULL, 0"
    prices.fail("TooManyRejects", mode="changes", query=dearer)
    assert prices.items() != before

    prices.load(mode="changes")
    assert prices.items() == before


def test_what_others_have_done_to_a_table_is_found_by_a_sample_and_mended_by_a_full_load(pipeline: Pipeline) -> None:
    seats = Pair(pipeline, "local-seats", {"seat": "S"}, "seat VARCHAR(20), taken_by VARCHAR(20)")
    seats.insert(*(f"'{n}', 'nobody'" for n in range(20)))
    seats.load(mode="mirror")
    pipeline.dynamodb.put_item(TableName=seats.name, Item={"seat": {"S": "11"}, "taken_by": {"S": "somebody"}})

    failed = seats.fail("RowsUnaccounted", mode="mirror", verify_sample=100)
    assert "ItemsDiffer: 1 of 20 items that were read back are not what the rows say, such as seat=11:" in failed.cause
    mended = seats.load(mode="mirror", full=True, verify_sample=100)
    assert counts(mended) == {"unloaded": 20, "written": 20, "unchanged": 0, "deleted": 0}
    assert mended["full_load_because"] == "the input says full"
    assert seats.items() == seats.rows_as_items()

    pipeline.dynamodb.delete_table(TableName=seats.name)
    seats.make_target()
    anew = seats.load(mode="mirror")
    assert counts(anew) == {"unloaded": 20, "written": 20, "unchanged": 0, "deleted": 0}
    assert anew["full_load_because"] == "the table was made anew since the last load"
    assert seats.items() == seats.rows_as_items()


def test_an_upsert_between_costs_a_full_load_and_no_key(pipeline: Pipeline) -> None:
    pets = Pair(pipeline, "local-pets", {"name": "S"}, "name VARCHAR(20), n INTEGER")
    pets.insert(*(f"'{n:03}', {n}" for n in range(20)))
    pets.load(mode="mirror")
    pets.sql(f"DELETE FROM {pets.source} WHERE n = 7")
    upsert = pets.load()
    assert (upsert["mode"], counts(upsert)) == (
        "upsert",
        {"unloaded": 19, "written": 19, "unchanged": 0, "deleted": 0},
    )
    assert len(pets.items()) == 20

    mirror = pets.load(mode="mirror")
    assert counts(mirror) == {"unloaded": 19, "written": 19, "unchanged": 0, "deleted": 1}
    assert mirror["full_load_because"].startswith("a load in mode upsert")
    assert pets.items() == pets.rows_as_items()


def test_rows_of_one_key_in_several_files_are_settled_if_the_input_says_unique(pipeline: Pipeline) -> None:
    doubles = Pair(pipeline, "local-doubles", {"id": "N"}, "id INTEGER, n INTEGER")
    doubles.insert(*(f"{n % 100}, {n}" for n in range(300)))

    figures = doubles.load(unique=True, verify_sample=300)

    assert len([key for key in pipeline.objects(f"unload/{figures['load_id']}/") if key.endswith(".parquet")]) > 1
    assert (figures["mode"], figures["rows_written"], figures["rows_superseded"]) == ("upsert", 100, 200)
    assert figures["full_load_because"] == "the input says unique"
    assert len(doubles.items()) == 100

    again = doubles.load(mode="changes")
    assert (again["rows_written"], again["rows_unchanged"], again["rows_superseded"]) == (0, 100, 200)


def test_of_two_mirrors_started_in_the_same_second_one_succeeds_and_the_other_names_it(pipeline: Pipeline) -> None:
    gates = Pair(pipeline, "local-gates", {"gate": "S"}, "gate VARCHAR(20)")
    gates.insert(*(f"'{n}'" for n in range(20)))
    started = [gates.start(mode="mirror") for _ in range(2)]
    ended = [gates.wait(arn) for arn in started]
    (loaded,) = (execution for execution in ended if execution.status == "SUCCEEDED")
    (refused,) = (execution for execution in ended if execution.status == "FAILED")
    assert counts(figures_of(loaded)) == {"unloaded": 20, "written": 20, "unchanged": 0, "deleted": 0}
    assert loaded.arn in failed_by("TableIsBeingLoaded", refused).cause
    assert gates.items() == gates.rows_as_items()
