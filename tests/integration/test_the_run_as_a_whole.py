"""What all tests of the deployed stack did together: begun last, as files go by their names."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, evaluate_resource_policy, parse_policy_document

from local import executions
from local.mails import Mailbox
from local.stack import ACCOUNT, STACK_NAME
from tests.template.stack import as_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from local.calls import RoleCall
    from local.data_api import DataApi
    from local.stack import LocalAws

# What roles may do and nobody did: each with why it is needed all the same.
_OF_LOG_DELIVERY = "Step Functions sets up its log group with the machine's role, which the local AWS does without"
_OF_THE_POLLER = "Lambda polls a queue in the name of its function's role, the local AWS in nobody's"
_OF_THE_MAP = "Step Functions follows its children and writes their results, the local AWS does so in nobody's name"
UNSEEN = {
    ("RedshiftStatementRole", "sqs:ReceiveMessage"): _OF_THE_POLLER,
    ("RedshiftStatementRole", "sqs:DeleteMessage"): _OF_THE_POLLER,
    ("RedshiftStatementRole", "sqs:GetQueueAttributes"): _OF_THE_POLLER,
    ("RedshiftStatementRole", "sqs:SendMessage"): "Lambda sends what a function failed to handle, which none did",
    ("RedshiftStatementRole", "redshift-data:ListStatements"): "a function was killed before it noted a statement's id",
    ("LoadDynamoFunctionRole", "states:DescribeExecution"): "a loader asks if its lock is stopped, when it looks at it",
    **{
        (role, "s3:ListBucket"): "with it S3 tells a missing file from a forbidden one; nobody lists"
        for role in ("PrepareLoadFunctionRole", "CompareKeysFunctionRole", "LoadDynamoFunctionRole")
    },
    **{
        (machine, f"logs:{action}"): _OF_LOG_DELIVERY
        for machine in ("RedshiftDataApiSPProcesStateMachineRole", "RedshiftToDynamoProcesStateMachineRole")
        for action in (
            *("CreateLogDelivery", "GetLogDelivery", "UpdateLogDelivery", "DeleteLogDelivery", "ListLogDeliveries"),
            *("PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups"),
        )
    },
    **{
        ("RedshiftToDynamoProcesStateMachineRole", action): _OF_THE_MAP
        for action in (
            *("states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"),
            *("s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"),
        )
    },
}

# Statements of which not every resource is touched, in the same way.
UNREACHED = {
    ("RedshiftStatementRole", "AskForExecutions"): "loads are asked for as procedures are, if their event is lost",
}


@pytest.fixture(scope="module")
def whole_run(request: pytest.FixtureRequest) -> None:
    """Skips what says nothing unless all tests of the deployed stack ran before."""
    files = {*Path(__file__).parent.glob("test_*.py")}
    if files - {item.path for item in request.session.items} or request.config.option.keyword:
        pytest.skip("not all tests of the deployed stack were asked for")


class Roles:
    """The roles of the deployed stack by their logical ids, with their policies."""

    def __init__(self, aws: LocalAws) -> None:
        iam, stack = aws.client("iam"), aws.client("cloudformation")
        resources = stack.describe_stack_resources(StackName=STACK_NAME)["StackResources"]
        self.names = {
            resource["PhysicalResourceId"]: resource["LogicalResourceId"]
            for resource in resources
            if resource["ResourceType"] == "AWS::IAM::Role"
        }
        self.statements = {
            name: [
                statement
                for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
                for statement in _document(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
            ]
            for role, name in self.names.items()
        }

    def calls(self, aws: LocalAws) -> Iterator[tuple[str, RoleCall]]:
        """The calls in the name of these roles, with the roles' logical ids."""
        return ((self.names[call.principal], call) for call in aws.role_calls() if call.principal in self.names)


@pytest.fixture(scope="module")
def roles(aws: LocalAws, outputs: dict[str, str]) -> Roles:
    return Roles(aws)


def _document(policy: Any) -> list[dict[str, Any]]:
    document: dict[str, Any] = json.loads(policy) if isinstance(policy, str) else policy
    return as_list(document["Statement"])


