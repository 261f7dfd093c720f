"""The template as CloudFormation evaluates it for some parameters: its Rules, and the resources it would make.

After "Intrinsic function reference", "Rules section" and "Rule-specific intrinsic functions" in the CloudFormation user
guide. Functions that the template has no use for are not served.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.template.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACCOUNT = "123456789012"
REGION = "us-east-1"

_PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::URLSuffix": "amazonaws.com",
}
_NOTHING = object()

# The property that names a resource, and its ARN with the name left out.
_NAMED = {
    "AWS::CloudWatch::Alarm": ("AlarmName", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:"),
    "AWS::DynamoDB::Table": ("TableName", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/"),
    "AWS::Events::Rule": ("Name", f"arn:aws:events:{REGION}:{ACCOUNT}:rule/"),
    "AWS::IAM::Role": ("RoleName", f"arn:aws:iam::{ACCOUNT}:role/"),
    "AWS::KMS::Key": ("", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/"),
    "AWS::Lambda::Function": ("FunctionName", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:"),
    "AWS::Logs::LogGroup": ("LogGroupName", f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:"),
    "AWS::S3::Bucket": ("BucketName", "arn:aws:s3:::"),
    "AWS::Scheduler::Schedule": ("Name", f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/"),
    "AWS::SNS::Topic": ("TopicName", f"arn:aws:sns:{REGION}:{ACCOUNT}:"),
    "AWS::SQS::Queue": ("QueueName", f"arn:aws:sqs:{REGION}:{ACCOUNT}:"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:"),
}
_REF_IS_ARN = ("AWS::SNS::Topic", "AWS::StepFunctions::StateMachine")


class Evaluation:
    """A template with the values of its parameters; those that are not given have their defaults."""

    def __init__(self, stack: Stack, given: Mapping[str, str], partition: str = "aws") -> None:
        parameters = stack.section("Parameters")
        if unknown := set(given) - set(parameters):
            raise KeyError(f"no such parameters: {', '.join(sorted(unknown))}")
        self._stack = stack
        self._parameters = {name: _value(parameter, given.get(name)) for name, parameter in parameters.items()}
        self._pseudo = _PSEUDO_PARAMETERS | {"AWS::Partition": partition}
        self._read: set[str] = set()

    def refusals(self) -> dict[str, str]:
        """The rules that refuse these parameters, each with what it says."""
        refused = {}
        for name, rule in self._stack.section("Rules").items():
            if "RuleCondition" in rule and not self.value(rule["RuleCondition"]):
                continue
            said = [a["AssertDescription"] for a in rule["Assertions"] if not self.value(a["Assert"])]
            if said:
                refused[name] = " ".join(said)
        return refused

    def resources(self, *types: str) -> dict[str, dict[str, Any]]:
        """The resources that are made (of these types, or all), by logical id: whole, with each function evaluated."""
        return {
            name: self.value({key: value for key, value in resource.items() if key not in ("Condition", "DependsOn")})
            for name, resource in self._stack.section("Resources").items()
            if (not types or resource["Type"] in types) and self._condition(resource.get("Condition"))
        }

    def properties(self, *types: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of these types, by logical id."""
        return {name: resource["Properties"] for name, resource in self.resources(*types).items()}

    def parameters_of_resources(self) -> set[str]:
        """The parameters that the resources are made with, but for what functions are told in their environment."""
        self._read = set()
        for resource in self._stack.section("Resources").values():
            if self._condition(resource.get("Condition")):
                properties = {key: value for key, value in resource["Properties"].items() if key != "Environment"}
                self.value(properties)
        return self._read

    def outputs(self) -> dict[str, str]:
        """The stack's outputs."""
        return {name: self.value(output["Value"]) for name, output in self._stack.section("Outputs").items()}

    def arn(self, logical_id: str) -> str:
        """The ARN of a resource."""
        arn: str = self.value({"Fn::GetAtt": [logical_id, "Arn"]})
        return arn

    def value(self, node: Any) -> Any:
        """What a part of the template comes to."""
        if isinstance(node, list):
            return [item for item in map(self.value, node) if item is not _NOTHING]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, operands),) = node.items()
            if function in ("Ref", "Condition") or function.startswith("Fn::"):
                return self._called(function, operands)
        values = {key: self.value(value) for key, value in node.items()}
        return {key: value for key, value in values.items() if value is not _NOTHING}

    def _called(self, function: str, operands: Any) -> Any:
        match function, operands:
            case "Ref", name:
                result = self._reference(name)
            # A policy's statement has a Condition of its own.
            case "Condition", dict():
                result = {function: self.value(operands)}
            case "Condition", name:
                result = self._condition(name)
            case "Fn::If", [name, then, otherwise]:
                result = self.value(then if self._condition(name) else otherwise)
            case "Fn::GetAtt", [name, attribute]:
                result = self._attribute(name, attribute)
            case "Fn::Sub", _:
                result = self._filled(*(operands if isinstance(operands, list) else (operands, {})))
            case "Fn::Join", [str(separator), parts]:
                result = separator.join(self.value(parts))
            case "Fn::Split", [str(separator), text]:
                result = self.value(text).split(separator)
            case "Fn::FindInMap", [name, *keys]:
                first, second = map(self.value, keys)
                result = self._stack.section("Mappings")[name][first][second]
            case _:
                result = _FUNCTIONS[function](self.value(operands))
        return result

    def _condition(self, name: str | None) -> bool:
        read = set(self._read)
        met = name is None or bool(self.value(self._stack.section("Conditions")[name]))
        self._read = read
        return met

    def _reference(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NOTHING
        if name in self._pseudo:
            return self._pseudo[name]
        if name in self._parameters:
            self._read.add(name)
            return self._parameters[name]
        kind = self._resource(name)["Type"]
        if kind == "AWS::SQS::Queue":
            return f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{self._name(name)}"
        return self.arn(name) if kind in _REF_IS_ARN else self._name(name)

    def _attribute(self, name: str, attribute: str) -> str:
        kind = self._resource(name)["Type"]
        match attribute:
            case "Arn":
                return _NAMED[kind][1] + self._name(name)
            case "QueueName":
                return self._name(name)
        raise NotImplementedError(f"{attribute} of {name}")

    def _resource(self, name: str) -> dict[str, Any]:
        """A resource that is made; CloudFormation, too, refuses a reference to any other."""
        resource: dict[str, Any] = self._stack.section("Resources")[name]
        if not self._condition(resource.get("Condition")):
            raise LookupError(f"{name} is referred to, and not made for these parameters")
        return resource

    def _name(self, name: str) -> str:
        resource = self._resource(name)
        key, _ = _NAMED.get(resource["Type"], ("", ""))
        properties = resource.get("Properties", {})
        return str(self.value(properties[key])) if key in properties else name.lower()

    def _filled(self, text: str, values: dict[str, Any]) -> str:
        def one(match: re.Match[str]) -> str:
            name, _, attribute = match[1].partition(".")
            if name in values:
                return str(self.value(values[name]))
            return str(self._attribute(name, attribute) if attribute else self._reference(name))

        return re.sub(r"\$\{([^!}]+)\}", one, text)


def _value(parameter: dict[str, Any], given: str | None) -> str | list[str]:
    text = str(parameter["Default"] if given is None else given)
    is_list = parameter["Type"] == "CommaDelimitedList" or parameter["Type"].startswith("List<")
    return text.split(",") if is_list else text


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Not": lambda operands: not operands[0],
    "Fn::Equals": lambda operands: bool(operands[0] == operands[1]),
    "Fn::Select": lambda operands: operands[1][operands[0]],
    "Fn::Contains": lambda operands: operands[1] in operands[0],
    "Fn::EachMemberEquals": lambda operands: all(member == operands[1] for member in operands[0]),
    "Fn::EachMemberIn": lambda operands: all(member in operands[1] for member in operands[0]),
}


@cache
def transformed() -> Stack:
    """This repository's template after SAM's transform."""
    return Stack.load().transformed()


def deployed(*, partition: str = "aws", **given: str) -> Evaluation:
    """This repository's stack for some parameters (a cluster, unless they name a workgroup), which its Rules accept."""
    parameters = given if "WorkgroupName" in given else {"ClusterIdentifier": "analytics", **given}
    if refused := Evaluation(Stack.load(), parameters).refusals():
        raise ValueError(f"{parameters} can't be deployed: {refused}")
    return Evaluation(transformed(), parameters, partition)
