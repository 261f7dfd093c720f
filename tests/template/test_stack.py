"""What the stack is for some parameters: the properties whose loss a user would feel, and what the code relies on."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from moto.events.models import EventPattern

from execution_input import USUAL_TIMEOUT_SECONDS
from locks.table import LONGEST_WAIT_SECONDS
from statements.names import StatementKind
from statements.procedure_call import ProcedureRequest
from statements.token_store import UNFINISHED_INDEX
from tests.template import parameters_table
from tests.template.evaluation import Evaluation, deployed
from tests.template.stack import ROOT, Stack, as_list, leaves

if TYPE_CHECKING:
    from collections.abc import Callable

CODE = {file: file.read_text() for file in (ROOT / "functions").rglob("*.py")}

# Of each parameter that may be empty: a value, and what goes with it.
OPTIONAL: dict[str, dict[str, str]] = {
    "SupportNotificationEmail": {"SupportNotificationEmail": "support@example.com"},
    "KmsKeyArn": {"KmsKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"},
    "PermissionsBoundaryArn": {"PermissionsBoundaryArn": "arn:aws:iam::123456789012:policy/boundary"},
    "ClusterIdentifier": {},
    "WorkgroupName": {"WorkgroupName": "analytics"},
    "DbSecretArn": {"DbSecretArn": "arn:aws:secretsmanager:us-east-1:123456789012:secret:redshift-AbCdEf"},
    "DbUser": {"DbUser": "loader"},
    "REGION": {"REGION": "eu-west-1"},
    "StoredProcedureSchedule": {"StoredProcedureSchedule": "rate(1 hour)"},
    "DataS3Bucket": {"DataS3Bucket": "existing"},
    "LoadSchedule": {"LoadSchedule": "rate(1 day)"},
    "LoadableTables": {"LoadableTables": "sales-*,audits"},
    "DynamoDbTtl": {"DynamoDbTtl": "expires_at"},
    "SubnetIds": {"SubnetIds": "subnet-1,subnet-2", "SecGroup": "sg-1"},
    "SecGroup": {"SubnetIds": "subnet-1,subnet-2", "SecGroup": "sg-1"},
}

# Environment variables that are not their parameter's name in capitals.
VARIABLES = {
    "META_TABLE": "DynamodbMetaTable",
    "TARGET_TABLE": "DynamodbTargetTable",
    "TTL_ATTRIBUTE": "DynamoDbTtl",
    "REDSHIFT_REGION": "REGION",
    "DATA_BUCKET": "DataS3Bucket",
}

# The longest value of each parameter that a function is told and that has no MaxLength; AllowedProcedures has no limit
# of its own.
LONGEST = {
    "StackPrefix": "p" * 30,
    "ClusterIdentifier": "c" * 63,
    "RedshiftDbName": "d" * 127,
    "DbSecretArn": f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{'s' * 204}",
    "REGION": "ap-southeast-1",
    "AllowedProcedures": "p" * 1000,
    "UnloadRole": f"arn:aws-us-gov:iam::123456789012:role/{'r' * 64}",
    "DataS3Bucket": "b" * 63,
    "DynamodbMetaTable": "m" * 255,
    "DynamodbTargetTable": "t" * 255,
    "DynamoDbTtl": "x" * 255,
    "LoadableTables": "t" * 255,
}
# For all environment variables of a function in aggregate ("Lambda quotas").
MOST_VARIABLE_BYTES = 4096

# A redriven execution reads what it had listed ("Redriving executions": within 14 days).
REDRIVE_DAYS = 14


def functions(stack: Evaluation) -> dict[str, dict[str, Any]]:
    return stack.properties("AWS::Lambda::Function")


def variables(function: dict[str, Any]) -> dict[str, str]:
    given: dict[str, str] = function["Environment"]["Variables"]
    return given


def test_the_parameters_that_may_be_empty_are_those_tried_here() -> None:
    parameters = Stack.load().section("Parameters")
    assert OPTIONAL.keys() == {name for name, parameter in parameters.items() if parameter.get("Default") == ""}


@pytest.mark.parametrize("name", sorted(OPTIONAL.keys() - {"WorkgroupName"}))
def test_a_parameter_makes_a_difference_if_it_is_given_and_only_then(name: str) -> None:
    with_it = deployed(**OPTIONAL[name])
    without = deployed(WorkgroupName="analytics") if name == "ClusterIdentifier" else deployed()
    assert name in with_it.parameters_of_resources()
    assert name not in without.parameters_of_resources()


@pytest.mark.parametrize("name", sorted(OPTIONAL))
def test_no_resource_refers_to_one_that_is_not_made(name: str) -> None:
    stack = deployed(**OPTIONAL[name])
    assert stack.resources()
    assert stack.outputs()


def test_each_variable_tells_a_function_the_parameter_of_its_name() -> None:
    marks = {
        name: f"<{name}>"
        for name, parameter in Stack.load().section("Parameters").items()
        if name not in OPTIONAL and not {"AllowedValues", "MinValue"} & parameter.keys()
    }
    numbers = {
        name: str(int(parameter["MinValue"]) + number)
        for number, (name, parameter) in enumerate(Stack.load().section("Parameters").items())
        if "MinValue" in parameter
    }
    given = marks | numbers | {"ClusterIdentifier": "<ClusterIdentifier>"}
    for optional in ("DbSecretArn", "REGION", "DataS3Bucket", "DynamoDbTtl", "LoadableTables"):
        given[optional] = f"<{optional}>"
    parameters = {_capitals(name): value for name, value in given.items()}
    parameters |= {variable: given[name] for variable, name in VARIABLES.items()}
    parameters |= {"WORKGROUP_NAME": "", "DB_USER": ""}
    parameters["LEDGER_TABLE"] = "<StackPrefix>-ledger"
    for name, function in functions(deployed(**given)).items():
        told = {variable: value for variable, value in variables(function).items() if "POWERTOOLS" not in variable}
        told.pop("HAND_OVER_SECONDS", None)
        assert told == {variable: parameters[variable] for variable in told}, name


def _capitals(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()


def test_a_functions_variables_fit_whatever_the_parameters() -> None:
    parameters = Stack.load().section("Parameters")
    most = {name: p["MaxValue"] for name, p in parameters.items() if "MaxValue" in p}
    longest = LONGEST | {name: str(value) for name, value in most.items()}
    longest["UnloadQuery"] = "q" * parameters["UnloadQuery"]["MaxLength"]
    for name, function in functions(deployed(**longest)).items():
        size = sum(len(variable) + len(str(value)) for variable, value in variables(function).items())
        assert size <= MOST_VARIABLE_BYTES, name


def test_a_loader_hands_over_well_before_its_time_is_up() -> None:
    loader = functions(deployed())["LoadDynamoFunction"]
    # Two seconds between checkpoints, and the answers that are still to come.
    assert 15 <= float(variables(loader)["HAND_OVER_SECONDS"]) <= int(loader["Timeout"]) / 2


def test_with_a_key_of_the_users_everything_at_rest_is_encrypted_by_it() -> None:
    key = OPTIONAL["KmsKeyArn"]["KmsKeyArn"]
    stack, without = deployed(KmsKeyArn=key), deployed()
    kinds: dict[str, Callable[[dict[str, Any]], Any]] = {
        "AWS::DynamoDB::Table": lambda table: table["SSESpecification"].get("KMSMasterKeyId"),
        "AWS::Logs::LogGroup": lambda group: group.get("KmsKeyId"),
        "AWS::SNS::Topic": lambda topic: topic["KmsMasterKeyId"],
        "AWS::SQS::Queue": lambda queue: queue.get("KmsMasterKeyId"),
        "AWS::S3::Bucket": lambda bucket: default_encryption(bucket).get("KMSMasterKeyID"),
    }
    for kind, key_of in kinds.items():
        assert {key_of(made) for made in stack.properties(kind).values()} == {key}, kind
        assert {key_of(made) for made in without.properties(kind).values()} <= {None, "alias/aws/sns"}, kind
    for queue in without.properties("AWS::SQS::Queue").values():
        assert queue["SqsManagedSseEnabled"] is True
    for made, algorithm in ((stack, "aws:kms"), (without, "AES256")):
        (bucket,) = made.properties("AWS::S3::Bucket").values()
        assert default_encryption(bucket)["SSEAlgorithm"] == algorithm


def default_encryption(bucket: dict[str, Any]) -> dict[str, str]:
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    default: dict[str, str] = rule["ServerSideEncryptionByDefault"]
    return default


def test_mails_have_the_input_unless_told_otherwise() -> None:
    for given, index in (({}, 1), ({"ShouldMailInput": "false"}, 0)):
        for machine in deployed(**given).properties("AWS::StepFunctions::StateMachine").values():
            assert machine["DefinitionSubstitutions"]["MailedInput"] == index


@pytest.mark.parametrize("traced", ["true", "false"])
def test_functions_and_machines_are_traced_if_asked(traced: str) -> None:
    stack = deployed(ShouldEnableTracing=traced)
    for function in functions(stack).values():
        assert function["TracingConfig"]["Mode"] == {"true": "Active", "false": "PassThrough"}[traced]
        assert variables(function)["POWERTOOLS_TRACE_DISABLED"] == {"true": "false", "false": "true"}[traced]
    for machine in stack.properties("AWS::StepFunctions::StateMachine").values():
        assert machine["TracingConfiguration"]["Enabled"] is (traced == "true")


def test_all_functions_join_the_vpc_or_none() -> None:
    network = {"SubnetIds": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    assert [f["VpcConfig"] for f in functions(deployed(**OPTIONAL["SubnetIds"])).values()] == [network] * 11
    assert not any("VpcConfig" in function for function in functions(deployed()).values())


def test_every_function_logs_and_counts_under_the_stacks_name() -> None:
    for name, function in functions(deployed(StackPrefix="mine")).items():
        told = variables(function)
        assert (told["POWERTOOLS_SERVICE_NAME"], told["POWERTOOLS_METRICS_NAMESPACE"]) == ("mine", "mine"), name
        assert function["FunctionName"].startswith("mine-")
        assert function["LoggingConfig"]["LogGroup"] == f"/aws/lambda/{function['FunctionName']}"


def test_logs_are_kept_beyond_the_last_moment_of_a_redrive() -> None:
    groups = deployed().properties("AWS::Logs::LogGroup")
    assert {group["RetentionInDays"] for group in groups.values()} == {30}
    assert REDRIVE_DAYS < 30


def test_machines_log_their_errors_and_never_the_data() -> None:
    stack = deployed()
    for name, machine in stack.properties("AWS::StepFunctions::StateMachine").items():
        logging = machine["LoggingConfiguration"]
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ERROR", False)
        (destination,) = logging["Destinations"]
        group = destination["CloudWatchLogsLogGroup"]["LogGroupArn"]
        assert group.endswith(f":/aws/vendedlogs/states/{machine['StateMachineName']}"), name
        assert machine["StateMachineType"] == "STANDARD"


def test_machines_are_told_of_the_functions_that_their_substitutions_name() -> None:
    stack = deployed(DataS3Bucket="existing")
    for machine in stack.properties("AWS::StepFunctions::StateMachine").values():
        given = machine["DefinitionSubstitutions"]
        functions_named = {name: arn for name, arn in given.items() if name.endswith("FunctionArn")}
        assert functions_named == {name: stack.arn(name.removesuffix("Arn")) for name in functions_named}
        assert given["NotificationTopicArn"] == stack.arn("NotificationTopic")
        assert given.get("DataBucketName", "existing") == "existing"
        assert given["Partition"] == "aws"
        assert given["ConsoleUrl"] == (
            "https://us-east-1.console.aws.amazon.com/states/home?region=us-east-1#/v2/executions/details/"
        )
        assert given["LogsUrl"] == (
            "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1"
            "#logsV2:log-groups$3FlogGroupNameFilter$3Dredshift-pipelines-"
        )


@pytest.mark.parametrize(
    ("partition", "console"), [("aws-us-gov", "console.amazonaws-us-gov.com"), ("aws-cn", "console.amazonaws.cn")]
)
def test_the_links_of_mails_lead_to_the_console_of_the_partition(partition: str, console: str) -> None:
    machine = deployed(partition=partition).properties("AWS::StepFunctions::StateMachine")
    for given in machine.values():
        assert f".{console}/states/" in given["DefinitionSubstitutions"]["ConsoleUrl"]
        assert f".{console}/cloudwatch/" in given["DefinitionSubstitutions"]["LogsUrl"]


def test_hand_overs_are_as_many_as_the_machines_tests_prove_to_fit() -> None:
    machine = deployed().properties("AWS::StepFunctions::StateMachine")["RedshiftToDynamoProcesStateMachine"]
    assert int(machine["DefinitionSubstitutions"]["HandOversAllowed"]) == 500


def test_a_table_is_asked_for_each_minute_as_the_machines_tests_prove_to_fit() -> None:
    machine = deployed().properties("AWS::StepFunctions::StateMachine")["RedshiftToDynamoProcesStateMachine"]
    assert int(machine["DefinitionSubstitutions"]["WaitSeconds"]) == 60


# --- Events -----------------------------------------------------------------------------------------------------------


def completion(**changes: Any) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events/redshift_data_statement_status_change.json").read_text())
    detail = changes.pop("detail", {})
    return event | changes | {"detail": event["detail"] | detail}


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        *[(completion(detail={"statementName": f"{kind.value}|1795316404|5f1d"}), True) for kind in StatementKind],
        *[(completion(detail={"state": state}), True) for state in ("FINISHED", "FAILED", "ABORTED")],
        (completion(detail={"statementName": "nightly-redshift-unload-event-|1"}), False),
        (completion(detail={"statementName": "redshift-unload"}), False),
        (completion(detail={"statementName": None}), False),
        (completion(source="aws.redshift"), False),
        (completion(**{"detail-type": "Redshift Cluster Event"}), False),
    ],
)
def test_the_rule_passes_the_ends_of_this_applications_statements(event: Any, passes: bool) -> None:
    rule = deployed().properties("AWS::Events::Rule")["EventBridgeRedshiftEventRule"]
    assert EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(event) is passes
    assert rule.get("State", "ENABLED") == "ENABLED"


def test_completion_events_are_delivered_as_often_and_as_long_as_aws_does_and_then_kept() -> None:
    """RetryPolicy of EventBridge's PutTargets, and PutFunctionEventInvokeConfig of Lambda, for the bounds."""
    stack = deployed()
    queue = stack.arn("UnhandledEventsQueue")
    (target,) = stack.properties("AWS::Events::Rule")["EventBridgeRedshiftEventRule"]["Targets"]
    assert target["Arn"] == stack.arn("StepFunctionCallBack")
    assert target.get("RetryPolicy") == {"MaximumRetryAttempts": 185, "MaximumEventAgeInSeconds": 86400}
    assert target["DeadLetterConfig"]["Arn"] == queue
    invocation = invocations(stack)["StepFunctionCallBack"]
    assert (invocation["MaximumRetryAttempts"], invocation["MaximumEventAgeInSeconds"]) == (2, 21600)
    assert invocation["DestinationConfig"]["OnFailure"]["Destination"] == queue
    assert stack.properties("AWS::SQS::Queue")["UnhandledEventsQueue"]["MessageRetentionPeriod"] == 14 * 86400


