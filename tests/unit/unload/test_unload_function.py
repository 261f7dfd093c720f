"""RedshiftUnloadFunction: one UNLOAD for a good input, a named failure before any for a bad one."""

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3
import pytest

import aws_clients
from target.table import KeyAttribute, TargetTable
from tests.unit.unload.conftest import BUCKET, WaitingTask, answer_calls, counted
from tests.unit.waiting_task import ACCOUNT, REGION
from unload.buckets import Counted, Known
from unload.incremental import next_progress
from unload.request import Incremental

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import ServerSideEncryptionType


def test_the_configured_query_is_unloaded_to_a_prefix_of_its_own(task: WaitingTask) -> None:
    assert task.submit({})[0] == "RUNNING"
    (call,) = task.calls
    assert call["StatementName"].startswith("redshift-unload-event-|")
    assert "SELECT * FROM public.reviews" in call["Sql"]
    target = re.search(r"TO 's3://data/(unload/[^/']+/)'", call["Sql"])
    assert target
    assert target[1].endswith(f"-{call['StatementName'].rsplit('|')[-1][:8]}/")
    assert boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_the_input_says_what_is_unloaded(task: WaitingTask) -> None:
    task.submit({"table": "public.reviews", "columns": ["id"], "where": "stars > 3 -- good ones"})
    assert 'SELECT "id" FROM "public"."reviews" WHERE (\nstars > 3 -- good ones\n)' in task.calls[0]["Sql"]


def test_a_mode_with_buckets_hashes_the_tables_key_and_unloads_to_a_folder_for_each(task: WaitingTask) -> None:
    key = (KeyAttribute("Id", "S"), KeyAttribute("at", "N"))
    event: dict[str, Any] = {"target": asdict(TargetTable("reviews", key)), "known": {"buckets": 4, "progress": None}}
    task.submit({"mode": "changes", "attributes": {"review id": "Id"}, "query": "SELECT 'x'"}, **event)
    sql = task.calls[0]["Sql"]
    hashed = """COALESCE(FNV_HASH("at" + 0, COALESCE(FNV_HASH("review id"), 0)), 0) & 2147483647"""
    assert (
        f"UNLOAD ('SELECT *, load_hash & 3 AS load_bucket FROM (SELECT *, CAST({hashed} AS INTEGER) AS load_hash FROM "
        "(\nSELECT ''x''\n) AS unloaded) AS hashed')\nTO "
    ) in sql
    assert "\nPARTITION BY (load_bucket)\n" in sql


def test_where_no_record_tells_the_count_decides_on_the_buckets(task: WaitingTask) -> None:
    task.submit({"unique": True}, counted=counted(3_000_000))
    assert "load_hash & 7 AS load_bucket" in task.calls[0]["Sql"]


def test_the_count_is_a_statement_of_its_own_around_the_same_rows(task: WaitingTask) -> None:
    asked = {"mode": "changes", "incremental": {"column": "at"}}
    first = task.submit(asked, "count")
    assert first[0] == "RUNNING"
    (call,) = task.calls
    assert call["StatementName"].startswith("redshift-count-event-|")
    assert call["Sql"] == (
        'SELECT COUNT(*) AS row_count, CAST(MAX("at") AS VARCHAR(256)) AS highest FROM '
        "(\nSELECT * FROM public.reviews\n) AS unloaded"
    )


def test_what_was_counted_is_the_output_of_its_task(task: WaitingTask) -> None:
    """As the next functions read it."""
    row = {"row_count": {"longValue": 5}, "highest": {"stringValue": "2026-11-26"}}
    events = aws_clients.client("redshift-data").meta.events
    events.register(
        "after-call.redshift-data.DescribeStatement",
        lambda parsed, **_: parsed.update(HasResultSet=True, Status="FINISHED"),
    )
    events.register(
        "after-call.redshift-data.GetStatementResult",
        lambda parsed, **_: parsed.update(ColumnMetadata=[{"name": name} for name in row], Records=[[*row.values()]]),
    )
    task.submit({"mode": "changes", "incremental": {"column": "at"}}, "count")
    output = task.call_back()
    assert Counted.from_output(output) == Counted(5, "2026-11-26")


