"""docs/permissions.md is what the template says."""

from __future__ import annotations

from tests.template.permissions_page import PAGE, written
from tests.template.stack import Stack


def test_the_page_is_current() -> None:
    current = PAGE.read_text(encoding="utf-8") == written(Stack.load())
    assert current, "write it anew: python -m tests.template.permissions_page"


def test_the_page_has_every_statement_of_the_template_with_its_reason() -> None:
    stack = Stack.parse(
        """
Parameters: {Key: {Type: String}}
Conditions: {UseKey: !Not [!Equals [!Ref Key, ""]]}
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      Description: Keeps the moon.
      AssumeRolePolicyDocument: {Statement: [{Principal: {Service: lambda.amazonaws.com}}]}
      Policies:
        - PolicyDocument:
            Statement:
              # Or it
              # falls.
              - Sid: HoldTheMoon
                Effect: Allow
                Action: moon:Hold
                # *: there is one.
                Resource: "*"
                Condition: {StringLike: {moon:Is: [full, new]}}
              # It is locked.
              - !If
                - UseKey
                - Sid: UseKey
                  Effect: Allow
                  Action: [kms:Decrypt, kms:Encrypt]
                  Resource: !Ref Key
                - !Ref AWS::NoValue
  Queue:
    Type: AWS::SQS::Queue
  Policy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: moon.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
"""
    )
    rows = [line for line in written(stack).splitlines() if line.startswith("| ") and "---" not in line]
    assert rows == [
        "| what for | actions | on | if |",
        "| Hold the moon. Or it falls. Any: there is one | `moon:Hold` | `*` | `moon:Is` StringLike `full`<br>`new` |",
        "| Use key. It is locked | `kms:Decrypt`<br>`kms:Encrypt` | `Key` | UseKey (Key) |",
        "| who | may | on | if |",
        "| moon.amazonaws.com | `sqs:SendMessage` | `Queue` |  |",
    ]


def test_no_statement_is_left_out() -> None:
    sids = [line.split("Sid: ")[1] for line in Stack.load().text.splitlines() if line.strip().startswith("- Sid: ")]
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    tables = sum(row.startswith(("| what for |", "| who |", "| --- |")) for row in rows)
    permissions = Stack.load().resources("AWS::Lambda::Permission")
    shared = [len(policy["Roles"]) - 1 for policy in Stack.load().resources("AWS::IAM::Policy").values()]
    assert len(rows) - tables == len(sids) + len(permissions) + sum(shared)
