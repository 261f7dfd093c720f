"""RedshiftUnloadFunction: one UNLOAD for a good input, a named failure before any for a bad one."""

import json
import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.unit.unload.conftest import BUCKET, WaitingTask, answer_calls
from tests.unit.waiting_task import ACCOUNT, REGION

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import ServerSideEncryptionType


def test_the_configured_query_is_unloaded_to_a_prefix_of_its_own(task: WaitingTask) -> None:
    assert task.unload({})[0] == "RUNNING"
    (call,) = task.calls
    assert call["StatementName"].startswith("redshift-unload-event-|")
    assert "SELECT * FROM public.reviews" in call["Sql"]
    target = re.search(r"TO 's3://data/(unload/[^/']+/)'", call["Sql"])
    assert target
    assert target[1].endswith(f"-{call['StatementName'].rsplit('|')[-1][:8]}/")
    assert boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_the_input_says_what_is_unloaded(task: WaitingTask) -> None:
    task.unload({"table": "public.reviews", "columns": ["id"], "where": "stars > 3 -- good ones"})
    assert 'SELECT "id" FROM "public"."reviews" WHERE (\nstars > 3 -- good ones\n)' in task.calls[0]["Sql"]


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
    task.unload({})
    assert task.calls[0]["Sql"].endswith("ENCRYPTED AUTO")


def test_a_bucket_with_the_usual_encryption_gets_the_usual_files(task: WaitingTask) -> None:
    encrypt_bucket("AES256")
    task.unload({})
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
    assert task.unload(execution_input)[:2] == ("FAILED", error)
    assert task.calls == []


@pytest.mark.parametrize("execution_input", [{}, {"query": "DROP TABLE t"}], ids=["submitted", "not submitted"])
def test_its_line_names_the_execution_and_the_statement(task: WaitingTask, execution_input: Any) -> None:
    task.unload(execution_input)
    (line,) = map(json.loads, task.logs.getvalue().splitlines())
    assert line["execution_arn"] == f"arn:aws:states:{REGION}:{ACCOUNT}:execution:waiting:monday"
    assert line["statement_name"].startswith("redshift-unload-event-|")
    assert ("statement_id" in line) == bool(task.calls)


def test_a_bucket_that_does_not_exist_fails_the_task_and_runs_nothing(task: WaitingTask) -> None:
    boto3.client("s3", REGION).delete_bucket(Bucket=BUCKET)
    status, error, cause = task.unload({})
    assert (status, error) == ("FAILED", "BucketNotFound")
    assert "bucket data does not exist" in cause


@pytest.mark.parametrize(
    ("code", "status", "error"), [("SlowDown", 503, "AwsUnavailable"), ("AccessDenied", 403, "BucketRefused")]
)
def test_a_bucket_that_cannot_be_looked_at_now_or_ever_is_told_apart(
    task: WaitingTask, code: str, status: int, error: str
) -> None:
    answer_calls("s3.GetBucketEncryption", status, code)
    assert task.unload({})[:2] == ("FAILED", error)
