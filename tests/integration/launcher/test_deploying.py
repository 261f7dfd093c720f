"""Deploying the stack with the real `sam`: refused, changed, removed."""

from __future__ import annotations

import pytest

from local.stack import LocalAws, SamCommandFailedError, delete, deploy


def test_impossible_parameters_are_refused_before_anything_is_made(aws: LocalAws) -> None:
    with pytest.raises(SamCommandFailedError, match=r"Give either ClusterIdentifier .* or WorkgroupName"):
        deploy(aws, "impossible", {"StackPrefix": "impossible", "WorkgroupName": "local-workgroup"})

    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    made = [stack["StackName"] for stack in stacks if stack["StackStatus"] != "REVIEW_IN_PROGRESS"]
    assert "impossible" not in made


def test_a_stack_is_changed_in_place_and_removed_whole(aws: LocalAws) -> None:
    names = {"StackPrefix": "second", "DynamodbMetaTable": "second-tokens", "DynamodbTargetTable": "second-target"}
    outputs = deploy(aws, "second", names)
    functions = aws.client("lambda")
    callback = outputs["CallbackFunctionName"]
    before = functions.get_function_configuration(FunctionName=callback)["Environment"]["Variables"]
    assert before["REDSHIFT_DB_NAME"] == "dev"

    assert deploy(aws, "second", {**names, "RedshiftDbName": "reports"}) == outputs

    after = functions.get_function_configuration(FunctionName=callback)["Environment"]["Variables"]
    assert after == {**before, "REDSHIFT_DB_NAME": "reports"}

    delete(aws, "second")

    left = [function["FunctionName"] for function in functions.list_functions()["Functions"]]
    assert callback not in left
    assert "second-tokens" not in aws.client("dynamodb").list_tables()["TableNames"]
