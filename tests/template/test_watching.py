"""Alarms, dashboard and saved queries: they ask for what is emitted and logged, and alarms arrive."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import combinations
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from tests.repository.test_operating import FUNCTIONS, metrics_emitted
from tests.template.evaluation import ACCOUNT, REGION, Evaluation, deployed

PREFIX = "redshift-pipelines"
MAILED = {"SupportNotificationEmail": "support@example.com"}
OWN_KEY = {"KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/stack"}

# Those of them that are used here ("Metrics and dimensions" of each service's guide), each with its one dimension.
OF_AWS = {
    ("AWS/States", "StateMachineArn"): {
        "ExecutionsStarted",
        "ExecutionsSucceeded",
        "ExecutionsFailed",
        "ExecutionsAborted",
        "ExecutionsTimedOut",
    },
    ("AWS/SQS", "QueueName"): {"ApproximateNumberOfMessagesVisible"},
    ("AWS/Lambda", "FunctionName"): {"Duration", "Errors", "Invocations", "Throttles"},
    ("AWS/DynamoDB", "TableName"): {"ConsumedWriteCapacityUnits", "WriteThrottleEvents"},
}


def widgets() -> list[dict[str, Any]]:
    (dashboard,) = deployed().properties("AWS::CloudWatch::Dashboard").values()
    assert dashboard["DashboardName"] == PREFIX
    found: list[dict[str, Any]] = json.loads(dashboard["DashboardBody"])["widgets"]
    return found


def shown() -> list[tuple[str, str, str, str]]:
    """Each metric of the dashboard: namespace, name, and its dimension."""
    lists = [metric for widget in widgets() for metric in widget["properties"]["metrics"]]
    named = [[part for part in metric if isinstance(part, str)] for metric in lists]
    assert {len(metric) for metric in named if metric} == {4}
    return [(namespace, name, key, value) for namespace, name, key, value in filter(None, named)]


def watched(stack: Evaluation) -> list[tuple[str, str, str, str]]:
    """Each metric that an alarm is about."""
    found = []
    for alarm in stack.properties("AWS::CloudWatch::Alarm").values():
        (dimension,) = alarm["Dimensions"]
        found.append((alarm["Namespace"], alarm["MetricName"], dimension["Name"], dimension["Value"]))
    return found


def things(stack: Evaluation) -> dict[str, set[str]]:
    """What there is in a stack, by the dimension that names it."""
    return {
        "service": {PREFIX},
        "StateMachineArn": {stack.arn(name) for name in stack.properties("AWS::StepFunctions::StateMachine")},
        "QueueName": {queue["QueueName"] for queue in stack.properties("AWS::SQS::Queue").values()},
        "FunctionName": {function["FunctionName"] for function in stack.properties("AWS::Lambda::Function").values()},
        "TableName": {table["TableName"] for table in stack.properties("AWS::DynamoDB::Table").values()},
    }


def test_every_metric_is_one_that_the_code_or_aws_emits_of_something_that_there_is() -> None:
    stack = deployed(TargetKey="review_id")
    own = metrics_emitted()
    for namespace, name, dimension, value in [*shown(), *watched(stack)]:
        known = own if (namespace, dimension) == (PREFIX, "service") else OF_AWS[namespace, dimension]
        assert name in known
        assert value in things(stack)[dimension], name


def test_the_dashboard_shows_every_metric_of_the_code() -> None:
    assert {name for namespace, name, _, _ in shown() if namespace == PREFIX} == metrics_emitted()


def test_what_the_code_emits_has_the_namespace_and_the_dimension_that_is_asked_for() -> None:
    invocation = (
        "from telemetry import MetricUnit, metrics\n"
        "@metrics.log_metrics\n"
        "def handler(event, context):\n"
        "    metrics.add_metric('RowsWritten', MetricUnit.Count, 1)\n"
        "handler({}, None)\n"
    )
    given = next(iter(deployed().properties("AWS::Lambda::Function").values()))["Environment"]["Variables"]
    ran = subprocess.run(
        [sys.executable, "-c", invocation],
        env={**os.environ, **{name: str(value) for name, value in given.items()}, "PYTHONPATH": str(FUNCTIONS)},
        capture_output=True,
        text=True,
        check=True,
    )
    emitted = json.loads(ran.stdout)
    (directive,) = emitted["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == (PREFIX, [["service"]])
    assert emitted["service"] == PREFIX


def test_widgets_stand_side_by_side() -> None:
    places = [(w["x"], w["y"], w["x"] + w["width"], w["y"] + w["height"]) for w in widgets()]
    for (left, top, right, bottom), other in combinations(places, 2):
        assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    assert {right for _, _, right, _ in places} == {12, 24}
    assert {widget["properties"]["region"] for widget in widgets()} == {REGION}


@pytest.mark.parametrize("given", [MAILED, OWN_KEY, MAILED | OWN_KEY])
def test_alarms_act_where_they_arrive(given: dict[str, str]) -> None:
    stack = deployed(**given)
    (topic,) = stack.properties("AWS::SNS::Topic").values()
    own = stack.properties("AWS::KMS::Key")
    assert bool(own) == (given == MAILED)
    assert topic["KmsMasterKeyId"] == given.get("KmsKeyArn", "notificationkey")
    alarms = stack.properties("AWS::CloudWatch::Alarm")
    assert len(alarms) == 5
    for alarm in alarms.values():
        assert alarm["AlarmActions"] == [stack.arn("NotificationTopic")]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert alarm["AlarmName"].startswith(f"{PREFIX}-")


def test_nor_do_they_act_where_cloudwatch_may_not() -> None:
    stack = deployed()
    (topic,) = stack.properties("AWS::SNS::Topic").values()
    assert topic["KmsMasterKeyId"] == "alias/aws/sns"
    assert stack.properties("AWS::KMS::Key") == {}
    assert not any("AlarmActions" in alarm for alarm in stack.properties("AWS::CloudWatch::Alarm").values())


@pytest.mark.parametrize(
    ("source", "account", "allowed"),
    [
        (f"{PREFIX}-UnhandledEvents", ACCOUNT, True),
        ("another-alarm", ACCOUNT, False),
        (f"{PREFIX}-UnhandledEvents", "210987654321", False),
    ],
)
def test_the_topics_own_key_is_for_the_stacks_alarms(source: str, account: str, *, allowed: bool) -> None:
    (key,) = deployed(**MAILED).properties("AWS::KMS::Key").values()
    assert key["EnableKeyRotation"] is True
    (statement,) = [each for each in key["KeyPolicy"]["Statement"] if "Service" in each["Principal"]]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        context = EvalContext(
            principal_arn="cloudwatch.amazonaws.com",
            principal_type="Service",
            principal_account=account,
            action=action,
            resource_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/notificationkey",
            region=REGION,
            secure_transport=True,
            service_context={
                "aws:sourceaccount": account,
                "aws:sourcearn": f"arn:aws:cloudwatch:{REGION}:{account}:alarm:{source}",
            },
        )
        policy = {key: value for key, value in statement.items() if key != "Principal"}
        decided = evaluate(context, [parse_policy_document({"Statement": [policy]})]).decision
        assert (decided == "Allow") == allowed


@pytest.mark.parametrize(
    ("alarm", "statistic", "threshold", "seconds"),
    [
        ("UnhandledEventsAlarm", "Maximum", 1, 300),
        ("ProceduresTimedOutAlarm", "Sum", 1, 300),
        ("LoadsTimedOutAlarm", "Sum", 1, 300),
        ("RescuedStatementsAlarm", "Sum", 3, 3600),
        ("SlowResumptionsAlarm", "p95", 60, 900),
    ],
)
def test_an_alarm_begins_where_somebody_should_look(alarm: str, statistic: str, threshold: int, seconds: int) -> None:
    made = deployed().properties("AWS::CloudWatch::Alarm")[alarm]
    assert made.get("Statistic", made.get("ExtendedStatistic")) == statistic
    assert (made["Threshold"], made["Period"] * made["EvaluationPeriods"]) == (threshold, seconds)


def test_saved_queries_ask_for_what_functions_log() -> None:
    stack = deployed()
    groups = {group["LogGroupName"] for group in stack.properties("AWS::Logs::LogGroup").values()}
    code = "\n".join(file.read_text() for file in FUNCTIONS.rglob("*.py"))
    queries = stack.properties("AWS::Logs::QueryDefinition").values()
    assert {query["Name"].partition("/")[0] for query in queries} == {PREFIX}
    # Of Powertools' Logger, and of Logs Insights itself.
    known = {"@timestamp", "level", "message", "function_name", "exception_name"}
    for query in queries:
        assert {f"{group}" for group in query["LogGroupNames"]} <= groups
        text = re.sub(r"^#.*$", "", query["QueryString"], flags=re.MULTILINE)
        for message in re.findall(r'message = "([^"]+)"', text):
            assert f'logger.info("{message}"' in code
        fields = text.partition("\n")[0].removeprefix("fields ").split(", ")
        for field in set(fields) - known:
            assert re.search(rf"\b{field}\b\s*[=:]", code), field


def test_saved_queries_filter_by_comparisons_alone() -> None:
    # "Use Boolean operators only in functions that return a value of TRUE or FALSE" (CloudWatch Logs guide).
    for query in deployed().properties("AWS::Logs::QueryDefinition").values():
        for words in re.findall(r"^\| filter (.+)$", query["QueryString"], flags=re.MULTILINE):
            for condition in re.split(r" and | or ", words):
                assert re.fullmatch(r"\w+ (=|like|in) .+", condition), query["Name"]


@pytest.mark.parametrize("schedule", ["", "rate(1 day)"])
@pytest.mark.parametrize("name", ["One execution", "Failures"])
def test_a_query_for_failures_looks_into_every_function(name: str, schedule: str) -> None:
    stack = deployed(LoadSchedule=schedule)
    (query,) = [q for q in stack.properties("AWS::Logs::QueryDefinition").values() if name in q["Name"]]
    functions = {function["FunctionName"] for function in stack.properties("AWS::Lambda::Function").values()}
    assert {name.removeprefix("/aws/lambda/") for name in query["LogGroupNames"]} == functions
