"""What preflight finds wrong with a stack, and what it says mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest

from scripts.pipelines.mending import mend
from tests.unit.scripts.conftest import BUCKET, LEDGER, REGION, call

if TYPE_CHECKING:
    from tests.unit.scripts.conftest import Account

ROLE = "arn:aws:iam::123456789012:role/unload"


@pytest.mark.parametrize(
    ("error", "cause", "says"),
    [
        (
            "StatementFailed",
            "ERROR: permission denied for relation reviews",
            'GRANT SELECT ON reviews TO "IAMR:p-statements";',
        ),
        ("StatementFailed", 'permission denied for schema "etl" (statement 1)', 'GRANT USAGE ON SCHEMA "etl" TO'),
        ("StatementFailed", 'permission denied for table "My Table"', 'GRANT SELECT ON "My Table" TO'),
        ("StatementFailed", "permission denied for procedure etl.sp", "GRANT EXECUTE ON PROCEDURE etl.sp TO"),
        (
            "StatementFailed",
            f"User arn:aws:redshift is not authorized to assume IAM Role {ROLE} (x)",
            f"--iam-roles {ROLE}",
        ),
        ("StatementFailed", f"Not authorized to get credentials of role {ROLE}", f"GRANT ASSUMEROLE ON '{ROLE}' TO"),
        ("StatementFailed", "the cluster has no default IAM role: name one", "--default-iam-role-arn <ARN>"),
        (
            "StatementFailed",
            "S3ServiceException:Access Denied,Status 403,Error AccessDenied",
            '"arn:aws:s3:::pipelines-data/unload/*"',
        ),
        (
            "StatementFailed",
            "S3ServiceException: … not authorized to perform: kms:GenerateDataKey",
            "kms:GenerateDataKey",
        ),
        ("StatementRefused", "Secrets Manager can't find the specified secret.", "DbSecretArn"),
        ("StatementFailed", 'FATAL: database "dev" does not exist', "RedshiftDbName"),
        ("StatementFailed", 'relation "public.reviews" does not exist', "UnloadQuery"),
        ("StatementFailed", 'relation "public.secrets" does not exist', "UnloadQuery"),
        ("TargetTableNotFound", "table x does not exist", "Do: "),
        ("Unheard", "x", "docs/operating.md"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_redshift_refuses_is_answered_with_what_mends_it(
    account: Account, error: str, cause: str, says: str
) -> None:
    assert says in mend(account.stack, "", error, cause)


@pytest.mark.parametrize(
    ("query", "cause", "grants"),
    [
        ("SELECT * FROM public.orders", "permission denied for relation orders", "public.orders"),
        ('select o.orders from dev."My S"."orders" o', "permission denied for table orders", 'dev."My S"."orders"'),
        ("SELECT * FROM a.x JOIN b.orders ON 1", "permission denied for relation orders", "b.orders"),
        ("SELECT * FROM a.orders JOIN b.orders ON 1", "permission denied for relation orders", "orders"),
        ("SELECT * FROM public.orders_2026", "permission denied for relation orders", "orders"),
        ("SELECT * FROM public.orders", "permission denied for relation etl.orders", "etl.orders"),
    ],
)  # fmt: skip
def test_a_grant_names_the_table_as_the_query_does(account: Account, query: str, cause: str, grants: str) -> None:
    assert f"GRANT SELECT ON {grants} TO" in mend(account.stack, query, "StatementFailed", cause)


def findings(*words: str) -> dict[str, dict[str, Any]]:
    return {finding["what"]: finding for finding in call("--json", "preflight", "--every", "0.1", *words).document}


def test_a_stack_that_has_all_it_needs_is_well(account: Account) -> None:
    called = call("preflight", "--every", "0.1", "--query", "SELECT 1 AS review_id")
    assert called.code == 0, called
    assert called.text.splitlines() == [
        "✓ stack: pipelines is CREATE_COMPLETE",
        "✓ mails: nobody is told of failures (SupportNotificationEmail)",
        "✓ bucket: pipelines-data is there",
        "✓ table: tokens is ACTIVE",
        "✓ table: ledger is ACTIVE",
        "✓ table: reviews is ACTIVE",
        "✓ unload: one row of constants was unloaded and fits the table.",
        "✓ query: one row of the query was unloaded and fits the table.",
    ]
    first, second = call("--json", "list", "--most", "2").document[::-1]
    assert first["input"] == {"query": "SELECT 'preflight' AS \"review_id\"", "dry_run": True}
    assert second["input"] == {
        "query": "SELECT * FROM (\nSELECT 1 AS review_id\n) AS preflight LIMIT 1",
        "dry_run": True,
    }


def test_what_unloads_nothing_is_told_with_the_grant_and_no_query_is_tried(account: Account) -> None:
    cause = "ERROR: permission denied for relation amazon_reviews (statement 1)"
    account.script("load", {}, {"Type": "Fail", "Error": "StatementFailed", "Cause": cause})
    called = call("preflight", "--every", "0.1", "--query", "SELECT 1")
    assert called.code == 1
    assert called.text.endswith(
        f"✗ unload: one row of constants was not unloaded. StatementFailed: {cause}\n"
        '    Run in Redshift: GRANT SELECT ON amazon_reviews TO "IAMR:p-statements";\n'
    )


def test_who_is_told_of_failures_is_counted(account: Account) -> None:
    topic = account.stack.outputs["NotificationTopicArn"]
    account.stack.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:{REGION}:123456789012:q"
    )
    assert findings()["mails"]["found"] == "1 subscribed"


def test_a_table_that_is_gone_is_a_fault(account: Account) -> None:
    account.dynamodb.delete_table(TableName=LEDGER)
    called = call("preflight", "--every", "0.1")
    assert (called.code, "✗ table: ledger does not exist\n    Create it" in called.text) == (1, True)


def encrypt_bucket(account: Account, key: str) -> None:
    rule: Any = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    account.stack.client("s3").put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def test_a_key_that_is_disabled_is_a_fault(account: Account) -> None:
    kms = boto3.client("kms", REGION)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    encrypt_bucket(account, key)
    assert findings()["bucket"] == {
        "what": "bucket",
        "verdict": "well",
        "found": f"{BUCKET} is there, encrypted by {key}",
        "mends": "",
    }
    kms.disable_key(KeyId=key)
    bucket = findings()["bucket"]
    assert (bucket["verdict"], bucket["mends"]) == ("fault", f"Enable the key: aws kms enable-key --key-id {key}")


def test_a_bucket_that_is_gone_is_a_fault(account: Account) -> None:
    account.stack.client("s3").delete_bucket(Bucket=BUCKET)
    assert findings()["bucket"]["mends"] == f"aws s3 mb s3://{BUCKET}"


def test_what_the_caller_may_not_see_is_no_fault_of_the_stack(account: Account) -> None:
    encrypt_bucket(account, "9f8e7d6c-0000-0000-0000-000000000000")
    called = call("preflight", "--every", "0.1")
    assert called.code == 0
    assert "? bucket: DescribeKey was refused (" in called.text