def invocations(stack: Evaluation) -> dict[str, dict[str, Any]]:
    """How Lambda invokes functions of which nobody awaits the answer, by their names without the prefix."""
    return {
        invocation["FunctionName"].removeprefix("redshift-pipelines-"): invocation
        for invocation in stack.properties("AWS::Lambda::EventInvokeConfig").values()
    }


def status_change(**changes: Any) -> dict[str, Any]:
    """Step Functions' event that an execution of the stack's first machine was aborted, but for `changes`."""
    machine = deployed().arn("RedshiftDataApiSPProcesStateMachine")
    detail = {
        "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:nightly",
        "stateMachineArn": machine,
        "status": "ABORTED",
        "input": '{"spname": "public.p"}',
        "redriveCount": 0,
    }
    event = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change"}
    return {**event, "detail": detail | changes}


@pytest.mark.parametrize(
    ("event", "passes"),
    [
        (status_change(), True),
        (status_change(status="TIMED_OUT"), True),
        (status_change(status="FAILED"), True),
        (status_change(stateMachineArn=deployed().arn("RedshiftToDynamoProcesStateMachine")), True),
        (status_change(status="SUCCEEDED"), False),
        (status_change(status="RUNNING"), False),
        (status_change(stateMachineArn=f"{deployed().arn('RedshiftToDynamoProcesStateMachine')}/LoadPieces"), False),
        (status_change(stateMachineArn="arn:aws:states:us-east-1:123456789012:stateMachine:other"), False),
    ],
)
def test_executions_of_the_stacks_machines_that_end_without_success_are_stopped(event: Any, passes: bool) -> None:
    rule = deployed().properties("AWS::Events::Rule")["StoppedExecutionsRule"]
    assert EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(event) is passes


