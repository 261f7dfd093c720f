"""What the template's permissions must be: named actions on named resources, and enough of them.

The local AWS enforces the roles of functions, so the integration tests show whether those suffice. It does not enforce
the roles of state machines and schedules nor who may invoke a function: these are checked here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml

from tests.template.resource_checks import FUNCTION, RULE, STATE_MACHINE
from tests.template.stack import Stack, as_list, leaves, machines, mappings, target_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# A comment that begins like this, in or right above a Resource, says why it is as wide as it is.
REASON = "# *:"

# What every function's role has in any case: the managed policy that lets it write its logs.
_WRITE_LOGS = "/AWSLambdaBasicExecutionRole"

# All objects under a prefix of one bucket: as narrow as a permission on objects can be.
_OBJECTS_OF_A_PREFIX = re.compile(r"arn:.+:s3:::[^*/]+/[^*]+/\*")


_SOURCES = {"SourceArn", "SourceAccount"}
_RESOURCE_POLICIES = ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy", "AWS::KMS::Key")


def _statements(node: Any) -> Iterator[dict[str, Any]]:
    return (mapping for mapping in mappings(node) if "Effect" in mapping)


def actions_too_wide(stack: Stack) -> Iterator[str]:
    """Statements allow named actions to named principals: no `*` in an action, no Not…, nobody is everybody."""
    for name, resource in stack.section("Resources").items():
        for statement in _statements(resource):
            where = f"{name}'s statement {statement.get('Sid', 'without Sid')}"
            if "Sid" not in statement and "Action" in statement and "Principal" not in statement:
                yield f"{where} should say in a Sid what it is for"
            if statement["Effect"] != "Allow" or _leaves_key_to_iam(resource, statement):
                continue
            yield from (f"{where} allows by {key}" for key in statement if key.startswith("Not"))
            wide = (action for action in as_list(statement.get("Action", [])) if "*" in action)
            yield from (f"{where} allows {action}" for action in wide)
            if "*" in leaves(statement.get("Principal")):
                yield f"{where} allows everybody"


def _leaves_key_to_iam(resource: Mapping[str, Any], statement: Mapping[str, Any]) -> bool:
    """Whether it is the statement of a key's policy that has IAM policies say who may use the key."""
    principals = leaves(statement.get("Principal"))
    return resource["Type"] == "AWS::KMS::Key" and all(str(principal).endswith(":root") for principal in principals)


def managed_policies_unconditional(stack: Stack) -> Iterator[str]:
    """A role has other managed policies than that for logs under a condition only, whoever makes the role.

    SAM gives a role that it makes those for X-Ray and VPCs if the property exists, whatever its !If comes to.
    """
    for name, role in stack.transformed().resources("AWS::IAM::Role").items():
        attached = leaves([policy for policy in role.get("ManagedPolicyArns", []) if "Fn::If" not in policy])
        yield from (f"{name} always has {arn}" for arn in attached if not arn.endswith(_WRITE_LOGS))


def resources_wide_without_reason(stack: Stack) -> Iterator[str]:
    """A `*` in a Resource has its reason next to it, in a comment that begins with `# *:`."""
    lines = stack.text.splitlines()
    for key, leaf in _resource_leaves(yaml.compose(stack.text)):
        if "*" not in leaf.value or _OBJECTS_OF_A_PREFIX.fullmatch(leaf.value):
            continue
        near = lines[key.start_mark.line - 1 : leaf.start_mark.line + 1]
        if not any(line.strip().startswith(REASON) for line in near):
            yield f"line {leaf.start_mark.line + 1}: {leaf.value} has no reason ({REASON} …)"


def _resource_leaves(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.ScalarNode]]:
    """Each scalar under the Resource of a statement, with the node of the key `Resource`."""
    if isinstance(node, yaml.MappingNode):
        keys = {key.value for key, _ in node.value}
        for key, value in node.value:
            if key.value == "Resource" and "Effect" in keys:
                yield from ((key, leaf) for leaf in _scalars(value))
            else:
                yield from _resource_leaves(value)
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _resource_leaves(child)


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _scalars(child)
    elif isinstance(node, yaml.MappingNode):
        for _, value in node.value:
            yield from _scalars(value)


