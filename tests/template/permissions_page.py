"""`python -m tests.template.permissions_page` writes docs/permissions.md: who may do what on what, and why.

All of it stands in template.yaml: the reasons are the statements' Sids and the comments above and in them.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.template.iam_checks import REASON
from tests.template.resource_checks import FUNCTION, STATE_MACHINE
from tests.template.stack import ROOT, Stack, as_list, mappings, target_id

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = ROOT / "docs" / "permissions.md"

_HEAD = """# Permissions

Who may do what in this stack, on what, and why. Written from `template.yaml` by `python -m
tests.template.permissions_page`; a test compares the two. Names of resources are those of the template. That the
policies are enough and no wider is held by `tests/template/test_permissions.py`, for each way to log in and with all
options and none, and by `tests/integration/test_the_run_as_a_whole.py`: every call that the deployed stack makes in the
tests is allowed, and what is allowed is called, or stands there with the reason why nothing of the tests calls it.

Nothing here is allowed by `*` as an action, but what the policy of a key leaves to the account's IAM policies. Where
`*` stands in a resource, the reason begins with "any".
"""

_LET_IN = """
## What is let in

Whom functions, queues, topics, buckets and keys let in themselves. Nothing of the stack can be reached from another
account, and nothing without a signature.
"""

_WORDS = re.compile(r"[A-Z][a-z0-9]*|[A-Z]+(?![a-z])")
_PARTITION = "arn:${AWS::Partition}:"


@dataclass(frozen=True)
class _Statement:
    """A statement of a policy, the conditions of the template under which it is made, and the reasons beside it."""

    body: dict[str, Any]
    only_if: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def what_for(self) -> str:
        words = _WORDS.findall(self.body["Sid"])
        return ". ".join([" ".join([words[0], *(word.lower() for word in words[1:])]), *self.reasons]).rstrip(".")


def written(stack: Stack) -> str:
    """The page."""
    pages = [_HEAD]
    for name, role in stack.resources("AWS::IAM::Role").items():
        services = as_list(role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"])
        users = [
            user for user, function in stack.resources(FUNCTION).items() if target_id(function.get("Role")) == name
        ]
        used_by = f" Role of {', '.join(users)}." if users else ""
        policies = {name: role["Policies"], **_attached(stack, name)}
        pages.append(_role(stack, name, f"{role['Description']} Assumed by {services[0]}.{used_by}", policies))
        managed = [_managed(stack, policy) for policy in role.get("ManagedPolicyArns", [])]
        if managed:
            pages.append(textwrap.fill(f"AWS's own policies: {', '.join(managed)}.", 120).join("\n\n"))
    for name, machine in stack.resources(STATE_MACHINE).items():
        pages.append(_role(stack, name, "The state machine's own role, which SAM makes.", {name: machine["Policies"]}))
    pages += [_LET_IN, "\n| who | may | on | if |\n| --- | --- | --- | --- |\n", *sorted(_let_in(stack))]
    return "".join(pages)


def _attached(stack: Stack, role: str) -> dict[str, list[dict[str, Any]]]:
    """The policies that are resources of their own, and attached to a role."""
    policies = stack.resources("AWS::IAM::Policy").items()
    return {name: [policy] for name, policy in policies if role in map(target_id, policy["Roles"])}


def _role(stack: Stack, name: str, about: str, policies: dict[str, list[dict[str, Any]]]) -> str:
    """A role's part of the page; `policies` are listed by the resource they stand in."""
    rows = [
        f"| {_cell(statement.what_for)} | {_code(statement.body['Action'])} | {_code(statement.body['Resource'])} "
        f"| {_when(stack, statement)} |\n"
        for resource, listed in policies.items()
        for statement in _statements(stack, resource, listed)
    ]
    head = "| what for | actions | on | if |\n| --- | --- | --- | --- |\n"
    return f"\n## {name}\n\n{textwrap.fill(about, 120)}\n\n{head}{''.join(rows)}"


def _statements(stack: Stack, resource: str, policies: list[dict[str, Any]]) -> Iterator[_Statement]:
    block = _block(stack.text, resource)
    made_if = stack.section("Resources")[resource].get("Condition")
    for policy in policies:
        for entry in policy.get("PolicyDocument", policy)["Statement"]:
            only_if: tuple[str, ...] = (made_if,) if made_if else ()
            while "Fn::If" in entry:
                condition, entry, _ = entry["Fn::If"]  # noqa: PLW2901 - what is wrapped takes the wrapper's place
                only_if += (condition,)
            yield _Statement(entry, only_if, tuple(dict.fromkeys(_reasons(block, entry["Sid"]))))


