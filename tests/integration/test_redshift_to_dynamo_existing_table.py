"""A second stack beside the first, for a table that was there before: another key, a sort key, a TTL attribute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local import executions
from local.stack import LocalAws, delete, deploy_built

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLE = "sales-of-old"
STACK = "existing-table"


@pytest.fixture(scope="module")
def state_machine(aws: LocalAws, outputs: dict[str, str]) -> Iterator[str]:
    """The loading state machine of a stack that is given the table."""
    encryption_key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    aws.client("dynamodb").create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[
            {"AttributeName": "shop", "AttributeType": "S"},
            {"AttributeName": "sale", "AttributeType": "N"},
        ],
        KeySchema=[{"AttributeName": "shop", "KeyType": "HASH"}, {"AttributeName": "sale", "KeyType": "RANGE"}],
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": encryption_key},
    )
    aws.client("dynamodb").update_time_to_live(
        TableName=TABLE, TimeToLiveSpecification={"AttributeName": "expires", "Enabled": True}
    )
    parameters = {
        "StackPrefix": "existing",
        "DynamodbTargetTable": TABLE,
        "TargetKey": "",
        "DynamoDbTtl": "expires",
        "DynamodbMetaTable": "existing-tokens",
    }
    yield deploy_built(aws, STACK, parameters)["RedshiftToDynamoStateMachineArn"]
    delete(aws, STACK)


def test_an_existing_table_with_a_sort_key_and_ttl_is_loaded(aws: LocalAws, state_machine: str) -> None:
    query = (
        "SELECT shop, sale, total::DECIMAL(10,2) AS total, expires FROM ("
        "SELECT 'Bonn' AS shop, 1 AS sale, 12.50 AS total, TIMESTAMP '2030-01-01 00:00:00' AS expires "
        "UNION ALL SELECT 'Bonn', 2, 0.99, '2030-01-02 00:00:01' "
        "UNION ALL SELECT 'Bonn', 2, 1.99, '2030-01-02 00:00:01' "
        "UNION ALL SELECT 'Jena', 1, NULL, NULL) AS sales"
    )

    execution = executions.run(aws.client("stepfunctions"), state_machine, {"query": query})

    assert execution.status == "SUCCEEDED", f"{execution.error}: {execution.cause}"
    assert execution.output["rows_written"] == 3
    assert execution.output["rows_superseded"] == 1
    items = aws.client("dynamodb").scan(TableName=TABLE)["Items"]
    by_key = {(item["shop"]["S"], item["sale"]["N"]): item for item in items}
    assert by_key.keys() == {("Bonn", "1"), ("Bonn", "2"), ("Jena", "1")}
    assert by_key["Bonn", "1"] == {
        "shop": {"S": "Bonn"},
        "sale": {"N": "1"},
        "total": {"N": "12.5"},
        "expires": {"N": "1893456000"},
    }
    assert by_key["Bonn", "2"]["expires"] == {"N": "1893542401"}
    assert by_key["Jena", "1"].keys() == {"shop", "sale"}


def test_a_key_column_of_another_type_is_refused(aws: LocalAws, state_machine: str) -> None:
    execution = executions.run(
        aws.client("stepfunctions"),
        state_machine,
        {"query": "SELECT 'Bonn' AS shop, 'one' AS sale, CURRENT_DATE AS expires"},
    )

    assert (execution.status, execution.error) == ("FAILED", "KeyTypeMismatch")
    assert "sale" in execution.cause
