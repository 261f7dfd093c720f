"""The template's resources, parameters and permissions keep the rules of resource_checks and iam_checks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.template import iam_checks, resource_checks
from tests.template.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Check = Callable[[Stack], Iterator[str]]

STACK = Stack.load()
CHECKS: list[Check] = [
    resource_checks.logs_without_retention,
    resource_checks.asynchronous_failures_lost,
    resource_checks.data_unencrypted,
    resource_checks.buckets_public,
    resource_checks.plain_text_taken,
    resource_checks.parameters_unexplained,
    resource_checks.names_unused,
    resource_checks.handlers_missing,
    resource_checks.layers_missing,
    resource_checks.variables_unread,
    resource_checks.variables_unset,
    resource_checks.tasks_end_before_functions,
    resource_checks.outputs_undescribed,
    resource_checks.literal_arns,
    iam_checks.actions_too_wide,
    iam_checks.managed_policies_unconditional,
    iam_checks.resources_wide_without_reason,
    iam_checks.machine_permissions_missing,
    iam_checks.rule_permissions_missing,
    iam_checks.services_let_in_for_anybody,
    iam_checks.callback_roles_differ,
]

# A template as it should be, in small. Each broken sample below replaces one text in it.
SOUND = """
Metadata:
  AWS::CloudFormation::Interface:
    ParameterGroups:
      - Parameters: [Days]
Parameters:
  Days: {Type: Number, Default: 30, MaxValue: 90, Description: Days for which logs are kept.}
Conditions:
  Kept: !Equals [!Ref Days, 30]
  Traced: !Equals [!Ref Days, 1]
Globals:
  Function: {Runtime: python3.13, Tracing: !If [Traced, Active, PassThrough]}