def _block(text: str, resource: str) -> list[str]:
    """The lines of a resource."""
    (block,) = re.findall(rf"^  {resource}:\n((?:    .*\n|\n|  *#.*\n)*)", text, re.MULTILINE)
    return str(block).splitlines()


def _reasons(block: list[str], sid: str) -> Iterator[str]:
    """The comments above a statement, and within it those that say why a resource is as wide as it is."""
    (at,) = (index for index, line in enumerate(block) if line.strip().removeprefix("- ") == f"Sid: {sid}")
    above: list[str] = []
    for line in reversed(block[:at]):
        if not (line.strip().startswith("#") or re.fullmatch(r"\s*- (!If|\w+)", line)):
            break
        above += [line.strip().removeprefix("#").strip()] if "#" in line else []
    if above:
        yield " ".join(reversed(above)).rstrip(".")
    dash = block[at].index("-") if "-" in block[at].partition("Sid")[0] else 0
    for line in block[at + 1 :]:
        if len(line) - len(line.lstrip()) <= dash:
            break
        if REASON in line:
            yield f"Any: {line.partition(REASON)[2].strip()}".rstrip(".")


def _when(stack: Stack, statement: _Statement) -> str:
    conditions = [*(_parameters(stack, name) for name in statement.only_if), *_limits(statement.body)]
    return "; ".join(conditions)


def _parameters(stack: Stack, condition: str) -> str:
    """The parameters that a condition of the template looks at."""
    looked_at = dict.fromkeys(_looked_at(stack, stack.section("Conditions")[condition]))
    return f"{condition} ({', '.join(looked_at)})"


def _looked_at(stack: Stack, node: Any) -> Iterator[str]:
    for mapping in mappings(node):
        if isinstance(mapping.get("Ref"), str):
            yield mapping["Ref"]
        if isinstance(mapping.get("Condition"), str):
            yield from _looked_at(stack, stack.section("Conditions")[mapping["Condition"]])


def _limits(statement: dict[str, Any]) -> Iterator[str]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            yield f"`{key}` {operator} {_code(value)}"


def _managed(stack: Stack, policy: Any) -> str:
    name = _text(policy).rpartition("/")[2]
    return f"{name} if {_parameters(stack, policy['Fn::If'][0])}" if "Fn::If" in policy else name


def _let_in(stack: Stack) -> Iterator[str]:
    for permission in stack.resources("AWS::Lambda::Permission").values():
        limit = f"`aws:SourceArn` ArnLike {_code(permission['SourceArn'])}"
        yield _row(permission["Principal"], permission["Action"], permission["FunctionName"], limit)
    policies = stack.resources("AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy")
    listed = [statement for policy in policies.values() for statement in policy["PolicyDocument"]["Statement"]]
    for name, key in stack.resources("AWS::KMS::Key").items():
        # In a key's policy every resource is the key.
        listed += [{**statement, "Resource": {"Ref": name}} for statement in key["KeyPolicy"]["Statement"]]
    for statement in listed:
        who = "nobody" if statement["Effect"] == "Deny" else _text(next(iter(statement["Principal"].values())))
        yield _row(who, statement["Action"], statement["Resource"], "; ".join(_limits(statement)))


def _row(who: str, actions: Any, resources: Any, limit: str) -> str:
    return f"| {who} | {_code(actions)} | {_code(resources)} | {limit} |\n"


def _code(values: Any) -> str:
    return "<br>".join(f"`{_text(value)}`" for value in as_list(values))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(node: Any) -> str:
    """A value of the template in few words: the resource that is meant, or what tells its ARN from others."""
    name = target_id(node)
    if name is not None:
        return name
    match node:
        case {"Fn::Sub": [text, *_]} | {"Fn::Sub": str(text)} | {"Fn::Split": [_, {"Fn::Sub": [text, *_]}]}:
            return text.removeprefix(_PARTITION).replace("${AWS::Region}:${AWS::AccountId}:", "").replace(".Arn}", "}")
        case {"Fn::If": [_, *either]}:
            return " or ".join(_text(value) for value in either if target_id(value) != "AWS::NoValue")
        case list():
            return " and ".join(map(_text, node))
    return str(node)


if __name__ == "__main__":
    PAGE.write_text(written(Stack.load()), encoding="utf-8")
