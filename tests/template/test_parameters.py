"""The template's Rules refuse combinations of parameters that can't work, with a message, before anything is made."""

from __future__ import annotations

import re
import tomllib

import pytest
from samcli.cli.types import CfnParameterOverridesType  # type: ignore[import-untyped]

from tests.template.evaluation import Evaluation
from tests.template.stack import ROOT, Stack

STACK = Stack.load()
CLUSTER = {"ClusterIdentifier": "analytics"}
SERVERLESS = {"WorkgroupName": "analytics"}
SECRET = {"DbSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:redshift-AbCdEf"}
USER = {"DbUser": "loader"}

ACCEPTED = [
    CLUSTER,
    SERVERLESS,
    CLUSTER | SECRET,
    CLUSTER | USER,
    SERVERLESS | SECRET,
    CLUSTER | {"SubnetIds": "subnet-1,subnet-2", "SecGroup": "sg-1"},
    CLUSTER | {"DataS3Bucket": "existing"},
    CLUSTER | {"TargetKey": "-"},
]
REFUSED = [
    ({}, {"OneRedshift"}),
    (CLUSTER | SERVERLESS, {"OneRedshift"}),
    (CLUSTER | SECRET | USER, {"OneLogin"}),
    (SERVERLESS | USER, {"DbUserIsForClusters"}),
    (SERVERLESS | SECRET | USER, {"OneLogin", "DbUserIsForClusters"}),
    (CLUSTER | {"SubnetIds": "subnet-1"}, {"WholeNetwork"}),
    (CLUSTER | {"SecGroup": "sg-1,sg-2"}, {"WholeNetwork"}),
]


@pytest.mark.parametrize("given", ACCEPTED, ids=", ".join)
def test_what_can_work_is_accepted(given: dict[str, str]) -> None:
    assert Evaluation(STACK, given).refusals() == {}


@pytest.mark.parametrize(("given", "rules"), REFUSED, ids=lambda value: ", ".join(sorted(value)) or "nothing")
def test_what_cannot_work_is_refused_with_the_parameter_to_change(given: dict[str, str], rules: set[str]) -> None:
    refused = Evaluation(STACK, given).refusals()
    assert set(refused) == rules
    for text in refused.values():
        assert any(parameter in text for parameter in STACK.section("Parameters"))


def test_each_rule_refuses_something() -> None:
    assert {rule for _, rules in REFUSED for rule in rules} == set(STACK.section("Rules"))


@pytest.mark.parametrize(
    "key", ["", "-", "review_id", "order_id:N", "customer_id,order_date", "a:S,b:N", "a,ab", "ab,a", "größe", "a:N,aa"]
)
def test_a_key_is_one_column_or_two(key: str) -> None:
    assert takes("TargetKey", key)


@pytest.mark.parametrize(
    "key", [",", "a,", ",b", "a,b,c", "a:B", "a:", "a:n", "a, b", "a b", "a,a", "a:N,a:S", "a,a:N", "a:N:S", "x" * 256]
)
def test_anything_else_is_no_key(key: str) -> None:
    assert not takes("TargetKey", key)


# `sam deploy --guided` asks in the order of the template: first for what the application has always asked for.
SEEDS = [
    "StackPrefix",
    "DynamoDbBillingMode",
    "DynamoDbPointInTimeRecovery",
    "DynamoDbTtl",
    "SubnetIds",
    "SecGroup",
    "DataS3Bucket",
    "ShouldEnableTracing",
    "DbSecretArn",
    "RedshiftDbName",
    "ClusterIdentifier",
    "DynamodbMetaTable",
    "DynamodbTargetTable",
    "SupportNotificationEmail",
    "REGION",
]


def test_a_guided_deployment_asks_for_thirty_parameters_at_most() -> None:
    parameters = list(STACK.section("Parameters"))
    assert len(parameters) <= 30
    assert parameters[: len(SEEDS)] == SEEDS


def test_every_parameter_has_a_default_and_says_what_it_takes() -> None:
    for name, parameter in STACK.section("Parameters").items():
        assert {"Default", "ConstraintDescription"} <= parameter.keys(), name
        # CloudFormation puts these words behind the parameter's name.
        assert parameter["ConstraintDescription"].startswith("must "), name
        assert {"AllowedPattern", "AllowedValues", "MaxLength"} & parameter.keys(), name


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_environment_of_samconfig_gives_parameters_that_go_together(environment: str) -> None:
    # What has two hashes stays a comment.
    text = re.sub(r"^# ", "", (ROOT / "samconfig.toml").read_text(), flags=re.MULTILINE)
    given = tomllib.loads(text)[environment]["deploy"]["parameters"]
    overrides = CfnParameterOverridesType().convert(given["parameter_overrides"], None, None)
    assert all("<" in value or takes(name, value) for name, value in overrides.items())
    assert Evaluation(STACK, overrides).refusals() == {}


WORKGROUP = "arn:aws:redshift-serverless:us-east-1:123456789012:workgroup/10ca1000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("workgroup", "taken"),
    [
        ("", True),
        ("analytics-2", True),
        (WORKGROUP, True),
        (WORKGROUP.rpartition("/")[0] + "/analytics", False),
        (WORKGROUP.replace("workgroup", "namespace"), False),
        ("Analytics", False),
        ("10ca1000-0000-4000-8000-000000000001/*", False),
    ],
)
def test_a_workgroup_is_a_name_or_an_arn(workgroup: str, *, taken: bool) -> None:
    assert takes("WorkgroupName", workgroup) == taken


def takes(parameter: str, value: str) -> bool:
    """Whether the parameter's pattern fits the whole of a value, as CloudFormation has it."""
    return re.fullmatch(STACK.section("Parameters")[parameter].get("AllowedPattern", ".*"), value) is not None


SAMPLE = """
Parameters:
  Size: {Type: String, Default: small}
  Zones: {Type: CommaDelimitedList, Default: "a,b"}
Rules:
  Known:
    Assertions:
      - Assert: !Contains [[small, large], !Ref Size]
        AssertDescription: Size is small or large.
  Nearby:
    RuleCondition: !Equals [!Ref Size, small]
    Assertions:
      - Assert: !EachMemberIn [!Ref Zones, [a, b]]
        AssertDescription: Small ones are in a or b.
      - Assert: !Not [!EachMemberEquals [!Ref Zones, b]]
        AssertDescription: Small ones are not only in b.
"""


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, {}),
        ({"Size": "huge"}, {"Known": "Size is small or large."}),
        ({"Zones": "a,c"}, {"Nearby": "Small ones are in a or b."}),
        ({"Zones": "b,b"}, {"Nearby": "Small ones are not only in b."}),
        ({"Zones": "c", "Size": "large"}, {}),
    ],
)
def test_rules_are_evaluated_as_cloudformation_describes(given: dict[str, str], refused: dict[str, str]) -> None:
    assert Evaluation(Stack.parse(SAMPLE), given).refusals() == refused


def test_a_parameter_that_does_not_exist_is_no_case() -> None:
    with pytest.raises(KeyError, match="Sise"):
        Evaluation(Stack.parse(SAMPLE), {"Sise": "small"})
