"""Deploying as a person does: a few answers to `sam deploy --guided`, and Enter for the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local import executions
from local.redshift.api.target import CLUSTER_IDENTIFIER, REGION, WORKGROUP_ID
from local.stack import ACCOUNT, built_template, stack_outputs
from tests.integration.guided import Dialogue, deploy_guided
from tests.template.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local.data_api import DataApi
    from local.stack import LocalAws

WORKGROUP_ARN = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/{WORKGROUP_ID}"
CLUSTER = {"ClusterIdentifier": CLUSTER_IDENTIFIER}
MAIL = {"SupportNotificationEmail": "me@example.com"}
NOT_KEPT = {"Save arguments to configuration file": "n"}


def names(stack: str) -> dict[str, str]:
    """What no two stacks may share."""
    tables = {"DynamodbMetaTable": f"{stack}-tokens", "DynamodbTargetTable": f"{stack}-reviews"}
    return {"Stack Name": stack, "StackPrefix": stack, **tables}


@pytest.fixture
def guided(aws: LocalAws, built: None, tmp_path: Path) -> Iterator[Callable[..., Dialogue]]:
    """Deploy with these answers."""
    with built_template() as template:
        yield lambda answers, *more: deploy_guided(aws, template, tmp_path, NOT_KEPT | answers, *more)


def test_a_few_answers_deploy_a_stack_that_runs_a_procedure(
    aws: LocalAws, guided: Callable[..., Dialogue], redshift: DataApi, tmp_path: Path
) -> None:
    answers = names("guided") | CLUSTER | MAIL | {"DbSecretArn": aws.secret_arn}
    dialogue = guided(answers | {"Save arguments to configuration file": "y"})
    assert dialogue.exit_code == 0, dialogue.printed
    # Kept for `sam deploy` without --guided.
    assert f'ClusterIdentifier=\\"{CLUSTER_IDENTIFIER}\\"' in (tmp_path / "samconfig.toml").read_text()
    parameters = {name: str(parameter["Default"]) for name, parameter in Stack.load().section("Parameters").items()}
    assert list(dialogue.parameters.items()) == list(parameters.items())
    assert len(dialogue.parameters) <= 30
    payload = {"spname": "public.sp_etl_log_etl_event", "event_message": "guided"}
    machine = stack_outputs(aws, "guided")["StoredProcedureStateMachineArn"]
    execution = executions.run(aws.client("stepfunctions"), machine, payload)
    aws.client("cloudformation").delete_stack(StackName="guided")
    assert execution.status == "SUCCEEDED", execution.cause
    assert redshift.query("SELECT event_message FROM public.etl_events WHERE event_message = 'guided'")


def test_a_bucket_and_a_table_that_exist_are_loaded_by_what_the_prompts_take(
    aws: LocalAws, guided: Callable[..., Dialogue]
) -> None:
    dynamodb, s3 = aws.client("dynamodb"), aws.client("s3")
    s3.create_bucket(Bucket="of-old")
    dynamodb.create_table(
        TableName="taken-reviews",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "orderId", "AttributeType": "N"}],
        KeySchema=[{"AttributeName": "orderId", "KeyType": "HASH"}],
    )
    answers = names("taken") | {"WorkgroupName": WORKGROUP_ARN, "DataS3Bucket": "of-old", "TargetKey": "-"}
    dialogue = guided(answers, "--use-json")
    assert dialogue.exit_code == 0, dialogue.printed
    outputs = stack_outputs(aws, "taken")
    query = {"query": "SELECT 7 AS orderid, 'Bonn' AS city"}
    execution = executions.run(aws.client("stepfunctions"), outputs["RedshiftToDynamoStateMachineArn"], query)
    aws.client("cloudformation").delete_stack(StackName="taken")
    assert execution.status == "SUCCEEDED", execution.cause
    assert dynamodb.scan(TableName="taken-reviews")["Items"] == [{"orderId": {"N": "7"}, "city": {"S": "Bonn"}}]
    assert s3.list_objects_v2(Bucket="of-old")["KeyCount"] > 0


def test_answers_for_other_surroundings_come_to_a_change_set(aws: LocalAws, guided: Callable[..., Dialogue]) -> None:
    a_database_user = {"DbUser": "awsuser", "TargetKey": "customer_id,order_date:N", "DynamoDbTtl": "expires_at"}
    a_vpc = {"SubnetIds": "subnet-1,subnet-2", "SecGroup": "sg-1"}
    a_schedule = {"LoadSchedule": "cron(0 3 * * ? *) Europe/Berlin", "LoadScheduleInput": '{"mode": "mirror"}'}
    answers = CLUSTER | a_database_user | a_vpc | a_schedule
    dialogue = guided(names("planned") | answers, "--no-execute-changeset", "--use-json")
    assert dialogue.exit_code == 0, dialogue.printed
    cloudformation = aws.client("cloudformation")
    (change_set,) = cloudformation.list_change_sets(StackName="planned")["Summaries"]
    planned = cloudformation.describe_change_set(StackName="planned", ChangeSetName=change_set["ChangeSetName"])
    cloudformation.delete_stack(StackName="planned")
    given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in planned["Parameters"]}
    assert {name: given[name] for name in answers} == answers


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({}, "Give either ClusterIdentifier (a cluster) or WorkgroupName (Redshift Serverless)"),
        (CLUSTER | {"SupportNotificationEmail": "me"}, "'SupportNotificationEmail' must be an e-mail address"),
    ],
    ids=["no Redshift", "no address"],
)
def test_wrong_answers_are_refused_with_words_that_say_what_to_change(
    aws: LocalAws, guided: Callable[..., Dialogue], answers: dict[str, str], says: str
) -> None:
    dialogue = guided(names("refused") | answers, "--use-json")
    assert dialogue.exit_code != 0
    assert says in dialogue.printed
    stacks: list[dict[str, Any]] = aws.client("cloudformation").describe_stacks()["Stacks"]
    assert "refused" not in {stack["StackName"] for stack in stacks}