def _context(call: RoleCall, **keys: str) -> EvalContext:
    return EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/{call.principal}/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=call.action,
        resource_arn=call.resource,
        region="us-east-1",
        secure_transport=True,
        service_context={key: list(value) if isinstance(value, tuple) else value for key, value in call.context} | keys,
    )


def _allows(statements: list[Mapping[str, Any]], call: RoleCall) -> bool:
    return bool(evaluate(_context(call), [parse_policy_document({"Statement": statements})]).decision == "Allow")


MARK = f"mark{uuid.uuid4().hex}"
ROWS, REJECTED, CAST, ARGUMENT, QUERY = (f"{MARK}-{kind}" for kind in ("row", "rejected", "cast", "argument", "query"))
PROCEDURES: list[dict[str, Any]] = [
    {"spname": "public.sp_etl_log_etl_event", "event_message": ARGUMENT},
    {"spname": "public.sp_divide", "arguments": [{"value": ARGUMENT, "type": "varchar(99)"}, {"value": ARGUMENT}]},
    {"spname": "public.sp_divide", "arguments": [ARGUMENT, [ARGUMENT]]},
    {"spname": "public.sp_divide", "arguments": [{"value": {ARGUMENT: ARGUMENT}, "type": "date"}]},
    {"spname": "public.sp_divide", "event_message": ARGUMENT * 1000},
]
LOADS: list[dict[str, Any]] = [
    {"table": "public.marked", "rejects_allowed": 1, "mode": "mirror", "verify_sample": 10},
    {"table": "public.marked"},
    {"table": "public.marked", "where": f"note <> '{QUERY}"},
    {"query": f"SELECT '{QUERY}'::VARCHAR(99) AS id FROM public.nowhere"},
]
# Redshift's own message repeats what it could not read, and the mail has that message.
QUOTING: dict[str, Any] = {"query": "SELECT id, cast_me::INTEGER AS n FROM public.marked"}


@pytest.fixture(scope="module")
def planted(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> list[str]:
    """The mails about executions that ended in every way, over marked rows, arguments and queries."""
    divide = "CREATE PROCEDURE public.sp_divide(a VARCHAR(99), b VARCHAR(99)) AS $$ BEGIN PERFORM 1 / 0; END $$"
    for statement in (
        "CREATE TABLE public.marked (id VARCHAR(99), note VARCHAR(99), cast_me VARCHAR(99))",
        f"INSERT INTO public.marked VALUES ('{ROWS}', '{ROWS}', '{CAST}'), ('', '{REJECTED}', '{CAST}')",
        f"{divide} LANGUAGE plpgsql",
    ):
        redshift.query(statement)
    states, dynamodb = aws.client("stepfunctions"), aws.client("dynamodb")
    mailbox = Mailbox(aws.client("sns"), aws.client("sqs"), outputs["NotificationTopicArn"], f"mails-{MARK}")
    dynamodb.create_table(
        TableName="local-marked",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    started = [executions.start(states, outputs["StoredProcedureStateMachineArn"], payload) for payload in PROCEDURES]
    loads = outputs["RedshiftToDynamoStateMachineArn"]
    ended = [
        *(executions.run(states, loads, {**load, "target_table": "local-marked"}) for load in [*LOADS, QUOTING]),
        *(executions.wait(states, arn) for arn in started),
    ]
    failed = [execution for execution in ended if execution.status == "FAILED"]
    assert {execution.error for execution in failed} == {
        *("InvalidInput", "InvalidQuery", "StatementFailed", "TooManyRejects"),
    }
    return [mailbox.next_mail().text for _ in failed]


def _logged(aws: LocalAws) -> Iterator[str]:
    """Every line of every log, metrics among them, and what the local AWS itself printed."""
    logs = aws.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                yield from (event["message"] for event in events["events"])
    yield from aws.log().splitlines()


def _tokens(aws: LocalAws, outputs: dict[str, str]) -> set[str]:
    """Every task token that a statement's row has kept."""
    rows = [
        row
        for page in aws.client("dynamodb").get_paginator("scan").paginate(TableName=outputs["MetaTableName"])
        for row in page["Items"]
    ]
    return {token for row in rows for value in row.values() for token in value.get("SS", [])}


def test_no_log_shows_a_row_an_argument_a_query_a_secret_or_a_token(
    aws: LocalAws, outputs: dict[str, str], planted: list[str]
) -> None:
    lines = [*_logged(aws)]
    assert any("statement submitted" in line for line in lines)
    assert any("StatementsSubmitted" in line for line in lines)
    assert any("rejected: 1 of 2 rows" in line for line in lines)
    secret = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=aws.secret_arn)["SecretString"])
    tokens = _tokens(aws, outputs)
    assert tokens
    hidden = {MARK, MARK.upper(), MARK[::-1], secret["password"], *tokens}
    assert [line for line in lines if any(text in line for text in hidden)] == []
    metrics = aws.client("cloudwatch").list_metrics()["Metrics"]
    assert not any(text in json.dumps(metrics, default=str) for text in hidden)