def machine_permissions_missing(stack: Stack) -> Iterator[str]:
    """A state machine may do what its states do: invoke, publish, and run a Distributed Map."""
    for machine in machines(stack):
        policies = stack.resources(STATE_MACHINE)[machine.name].get("Policies", [])
        for _, state in machine.states():
            parameters = state.get("Parameters", {})
            resource = str(state.get("Resource", ""))
            if ":lambda:invoke" in resource:
                target = machine.filled(parameters["FunctionName"])
                yield from _missing(machine.name, policies, ["lambda:InvokeFunction"], target)
            if ":sns:publish" in resource:
                target = machine.filled(parameters["TopicArn"])
                yield from _missing(machine.name, policies, ["sns:Publish"], target)
            if state["Type"] == "Map" and state["ItemProcessor"]["ProcessorConfig"]["Mode"] == "DISTRIBUTED":
                runs = ["states:StartExecution", "states:DescribeExecution", "states:StopExecution"]
                yield from _missing(machine.name, policies, runs)
            if "ItemReader" in state:
                yield from _missing(machine.name, policies, ["s3:GetObject"])
            if "ResultWriter" in state:
                # Step Functions guide, "IAM policies for using Distributed Map states".
                writes = ["s3:PutObject", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
                yield from _missing(machine.name, policies, writes)


def _missing(name: str, policies: Any, actions: Iterable[str], target: Any = None) -> Iterator[str]:
    for action in actions:
        allowing = [s for s in _statements(policies) if action in as_list(s["Action"])]
        reached = {target_id(resource) for s in allowing for resource in as_list(s["Resource"])}
        if not allowing or (target is not None and target_id(target) not in reached):
            yield f"{name} may not {action}" + ("" if target is None else f" on {target_id(target)}")


def rule_permissions_missing(stack: Stack) -> Iterator[str]:
    """A rule may invoke its function, may start its state machine, and may write to its dead-letter queue."""
    roles = stack.resources("AWS::IAM::Role")
    for rule_name, rule in stack.resources(RULE).items():
        for target in rule["Targets"]:
            name = target_id(target["Arn"])
            if name in stack.resources(FUNCTION) and not _may_invoke(stack, rule_name, name):
                yield f"{rule_name} may not invoke {name}"
            if name in stack.resources(STATE_MACHINE):
                role = target_id(target.get("RoleArn"))
                yield from _missing(str(role), roles.get(str(role)), ["states:StartExecution"], target["Arn"])
            if "DeadLetterConfig" in target:
                queue = target_id(target["DeadLetterConfig"]["Arn"])
                if not _may_send(stack, rule_name, queue):
                    yield f"{rule_name} may not send to {queue}"


def _may_invoke(stack: Stack, rule: str, function: str) -> bool:
    permissions = stack.resources("AWS::Lambda::Permission").values()
    return any(
        target_id(p["FunctionName"]) == function
        and p["Principal"] == "events.amazonaws.com"
        and target_id(p.get("SourceArn")) == rule
        for p in permissions
    )


def _may_send(stack: Stack, rule: str, queue: str | None) -> bool:
    policies = stack.resources("AWS::SQS::QueuePolicy").values()
    statements = [s for p in policies if queue in map(target_id, p["Queues"]) for s in _statements(p)]
    return any(
        "events.amazonaws.com" in leaves(s.get("Principal"))
        and "sqs:SendMessage" in as_list(s["Action"])
        and rule in {target_id(m) for m in mappings(s.get("Condition"))}
        for s in statements
    )


def services_let_in_for_anybody(stack: Stack) -> Iterator[str]:
    """A function, queue, topic, bucket or key that lets in a service says for which resource or account of ours.

    Else anybody's rule or alarm could reach it through that service (IAM user guide, "The confused deputy problem").
    """
    for name, permission in stack.resources("AWS::Lambda::Permission").items():
        if not _SOURCES & permission.keys():
            yield f"{name} lets in {permission['Principal']} for anybody"
    for name, policy in stack.resources(*_RESOURCE_POLICIES).items():
        for statement in _statements(policy):
            sources = {key for keys in statement.get("Condition", {}).values() for key in keys}
            lets_in = statement["Effect"] == "Allow" and "Service" in statement["Principal"]
            if lets_in and not sources & {"aws:SourceArn", "aws:SourceAccount"}:
                yield f"{name} lets in {', '.join(leaves(statement['Principal']))} for anybody"


def callback_roles_differ(stack: Stack) -> Iterator[str]:
    """The functions that submit and the one that resumes share a role.

    The Data API describes a statement only to the role that ran it ("Using the Amazon Redshift Data API").
    """
    submitters = {
        target_id(machine.filled(state["Parameters"]["FunctionName"]))
        for machine in machines(stack)
        for _, state in machine.states()
        if str(state.get("Resource", "")).endswith(".waitForTaskToken")
    }
    functions = stack.resources(FUNCTION)
    resumers = {
        target_id(target["Arn"])
        for rule in stack.resources(RULE).values()
        if "aws.redshift-data" in leaves(rule.get("EventPattern"))
        for target in rule["Targets"]
    }
    roles = {name: target_id(functions[str(name)].get("Role")) for name in submitters | resumers}
    if len(set(roles.values())) > 1 or None in roles.values():
        yield f"these functions must share one role: {roles}"