@pytest.mark.parametrize("statement", ["count", "unload"])
def test_an_incremental_load_counts_and_unloads_what_lies_beyond_the_last(task: WaitingTask, statement: str) -> None:
    query = "SELECT * FROM public.reviews"
    incremental = Incremental(column="at", overlap_seconds=60)
    first = next_progress(incremental, query, Known(None, None), Counted(1, "2026-11-26 03:00:00"))
    assert first
    known = {"buckets": None, "progress": asdict(first)}
    asked = {"incremental": {"column": "at", "overlap_seconds": 60}}
    task.submit(asked, statement, known=known, counted=counted(5))
    condition = """) AS unloaded WHERE "at" > '2026-11-26 02:59:00' OR "at" IS NULL"""
    assert (condition if statement == "count" else condition.replace("'", "''")) in task.calls[0]["Sql"]


def test_a_column_that_cannot_be_set_back_by_the_overlap_fails_before_anything_is_unloaded(task: WaitingTask) -> None:
    asked = {"incremental": {"column": "number", "overlap_seconds": 60}}
    assert task.submit(asked, counted=counted(5, "1234"))[:2] == ("FAILED", "UnsuitableIncrementalColumn")
    assert task.calls == []


def test_a_count_that_could_not_be_read_fails_the_load_before_anything_is_unloaded(task: WaitingTask) -> None:
    unread = counted(5) | {"result": None, "result_omitted": "refused"}
    assert task.submit({"mode": "changes"}, counted=unread)[:2] == ("FAILED", "RowsNotCounted")
    assert task.calls == []


def encrypt_bucket(algorithm: "ServerSideEncryptionType") -> None:
    boto3.client("s3", REGION).put_bucket_encryption(
        Bucket=BUCKET,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}]
        },
    )


@pytest.mark.parametrize("algorithm", ["aws:kms", "aws:kms:dsse"])
def test_a_bucket_with_kms_gets_files_encrypted_with_its_key(
    task: WaitingTask, algorithm: "ServerSideEncryptionType"
) -> None:
    encrypt_bucket(algorithm)
    task.submit({})
    assert task.calls[0]["Sql"].endswith("ENCRYPTED AUTO")


def test_a_bucket_with_the_usual_encryption_gets_the_usual_files(task: WaitingTask) -> None:
    encrypt_bucket("AES256")
    task.submit({})
    assert "ENCRYPTED" not in task.calls[0]["Sql"]


@pytest.mark.parametrize(
    ("execution_input", "error"),
    [
        ({"tabel": "t"}, "InvalidInput"),
        ("text", "InvalidInput"),
        ({"query": "DROP TABLE t"}, "InvalidQuery"),
        ({"query": "SELECT 1; SELECT 2"}, "InvalidQuery"),
        ({"table": "a b"}, "InvalidIdentifier"),
    ],
)
def test_a_bad_input_fails_the_task_by_name_and_runs_nothing(
    task: WaitingTask, execution_input: Any, error: str
) -> None:
    assert task.submit(execution_input)[:2] == ("FAILED", error)
    assert task.calls == []


@pytest.mark.parametrize("execution_input", [{}, {"query": "DROP TABLE t"}], ids=["submitted", "not submitted"])
def test_its_line_names_the_execution_and_the_statement(task: WaitingTask, execution_input: Any) -> None:
    task.submit(execution_input)
    (line,) = map(json.loads, task.logs.getvalue().splitlines())
    assert line["execution_arn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:execution:waiting:monday"
    assert line["statement_name"].startswith("redshift-unload-event-|")
    assert ("statement_id" in line) == bool(task.calls)


def test_a_bucket_that_does_not_exist_fails_the_task_and_runs_nothing(task: WaitingTask) -> None:
    boto3.client("s3", REGION).delete_bucket(Bucket=BUCKET)
    status, error, cause = task.submit({})
    assert (status, error) == ("FAILED", "BucketNotFound")
    assert "bucket data does not exist" in cause


@pytest.mark.parametrize(
    ("code", "status", "error"), [("SlowDown", 503, "AwsUnavailable"), ("AccessDenied", 403, "BucketRefused")]
)
def test_a_bucket_that_cannot_be_looked_at_now_or_ever_is_told_apart(
    task: WaitingTask, code: str, status: int, error: str
) -> None:
    answer_calls("s3.GetBucketEncryption", status, code)
    assert task.submit({})[:2] == ("FAILED", error)