def test_a_mail_has_the_input_and_nothing_else_of_it(
    aws: LocalAws, outputs: dict[str, str], planted: list[str]
) -> None:
    secret = json.loads(aws.client("secretsmanager").get_secret_value(SecretId=aws.secret_arn)["SecretString"])
    hidden = {secret["password"], *_tokens(aws, outputs)}
    assert sum(CAST in mail for mail in planted) == 1
    for mail in planted:
        without_input = re.sub(r"^Input: .*$", "", mail, flags=re.MULTILINE).replace(CAST, "")
        assert not any(text in without_input for text in {MARK, *hidden})


@pytest.mark.usefixtures("planted")
def test_what_rules_deliver_is_let_in_by_what_it_is_delivered_to(aws: LocalAws) -> None:
    functions, queues = aws.client("lambda"), aws.client("sqs")
    deliveries = [call for call in aws.role_calls() if call.principal.startswith("rule:")]
    mine = [call for call in deliveries if call.resource.rpartition(":")[2].startswith("local-")]
    assert {call.action for call in mine} == {"lambda:InvokeFunction", "sqs:SendMessage"}
    for call in mine:
        name = call.resource.rpartition(":")[2]
        if call.action == "lambda:InvokeFunction":
            policy = functions.get_policy(FunctionName=name)["Policy"]
        else:
            url = queues.get_queue_url(QueueName=name)["QueueUrl"]
            policy = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]["Policy"]
        rule = call.principal.removeprefix("rule:")
        for source, decision in ((rule, "Allow"), (f"{rule}-other", "ImplicitDeny")):
            context = _context(call, **{"aws:sourcearn": source})
            context.principal_arn, context.principal_type = "*", "Service"
            assert evaluate_resource_policy(policy, context, service="events.amazonaws.com").decision == decision, call


def test_every_call_is_one_that_its_roles_policy_allows(aws: LocalAws, roles: Roles) -> None:
    calls = list(roles.calls(aws))
    assert calls
    assert [call for role, call in calls if not _allows([*roles.statements[role]], call)] == []


@pytest.mark.usefixtures("whole_run")
def test_no_role_may_do_what_none_of_its_calls_needs(aws: LocalAws, roles: Roles) -> None:
    calls: dict[str, list[RoleCall]] = {name: [] for name in roles.statements}
    for role, call in roles.calls(aws):
        calls[role].append(call)
    granted = {
        (role, action): any(_allows([statement | {"Action": action}], call) for call in calls[role])
        for role, statements in roles.statements.items()
        for statement in statements
        for action in as_list(statement["Action"])
        # Nothing here has a key of its own; tests/template/ has what is asked of one.
        if not action.startswith("kms:")
    }
    unseen = {grant for grant, is_seen in granted.items() if not is_seen}
    assert unseen <= UNSEEN.keys() <= granted.keys()
    for role, statements in roles.statements.items():
        for statement in statements:
            seen = any(granted.get((role, action)) for action in as_list(statement["Action"]))
            if (role, statement["Sid"]) in UNREACHED or not seen:
                continue
            for resource in as_list(statement["Resource"]):
                is_touched = any(_allows([statement | {"Resource": resource}], call) for call in calls[role])
                assert is_touched, (role, statement["Sid"], resource)
