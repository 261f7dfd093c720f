"""Each role may do what its functions, machine or schedule do (calls.py), there, and nothing else.

The policies are those that CloudFormation would make, evaluated as IAM does, by the local AWS's evaluator.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest
from botocore import xform_name
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.template.calls import ANY, ENCRYPTION_CONTEXT, KEY, LOAD, PREPARE, STATEMENTS, Call, Case, cases
from tests.template.evaluation import ACCOUNT, REGION, Evaluation, deployed
from tests.template.stack import ROOT, as_list

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

CASES = list(cases())
MANAGED = "arn:aws:iam::aws:policy/"

# Operations of boto3 that ask for an action of another name; the others' are their own.
OTHER_ACTIONS = {
    "dynamodb:TransactWriteItems": "dynamodb:ConditionCheckItem",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
}
# Clients of functions/, by botocore's name, and what their actions begin with.
SERVICES = {"dynamodb": "dynamodb", "redshift-data": "redshift-data", "s3": "s3", "stepfunctions": "states"}


def roles(stack: Evaluation) -> dict[str, dict[str, Any]]:
    """The roles by logical id, with the policies that are resources of their own among their others."""
    made = stack.properties("AWS::IAM::Role")
    for policy in stack.properties("AWS::IAM::Policy").values():
        for name, role in made.items():
            if stack.value({"Ref": name}) in policy["Roles"]:
                role["Policies"].append(policy)
    return made


def statements(role: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [statement for policy in role["Policies"] for statement in policy["PolicyDocument"]["Statement"]]


def allows(statements: Iterable[Mapping[str, Any]], call: Call) -> bool:
    context = EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/role/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT,
        action=call.action,
        resource_arn=call.resource,
        region=REGION,
        secure_transport=call.keys.get("aws:SecureTransport") != "false",
        service_context={key.lower(): value for key, value in call.keys.items()},
    )
    return bool(evaluate(context, [parse_policy_document({"Statement": list(statements)})]).decision == "Allow")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_role_may_do_what_it_is_for(case: Case) -> None:
    made = roles(case.stack)
    assert made.keys() == case.calls.keys()
    for role, calls in case.calls.items():
        assert [call for call in calls if not allows(statements(made[role]), call)] == [], role


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_role_may_do_more(case: Case) -> None:
    for name, role in roles(case.stack).items():
        allowed = case.calls[name]
        for statement in statements(role):
            for action in as_list(statement["Action"]):
                assert any(allows([statement | {"Action": action}], call) for call in allowed), (name, action)
            for resource in as_list(statement["Resource"]):
                assert any(allows([statement | {"Resource": resource}], call) for call in allowed), (name, resource)
        for call in allowed:
            if call.resource != ANY and not call.resource.endswith(":x"):
                other = call.elsewhere()
                assert not allows(statements(role), other) or is_kms_of_secrets(call), (name, other)


def is_kms_of_secrets(call: Call) -> bool:
    """Whether the key may be any, because only Secrets Manager may use it."""
    return call.keys.get("kms:ViaService", "").startswith("secretsmanager.")


@pytest.mark.parametrize("key", ["secretsmanager", "dynamodb", "s3", "sns", "sqs"])
def test_a_key_may_be_used_through_its_service_alone(key: str) -> None:
    uses = [
        (case, role, call)
        for case in CASES
        for role, calls in case.calls.items()
        for call in calls
        if call.keys.get("kms:ViaService", "").startswith(key)
    ]
    assert uses
    for case, role, call in uses:
        direct = replace(call, keys={key: value for key, value in call.keys.items() if key != "kms:ViaService"})
        through_another = replace(call, keys={**call.keys, "kms:ViaService": f"ec2.{REGION}.amazonaws.com"})
        for wrong in (direct, through_another):
            assert not allows(statements(roles(case.stack)[role]), wrong)


@pytest.mark.parametrize("given", [{}, {"DataS3Bucket": "existing"}, {"KmsKeyArn": KEY}])
def test_the_key_of_a_bucket_is_used_for_this_bucket_and_its_objects_alone(given: dict[str, str]) -> None:
    stack = deployed(**given)
    bucket = "arn:aws:s3:::existing" if "DataS3Bucket" in given else stack.arn("DataBucket")
    through = {"kms:ViaService": f"s3.{REGION}.amazonaws.com"}

    def may_decrypt(arn: str) -> bool:
        call = Call("kms:Decrypt", KEY, {**through, f"{ENCRYPTION_CONTEXT}aws:s3:arn": arn})
        return allows(statements(roles(stack)[LOAD]), call)

    assert may_decrypt(bucket)
    assert may_decrypt(f"{bucket}/unload/x/0000.parquet")
    assert not may_decrypt(f"{bucket}-other")
    assert not may_decrypt(f"{bucket}-other/unload/x")
    assert not may_decrypt("arn:aws:s3:::other")


def test_a_boundary_bounds_every_role_that_the_stack_makes() -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/boundary"
    bounded = roles(deployed(PermissionsBoundaryArn=boundary, LoadSchedule="rate(1 day)"))
    assert {role["PermissionsBoundary"] for role in bounded.values()} == {boundary}
    assert not any("PermissionsBoundary" in role for role in roles(deployed()).values())


@pytest.mark.parametrize(("role", "action"), [(PREPARE, "dynamodb:DescribeTable"), (LOAD, "dynamodb:BatchWriteItem")])
def test_further_tables_are_those_named_in_this_account_and_region(role: str, action: str) -> None:
    table = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/audits"
    further = statements(roles(deployed(LoadableTables="audits"))[role])
    assert allows(further, Call(action, table))
    assert not allows(further, Call(action, table.replace(ACCOUNT, "210987654321")))
    for named in ("", "audit", "audits-*", "*-audits"):
        assert not allows(statements(roles(deployed(LoadableTables=named))[role]), Call(action, table))
    (statement,) = (s for s in further if "aws:ResourceAccount" in str(s.get("Condition")))
    assert statement["Condition"] == {"StringEquals": {"aws:ResourceAccount": ACCOUNT, "aws:RequestedRegion": REGION}}


def test_any_workgroup_may_be_used_unless_one_is_named() -> None:
    role = roles(deployed(WorkgroupName="analytics"))[STATEMENTS]
    workgroup = f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/1"
    for action in ("redshift-serverless:GetCredentials", "redshift-data:ExecuteStatement"):
        assert allows(statements(role), Call(action, workgroup))


def test_each_role_is_assumed_by_the_one_service_that_works_in_its_name() -> None:
    users = {
        "lambda.amazonaws.com": [f["Role"] for f in CASES[-1].stack.properties("AWS::Lambda::Function").values()],
        "states.amazonaws.com": [
            m["RoleArn"] for m in CASES[-1].stack.properties("AWS::StepFunctions::StateMachine").values()
        ],
        "scheduler.amazonaws.com": [
            timer["Target"]["RoleArn"] for timer in CASES[-1].stack.properties("AWS::Scheduler::Schedule").values()
        ],
    }
    for name, role in roles(CASES[-1].stack).items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        services = {service for service, arns in users.items() if CASES[-1].stack.arn(name) in arns}
        assert {*as_list(statement["Principal"]["Service"])} == services, name
        assert (statement["Effect"], as_list(statement["Action"])) == ("Allow", ["sts:AssumeRole"])


@pytest.mark.parametrize(
    ("given", "policies"),
    [
        ({}, set()),
        ({"ShouldEnableTracing": "true"}, {"AWSXRayDaemonWriteAccess"}),
        ({"SubnetIds": "subnet-1", "SecGroup": "sg-1"}, {"service-role/AWSLambdaVPCAccessExecutionRole"}),
    ],
    ids=["plain", "traced", "in a VPC"],
)
def test_functions_may_log_and_only_if_asked_trace_and_join_a_vpc(given: dict[str, str], policies: set[str]) -> None:
    stack = deployed(**given)
    used = {function["Role"] for function in stack.properties("AWS::Lambda::Function").values()}
    for name, role in roles(stack).items():
        if stack.arn(name) in used:
            attached = {arn.removeprefix(MANAGED) for arn in role["ManagedPolicyArns"]}
            assert attached == policies | {"service-role/AWSLambdaBasicExecutionRole"}, name
        else:
            assert not role.get("ManagedPolicyArns"), name


def test_every_call_that_the_code_makes_is_one_that_a_role_is_for() -> None:
    known = {call.action for case in CASES for calls in case.calls.values() for call in calls}
    called = set(operations_called())
    assert {"dynamodb:UpdateItem", "dynamodb:Query", "s3:GetObject", "states:SendTaskSuccess"} <= called
    assert called <= known


def operations_called() -> Iterator[str]:
    """The actions of boto3's operations that functions/ names: as methods, or to a paginator."""
    session = botocore.session.get_session()
    actions: dict[str, list[str]] = {}
    for service, prefix in SERVICES.items():
        for operation in session.get_service_model(service).operation_names:
            action = f"{prefix}:{operation}"
            actions.setdefault(xform_name(operation), []).append(OTHER_ACTIONS.get(action, action))
    for file in (ROOT / "functions").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(name))]):
                    yield from actions[name]
                case ast.Call(func=ast.Attribute(attr=name)) if len(actions.get(name, [])) == 1:
                    yield from actions[name]


def test_the_bucket_refuses_connections_without_tls() -> None:
    stack = deployed()
    (policy,) = stack.properties("AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    bucket = stack.arn("DataBucket")
    assert (policy["Bucket"], statement["Effect"], statement["Principal"]) == (bucket.split(":")[-1], "Deny", "*")
    assert {bucket, f"{bucket}/*"} == {*statement["Resource"]}
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for action, resource in (("s3:GetObject", f"{bucket}/unload/x"), ("s3:ListBucket", bucket)):
        assert allows([everything, statement], Call(action, resource, {"aws:SecureTransport": "true"}))
        assert not allows([everything, statement], Call(action, resource, {"aws:SecureTransport": "false"}))
    assert not deployed(DataS3Bucket="existing").properties("AWS::S3::BucketPolicy")