def test_what_stops_executions_gets_their_names_and_never_their_input() -> None:
    stack = deployed()
    (target,) = stack.properties("AWS::Events::Rule")["StoppedExecutionsRule"]["Targets"]
    assert target["Arn"] == stack.arn("StoppedExecutionsQueue")
    assert target["DeadLetterConfig"]["Arn"] == stack.arn("UnhandledEventsQueue")
    transformer = target["InputTransformer"]
    assert transformer["InputPathsMap"] == {
        "execution_arn": "$.detail.executionArn",
        "redrives": "$.detail.redriveCount",
    }
    # Quoted, the template is JSON even if an event lacks a field.
    assert json.loads(transformer["InputTemplate"]).keys() == {"execution_arn", "redrives"}


def test_executions_are_stopped_two_at_a_time_and_what_fails_comes_again() -> None:
    stack = deployed()
    (mapping,) = stack.properties("AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == stack.arn("StoppedExecutionsQueue")
    assert mapping["FunctionName"] == "redshift-pipelines-StopExecution"
    # CancelStatement: 3 a second; the handler takes one message.
    assert (mapping["ScalingConfig"], mapping["BatchSize"]) == ({"MaximumConcurrency": 2}, 1)
    queue = stack.properties("AWS::SQS::Queue")["StoppedExecutionsQueue"]
    # CreateEventSourceMapping refuses a queue that gives a message again before its function has to have ended.
    assert queue["VisibilityTimeout"] >= functions(stack)["StopExecutionFunction"]["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == stack.arn("UnhandledEventsQueue")
    assert queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"] >= 30 * 60
    (policy,) = (
        policy
        for policy in stack.properties("AWS::SQS::QueuePolicy").values()
        if policy["PolicyDocument"]["Statement"][0]["Resource"] == stack.arn("StoppedExecutionsQueue")
    )
    (statement,) = (each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Allow")
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": stack.arn("StoppedExecutionsRule")}}
    assert (statement["Principal"], statement["Action"]) == ({"Service": "events.amazonaws.com"}, "sqs:SendMessage")


def test_the_watchdog_looks_every_five_minutes_and_never_twice_at_once() -> None:
    stack = deployed()
    rule = stack.properties("AWS::Events::Rule")["WatchRule"]
    assert rule["ScheduleExpression"] == "rate(5 minutes)"
    assert rule.get("State", "ENABLED") == "ENABLED"
    (target,) = rule["Targets"]
    assert target["Arn"] == stack.arn("WatchStatementsFunction")
    assert functions(stack)["WatchStatementsFunction"]["Timeout"] < 300
    invocation = invocations(stack)["WatchStatements"]
    assert invocation["MaximumRetryAttempts"] == 0
    assert invocation["DestinationConfig"]["OnFailure"]["Destination"] == stack.arn("UnhandledEventsQueue")
    assert [permission["SourceArn"] for permission in stack.properties("AWS::Lambda::Permission").values()] == [
        stack.arn("EventBridgeRedshiftEventRule"),
        stack.arn("WatchRule"),
    ]


def test_the_watchdogs_index_holds_the_rows_that_have_its_key() -> None:
    (index,) = deployed().properties("AWS::DynamoDB::Table")["DynamoDbTableMeta"]["GlobalSecondaryIndexes"]
    assert index["IndexName"] == UNFINISHED_INDEX
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["unfinished", "unfinishedSince"]
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    provisioned = deployed(DynamoDbBillingMode="PROVISIONED").properties("AWS::DynamoDB::Table")["DynamoDbTableMeta"]
    assert provisioned["GlobalSecondaryIndexes"][0]["ProvisionedThroughput"] == provisioned["ProvisionedThroughput"]


def bounds() -> tuple[int, int]:
    """The least and the most seconds that an input may give a statement, as the functions check it."""
    least, most = ProcedureRequest.model_fields["timeout_seconds"].metadata
    return least.ge, most.le


def test_the_machine_takes_the_time_limits_that_its_function_takes() -> None:
    machine = deployed().properties("AWS::StepFunctions::StateMachine")["RedshiftDataApiSPProcesStateMachine"]
    given = machine["DefinitionSubstitutions"]
    assert (given["ShortestTimeoutSeconds"], given["LongestTimeoutSeconds"]) == bounds()
    assert given["UsualTimeoutSeconds"] == USUAL_TIMEOUT_SECONDS


def test_no_execution_runs_for_a_year() -> None:
    machines = deployed().properties("AWS::StepFunctions::StateMachine")
    seconds = {name: int(m["DefinitionSubstitutions"]["ExecutionTimeoutSeconds"]) for name, m in machines.items()}
    # Both attempts of a statement, the longest wait before them, and a day for all retries.
    least = 2 * bounds()[1] + LONGEST_WAIT_SECONDS + 24 * 3600
    assert 14 * 86400 >= seconds["RedshiftDataApiSPProcesStateMachine"] >= least
    # What a load reads expires after 15 days.
    assert seconds["RedshiftToDynamoProcesStateMachine"] == 14 * 86400
    for file in (ROOT / "statemachine").glob("*.yaml"):
        assert "\nTimeoutSeconds: ${ExecutionTimeoutSeconds}\n" in file.read_text()


def test_failures_are_mailed_to_the_address_given() -> None:
    stack = deployed(SupportNotificationEmail="support@example.com")
    (subscription,) = stack.properties("AWS::SNS::Subscription").values()
    topic = stack.arn("NotificationTopic")
    assert subscription == {"TopicArn": topic, "Protocol": "email", "Endpoint": "support@example.com"}


@pytest.mark.parametrize(
    ("schedule", "payload", "timer", "machine"),
    [
        ("StoredProcedureSchedule", "StoredProcedureScheduleInput", "StoredProcedureTimer", "DataApiSP"),
        ("LoadSchedule", "LoadScheduleInput", "LoadTimer", "ToDynamo"),
    ],
)
def test_a_schedule_has_its_machine_started_with_its_payload(
    schedule: str, payload: str, timer: str, machine: str
) -> None:
    stack = deployed(**{schedule: "rate(1 day)", payload: '{"x": 1}'})
    ((name, made),) = stack.properties("AWS::Scheduler::Schedule").items()
    assert (name, made["Name"]) == (timer, f"redshift-pipelines-{schedule}")
    target = made["Target"]
    assert json.loads(target["Input"]) == {
        "schedule": "<aws.scheduler.schedule-arn>",
        "scheduled_time": "<aws.scheduler.scheduled-time>",
        "state_machine": stack.arn(f"Redshift{machine}ProcesStateMachine"),
        "input": {"x": 1},
    }
    assert target["Arn"] == stack.arn("StartScheduledFunction")
    assert target["RoleArn"] == stack.arn("ScheduleRole")
    assert target["DeadLetterConfig"]["Arn"] == stack.arn("UnhandledEventsQueue")
    kept = {
        made["FunctionName"]: made["DestinationConfig"]["OnFailure"]["Destination"]
        for made in stack.properties("AWS::Lambda::EventInvokeConfig").values()
    }
    assert kept["redshift-pipelines-StartScheduled"] == stack.arn("UnhandledEventsQueue")


@pytest.mark.parametrize("schedule", ["StoredProcedureSchedule", "LoadSchedule"])
@pytest.mark.parametrize(
    ("given", "expression", "zone"),
    [
        ("cron(0 3 * * ? *)", "cron(0 3 * * ? *)", "UTC"),
        ("cron(0 3 * * ? *) Europe/Berlin", "cron(0 3 * * ? *)", "Europe/Berlin"),
        ("cron(0 3 ? * MON-FRI *) America/Port-au-Prince", "cron(0 3 ? * MON-FRI *)", "America/Port-au-Prince"),
        ("rate(1 hour)", "rate(1 hour)", "UTC"),
        ("rate(1 hour) Etc/GMT+5", "rate(1 hour)", "Etc/GMT+5"),
    ],
)
def test_the_zone_of_a_schedule_follows_its_expression(schedule: str, given: str, expression: str, zone: str) -> None:
    (made,) = deployed(**{schedule: given}).properties("AWS::Scheduler::Schedule").values()
    assert (made["ScheduleExpression"], made["ScheduleExpressionTimezone"]) == (expression, zone)
    pattern = Stack.load().section("Parameters")[schedule]["AllowedPattern"]
    assert re.fullmatch(pattern, given)
    assert re.fullmatch(pattern, "")
    for wrong in (f"{expression} ", f"{expression}) Europe/Berlin", "at(2026-11-26T03:00:00)", f"{given} a b"):
        assert not re.fullmatch(pattern, wrong), wrong


def test_without_a_schedule_there_is_nothing_of_one() -> None:
    made = deployed().resources()
    assert [name for name in made if name.startswith(("Schedule", "StartScheduled")) or name.endswith("Timer")] == []


def test_what_a_schedule_runs_by_default_is_a_payload_of_the_samples() -> None:
    parameters = Stack.load().section("Parameters")
    for parameter, sample in (
        ("StoredProcedureScheduleInput", "redshift_run_sps"),
        ("LoadScheduleInput", "redshift_to_dynamo_configured_load"),
    ):
        assert json.loads(parameters[parameter]["Default"]) == json.loads((ROOT / f"events/{sample}.json").read_text())


# --- Data -------------------------------------------------------------------------------------------------------------


def test_what_holds_a_users_data_outlives_the_stack_and_nothing_else_does() -> None:
    kept = {
        name: (resource["DeletionPolicy"], resource["UpdateReplacePolicy"])
        for name, resource in deployed().resources().items()
        if {"DeletionPolicy", "UpdateReplacePolicy"} & resource.keys()
        and resource["Type"] != "AWS::Lambda::LayerVersion"
    }
    policies = ("RetainExceptOnCreate", "Retain")
    assert kept == {"DynamoDbTableTarget": policies, "DataBucket": policies}


def test_the_stack_makes_the_target_table_only_if_asked() -> None:
    assert "DynamoDbTableTarget" in deployed().resources()
    assert "DynamoDbTableTarget" not in deployed(TargetKey="-").resources()


def test_the_target_table_has_the_keys_and_the_expiry_asked_for() -> None:
    plain = deployed(TargetKey="id:N").properties("AWS::DynamoDB::Table")
    assert plain["DynamoDbTableTarget"]["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert plain["DynamoDbTableTarget"]["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "N"}]
    assert "TimeToLiveSpecification" not in plain["DynamoDbTableTarget"]
    full = deployed(TargetKey="id,at:N", DynamoDbTtl="gone").properties("AWS::DynamoDB::Table")["DynamoDbTableTarget"]
    assert full["KeySchema"][1:] == [{"AttributeName": "at", "KeyType": "RANGE"}]
    assert full["AttributeDefinitions"] == [
        {"AttributeName": "id", "AttributeType": "S"},
        {"AttributeName": "at", "AttributeType": "N"},
    ]
    assert full["TimeToLiveSpecification"] == {"AttributeName": "gone", "Enabled": True}


def test_tables_are_billed_and_backed_up_as_asked() -> None:
    provisioned = deployed(DynamoDbBillingMode="PROVISIONED", DynamoDbPointInTimeRecovery="true")
    for name, table in provisioned.properties("AWS::DynamoDB::Table").items():
        assert table["BillingMode"] == "PROVISIONED"
        throughput = table["ProvisionedThroughput"]
        assert int(throughput["WriteCapacityUnits"]) >= int(throughput["ReadCapacityUnits"]) >= 1, name
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": "true"}
    target = provisioned.properties("AWS::DynamoDB::Table")["DynamoDbTableTarget"]["ProvisionedThroughput"]
    assert target == {"ReadCapacityUnits": 5, "WriteCapacityUnits": 1000}
    for table in deployed().properties("AWS::DynamoDB::Table").values():
        assert (table["BillingMode"], "ProvisionedThroughput" in table) == ("PAY_PER_REQUEST", False)
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": "false"}


@pytest.mark.parametrize("table", ["DynamoDbTableMeta", "DynamoDbTableLedger"])
def test_the_code_writes_the_key_and_the_expiry_of_the_stacks_own_tables(table: str) -> None:
    """That the code's rows expire in time is for its own tests to show; a row under another name never would."""
    made = deployed().properties("AWS::DynamoDB::Table")[table]
    assert [key["KeyType"] for key in made["KeySchema"]] == ["HASH", "RANGE"][: len(made["KeySchema"])]
    indexes = [key for index in made.get("GlobalSecondaryIndexes", []) for key in index["KeySchema"]]
    assert [key["AttributeName"] for key in (*made["KeySchema"], *indexes)] == [
        d["AttributeName"] for d in made["AttributeDefinitions"]
    ]
    for key in made["KeySchema"]:
        assert any(f'"{key["AttributeName"]}":' in code for code in CODE.values()), key
    expiry = made["TimeToLiveSpecification"]
    assert expiry["Enabled"] is True
    written = {name for code in CODE.values() for name in re.findall(r"(\w+) = :expires\b", code)}
    assert written == {expiry["AttributeName"]}


@pytest.mark.parametrize(
    ("key", "days"),
    [
        ("unload/x/0000.parquet", 15),
        ("loads/x/pieces.json", 15),
        ("rejects/x/00000.jsonl", 90),
        ("corrected/x/00000.jsonl", 90),
    ],
)
def test_objects_of_the_bucket_expire_when_the_readme_says_and_not_before_a_redrive(key: str, days: int) -> None:
    rules = deployed().properties("AWS::S3::Bucket")["DataBucket"]["LifecycleConfiguration"]["Rules"]
    expirations = [
        rule["ExpirationInDays"]
        for rule in rules
        if rule["Status"] == "Enabled" and "ExpirationInDays" in rule and key.startswith(rule.get("Prefix", ""))
    ]
    assert expirations == [days]
    assert days > REDRIVE_DAYS
    said = " ".join(parameters_table.PAGE.read_text().split())
    assert "under `unload/` and `loads/` after 15 days, and rejects with their corrections after 90" in said
    assert any(f'"{key.partition("/")[0]}/' in code for code in CODE.values())


def test_uploads_that_broke_off_are_removed_everywhere() -> None:
    rules = deployed().properties("AWS::S3::Bucket")["DataBucket"]["LifecycleConfiguration"]["Rules"]
    (rule,) = (rule for rule in rules if "AbortIncompleteMultipartUpload" in rule)
    assert (rule["Status"], rule.get("Prefix", "")) == ("Enabled", "")
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}


def test_the_outputs_are_what_their_names_say() -> None:
    stack = deployed(DataS3Bucket="existing")
    assert stack.outputs() == {
        "StoredProcedureStateMachineArn": stack.arn("RedshiftDataApiSPProcesStateMachine"),
        "RedshiftToDynamoStateMachineArn": stack.arn("RedshiftToDynamoProcesStateMachine"),
        "TargetTableName": "amazon_reviews",
        "LedgerTableName": "redshift-pipelines-ledger",
        "DataBucketName": "existing",
        "MetaTableName": "redshift-statement-tokens",
        "NotificationTopicArn": stack.arn("NotificationTopic"),
        "CallbackFunctionName": "redshift-pipelines-StepFunctionCallBack",
        "StatementRoleName": stack.arn("RedshiftStatementRole").split("/")[-1],
    }


def test_the_page_on_deploying_has_the_parameters_as_they_are() -> None:
    page = parameters_table.PAGE.read_text()
    assert page == parameters_table.with_table(page), "run `python -m tests.template.parameters_table`"
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) >= set(Stack.load().section("Parameters"))