Resources:
  ColumnsLayer:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layers/}
  Submit:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code/
      Handler: submit.handler
      Layers: [!Ref ColumnsLayer]
      Role: !GetAtt Role.Arn
      LoggingConfig: {LogGroup: !Ref Logs}
      Environment:
        Variables:
          TOKEN_TABLE: !Ref Table
  Callback:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: code/
      Handler: callback.handler
      Timeout: 60
      Role: !GetAtt Role.Arn
      LoggingConfig: {LogGroup: !Ref Logs}
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Queue.Arn}}}
  Role:
    Type: AWS::IAM::Role
    Properties:
      ManagedPolicyArns:
        - !Sub arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole
        - !If [Traced, !Sub "arn:${AWS::Partition}:iam::aws:policy/AWSXRayDaemonWriteAccess", !Ref AWS::NoValue]
      Policies:
        - PolicyDocument:
            Statement:
              - Sid: Read
                Effect: Allow
                Action: dynamodb:GetItem
                Resource: !GetAtt Table.Arn
              - Sid: ReadObjects
                Effect: Allow
                Action: s3:GetObject
                Resource: !Sub arn:${AWS::Partition}:s3:::${Bucket}/unload/*
              - Sid: Describe
                Effect: Allow
                Action: redshift-data:DescribeStatement
                # *: it has no resource level.
                Resource: "*"
  Logs:
    Type: AWS::Logs::LogGroup
    Properties: {RetentionInDays: !Ref Days}
  Ended:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.redshift-data]}
      Targets:
        - Id: Callback
          Arn: !GetAtt Callback.Arn
          DeadLetterConfig: {Arn: !GetAtt Queue.Arn}
  EndedPermission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Callback
      Principal: events.amazonaws.com
      SourceArn: !GetAtt Ended.Arn
  Nightly:
    Type: AWS::Events::Rule
    Properties:
      ScheduleExpression: rate(1 day)
      Targets:
        - Id: Machine
          Arn: !Ref Machine
          RoleArn: !GetAtt NightlyRole.Arn
          DeadLetterConfig: {Arn: !GetAtt Queue.Arn}
  NightlyRole:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - {Sid: Start, Effect: Allow, Action: states:StartExecution, Resource: !Ref Machine}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {SqsManagedSseEnabled: true}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
            Condition: {ArnEquals: {aws:SourceArn: [!GetAtt Ended.Arn, !GetAtt Nightly.Arn]}}
          - {Effect: Deny, Principal: "*", Action: sqs:*, Condition: {Bool: {aws:SecureTransport: "false"}}}
  Table:
    Type: AWS::DynamoDB::Table
    Condition: Kept
    Properties: {SSESpecification: {SSEEnabled: true}}
  Topic:
    Type: AWS::SNS::Topic
    Properties: {KmsMasterKeyId: alias/aws/sns}
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketEncryption: {}
      PublicAccessBlockConfiguration:
        {BlockPublicAcls: true, BlockPublicPolicy: true, IgnorePublicAcls: true, RestrictPublicBuckets: true}
  BucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref Bucket
      PolicyDocument:
        Statement:
          - {Effect: Deny, Principal: "*", Action: s3:*, Condition: {Bool: {aws:SecureTransport: "false"}}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionUri: machine.asl.yaml
      DefinitionSubstitutions:
        SubmitArn: !GetAtt Submit.Arn
        CountArn: !GetAtt Callback.Arn
        CountSeconds: 70
        TopicArn: !Ref Topic
      Logging: {Destinations: [{CloudWatchLogsLogGroup: {LogGroupArn: !GetAtt Logs.Arn}}]}
      Policies:
        - Statement:
            - {Sid: Invoke, Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt Submit.Arn}
            - {Sid: Count, Effect: Allow, Action: lambda:InvokeFunction, Resource: !GetAtt Callback.Arn}
            - {Sid: Mail, Effect: Allow, Action: sns:Publish, Resource: [!Ref Topic]}
            - Sid: Run
              Effect: Allow
              Action: [states:StartExecution, states:DescribeExecution, states:StopExecution]
              Resource: !Ref Children
            - Sid: Files
              Effect: Allow
              Action: [s3:GetObject, s3:PutObject, s3:ListMultipartUploadParts, s3:AbortMultipartUpload]
              Resource: !Ref Objects
  TopicPolicy:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Topic]
      PolicyDocument:
        Statement:
          - {Effect: Deny, Principal: "*", Action: sns:Publish, Condition: {Bool: {aws:SecureTransport: "false"}}}
Outputs:
  Name: {Description: The table, Value: !Ref Table}
"""
MACHINE = """
StartAt: Submit
States:
  Submit:
    Type: Task
    Resource: arn:${Partition}:states:::lambda:invoke.waitForTaskToken
    Parameters: {FunctionName: "${SubmitArn}"}
    Next: Count
  Count:
    Type: Task
    Resource: arn:${Partition}:states:::lambda:invoke
    Parameters: {FunctionName: "${CountArn}"}
    TimeoutSeconds: ${CountSeconds}
    Next: Each
  Each:
    Type: Map
    ItemReader: {}
    ResultWriter: {}
    ItemProcessor:
      ProcessorConfig: {Mode: DISTRIBUTED}
      StartAt: Nothing
      States: {Nothing: {Type: Succeed}}
    Next: Mail
  Mail:
    Type: Task
    Resource: arn:${Partition}:states:::sns:publish
    Parameters: {TopicArn: "${TopicArn}"}
    End: true
"""
CODE = {
    "submit.py": "from store import table\ndef handler(event, context): ...\n",
    "store.py": 'import os\nimport py_arrow.lib\ntable = lambda: call(os.environ["TOKEN_TABLE"], returns="ALL_NEW")\n',
    "callback.py": "def handler(event, context): ...\n",
}

BROKEN = [
    (resource_checks.logs_without_retention, "{RetentionInDays: !Ref Days}", "{}", "Logs has no RetentionInDays"),
    (
        resource_checks.logs_without_retention,
        "      LoggingConfig: {LogGroup: !Ref Logs}\n      Environment",
        "      Environment",
        "Submit has no log group",
    ),
    (
        resource_checks.logs_without_retention,
        "LogGroupArn: !GetAtt Logs.Arn",
        "LogGroupArn: x",
        "Machine has no log group",
    ),
    (
        resource_checks.asynchronous_failures_lost,
        "          DeadLetterConfig: {Arn: !GetAtt Queue.Arn}\n  EndedPermission",
        "  EndedPermission",
        "Ended's target Callback has no dead-letter queue",
    ),
    (
        resource_checks.asynchronous_failures_lost,
        "EventInvokeConfig: {DestinationConfig: {OnFailure:",
        "EventInvokeConfig: {DestinationConfig: {OnSuccess:",
        "Callback is invoked by Ended and has no on-failure destination",
    ),
    (
        resource_checks.asynchronous_failures_lost,
        "      Handler: submit.handler",
        "      Handler: submit.handler\n      Events: {Hourly: {Type: Schedule}}",
        "Submit is invoked by its Events and has no on-failure destination",
    ),
    (resource_checks.data_unencrypted, "SSEEnabled: true", "SSEEnabled: false", "Table has no SSESpecification"),
    (resource_checks.data_unencrypted, "{SqsManagedSseEnabled: true}", "{}", "Queue has neither"),
    (resource_checks.data_unencrypted, "{KmsMasterKeyId: alias/aws/sns}", "{}", "Topic has no KmsMasterKeyId"),
    (resource_checks.data_unencrypted, "      BucketEncryption: {}\n", "", "Bucket has no BucketEncryption"),
    (
        resource_checks.buckets_public,
        "BlockPublicPolicy: true",
        "BlockPublicPolicy: false",
        "Bucket lacks BlockPublicPolicy",
    ),
    (
        iam_checks.services_let_in_for_anybody,
        "      Principal: events.amazonaws.com\n      SourceArn: !GetAtt Ended.Arn\n",
        "      Principal: events.amazonaws.com\n",
        "EndedPermission lets in events.amazonaws.com for anybody",
    ),
    (
        iam_checks.services_let_in_for_anybody,
        "            Condition: {ArnEquals: {aws:SourceArn: [!GetAtt Ended.Arn, !GetAtt Nightly.Arn]}}\n",
        "",
        "QueuePolicy lets in events.amazonaws.com for anybody",
    ),
    (resource_checks.plain_text_taken, "Bucket: !Ref Bucket", "Bucket: other", "Bucket takes requests without TLS"),
    (
        resource_checks.plain_text_taken,
        'Action: sqs:*, Condition: {Bool: {aws:SecureTransport: "false"}}',
        'Action: sqs:*, Condition: {Bool: {aws:SecureTransport: "true"}}',
        "Queue takes requests without TLS",
    ),
    (resource_checks.plain_text_taken, "Action: sns:Publish, Condition", "Action: x, Condition", "Topic takes"),
    (
        resource_checks.plain_text_taken,
        "    Type: AWS::SNS::TopicPolicy",
        "    Type: AWS::SNS::TopicPolicy\n    Condition: Kept",
        "Topic takes",
    ),
    (
        resource_checks.parameters_unexplained,
        ", Description: Days for which logs are kept.",
        "",
        "Days has no Description",
    ),
    (resource_checks.parameters_unexplained, "[Days]", "[]", "Days is in 0 parameter groups"),
    (resource_checks.parameters_unexplained, "[Days]", "[Days, Days]", "Days is in 2 parameter groups"),
    (resource_checks.parameters_unexplained, "[Days]", "[Days, Weeks]", "Weeks is in a group and is no parameter"),
    (
        resource_checks.names_unused,
        "Conditions:",
        "  Weeks: {Type: Number, Default: 1, Description: Weeks.}\nConditions:",
        "parameter Weeks is not used",
    ),
    (resource_checks.names_unused, "    Condition: Kept\n", "", "condition Kept is not used"),
    (resource_checks.handlers_missing, "submit.handler", "submit.main", "Submit: submit.main is not in code/"),
    (resource_checks.handlers_missing, "submit.handler", "other.handler", "Submit: other.handler is not in code/"),
    (resource_checks.layers_missing, "      Layers: [!Ref ColumnsLayer]\n", "", "Submit has no ColumnsLayer"),
    (
        resource_checks.layers_missing,
        "Handler: callback.handler",
        "Handler: callback.handler\n      Layers: [!Ref ColumnsLayer]",
        "Callback does not need ColumnsLayer",
    ),
    (resource_checks.variables_unread, "TOKEN_TABLE:", "TOKENS_TABLE:", "Submit never reads TOKENS_TABLE"),
    (
        resource_checks.variables_unset,
        "TOKEN_TABLE:",
        "TOKENS_TABLE:",
        "TOKEN_TABLE is read in code/store.py and set for no function",
    ),
    (
        resource_checks.tasks_end_before_functions,
        "Timeout: 60",
        "Timeout: !Ref Days",
        "Count waits 70 seconds for a function that may take 90",
    ),
    (resource_checks.tasks_end_before_functions, "CountSeconds: 70", "CountSeconds: 60", "Count waits 60 seconds"),
    (resource_checks.outputs_undescribed, "Description: The table, ", "", "output Name has no Description"),
    (resource_checks.literal_arns, "arn:${AWS::Partition}:s3", "arn:aws:s3", "names a partition"),
    (iam_checks.actions_too_wide, "dynamodb:GetItem", "dynamodb:*", "Role's statement Read allows dynamodb:*"),
    (
        iam_checks.actions_too_wide,
        "Action: s3:GetObject",
        "Action: [s3:Get*]",
        "Role's statement ReadObjects allows s3:Get*",
    ),
    (
        iam_checks.actions_too_wide,
        "Action: dynamodb:GetItem",
        "NotAction: a:B",
        "Role's statement Read allows by NotAction",
    ),
    (iam_checks.actions_too_wide, "- Sid: Read\n                Effect", "- Effect", "should say in a Sid"),
    (iam_checks.actions_too_wide, "{Service: events.amazonaws.com}", '"*"', "allows everybody"),
    (
        iam_checks.managed_policies_unconditional,
        "      Role: !GetAtt Role.Arn\n",
        "",
        "SubmitRole always has arn:aws:iam::aws:policy/AWSXrayWriteOnlyAccess",
    ),
    (
        iam_checks.managed_policies_unconditional,
        "service-role/AWSLambdaBasicExecutionRole",
        "AdministratorAccess",
        "Role always has arn:${AWS::Partition}:iam::aws:policy/AdministratorAccess",
    ),
    (iam_checks.resources_wide_without_reason, "# *: it has", "# It has", ": * has no reason"),
    (iam_checks.resources_wide_without_reason, "${Bucket}/unload/*", "${Bucket}/*", "/* has no reason"),
    (iam_checks.resources_wide_without_reason, "${Bucket}/unload/*", "*/unload/*", "*/unload/* has no reason"),
    (
        iam_checks.machine_permissions_missing,
        "Action: lambda:InvokeFunction, Resource: !GetAtt Submit.Arn",
        "Action: lambda:InvokeFunction, Resource: !GetAtt Callback.Arn",
        "Machine may not lambda:InvokeFunction on Submit",
    ),
    (iam_checks.machine_permissions_missing, "sns:Publish", "sns:ListTopics", "Machine may not sns:Publish on Topic"),
    (iam_checks.machine_permissions_missing, "states:StopExecution", "a:B", "Machine may not states:StopExecution"),
    (iam_checks.machine_permissions_missing, "[s3:GetObject, ", "[", "Machine may not s3:GetObject"),
    (
        iam_checks.machine_permissions_missing,
        "s3:AbortMultipartUpload",
        "a:B",
        "Machine may not s3:AbortMultipartUpload",
    ),
    (
        iam_checks.rule_permissions_missing,
        "SourceArn: !GetAtt Ended",
        "SourceArn: !GetAtt Nightly",
        "Ended may not invoke",
    ),
    (
        iam_checks.rule_permissions_missing,
        "Action: states:StartExecution, Resource: !Ref Machine",
        "Action: states:StartExecution, Resource: !Ref Other",
        "NightlyRole may not states:StartExecution on Machine",
    ),
    (
        iam_checks.rule_permissions_missing,
        "[!GetAtt Ended.Arn, !GetAtt Nightly.Arn]",
        "!GetAtt Ended.Arn",
        "Nightly may not send to Queue",
    ),
    (
        iam_checks.callback_roles_differ,
        "Timeout: 60\n      Role: !GetAtt Role.Arn",
        "Timeout: 60\n      Role: !GetAtt NightlyRole.Arn",
        "must share one role",
    ),
]


@pytest.fixture
def sound(tmp_path: Path) -> Stack:
    (tmp_path / "machine.asl.yaml").write_text(MACHINE)
    (tmp_path / "code").mkdir()
    for name, text in CODE.items():
        (tmp_path / "code" / name).write_text(text)
    (tmp_path / "layers/columns").mkdir(parents=True)
    (tmp_path / "layers/columns/requirements.txt").write_text("# Exact.\npy-arrow[x]==1.0\n")
    return replace(Stack.parse(SOUND), folder=tmp_path)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_template_has_no(check: Check) -> None:
    assert list(check(STACK)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_sample_passes(sound: Stack, check: Check) -> None:
    assert list(check(sound)) == []


@pytest.mark.parametrize(
    ("check", "text", "broken", "complaint"), BROKEN, ids=[f"{b[0].__name__}-{b[3]}" for b in BROKEN]
)
def test_a_broken_sample_is_found(sound: Stack, check: Check, text: str, broken: str, complaint: str) -> None:
    assert SOUND.count(text) >= 1
    faults = list(check(replace(Stack.parse(SOUND.replace(text, broken, 1)), folder=sound.folder)))
    assert any(complaint in fault for fault in faults), faults


def test_each_check_has_a_broken_sample() -> None:
    assert {check for check, *_ in BROKEN} == set(CHECKS)