def documents(page: str) -> list[dict[str, Any]]:
    """What the page on deploying has to copy and paste."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]


def test_what_is_to_be_pasted_is_json_for_the_services_and_rules_that_the_stack_has() -> None:
    pasted = documents(parameters_table.PAGE.read_text())
    services = {
        service
        for document in pasted
        for statement in document.get("Statement", [])
        if "Service" in statement.get("Principal", {})
        for service in as_list(statement["Principal"]["Service"])
    }
    key_users = {"cloudwatch.amazonaws.com", "events.amazonaws.com", "logs.<region>.amazonaws.com"}
    assert services == key_users | {"redshift.amazonaws.com", "redshift-serverless.amazonaws.com"}
    (rules,) = (document["Rules"] for document in pasted if "Rules" in document)
    made = deployed().properties("AWS::S3::Bucket")["DataBucket"]["LifecycleConfiguration"]["Rules"]
    assert {rule["Filter"]["Prefix"]: rule.get("Expiration", {}).get("Days") for rule in rules} == {
        rule.get("Prefix", ""): rule.get("ExpirationInDays") for rule in made
    }


def test_no_secret_is_told_to_a_function() -> None:
    secret = OPTIONAL["DbSecretArn"]
    for function in functions(deployed(**secret)).values():
        told = [text for text in leaves(variables(function)) if "secret" in str(text).lower()]
        assert told in ([], [secret["DbSecretArn"]])


def test_definitions_have_no_anchors_which_cloudformation_would_not_resolve() -> None:
    for file in (ROOT / "statemachine").glob("*.yaml"):
        tokens = list(yaml.scan(file.read_text()))
        assert not [token for token in tokens if isinstance(token, yaml.AnchorToken | yaml.AliasToken)]
        assert file.read_text().isascii()
