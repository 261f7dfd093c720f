"""An evaluator of the template's Rules: which of them refuse a given set of parameters.

After "Rules section" and "Rule-specific intrinsic functions" in the CloudFormation user guide. Functions that look up
values of AWS resources (Fn::ValueOf, Fn::RefAll) are not served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.template.stack import Stack


def refusals(stack: Stack, given: Mapping[str, str]) -> dict[str, str]:
    """The rules that refuse these parameters (the others have their defaults), each with what it says."""
    parameters = stack.section("Parameters")
    values = {name: _value(parameter, given.get(name)) for name, parameter in parameters.items()}
    if unknown := set(given) - set(parameters):
        raise KeyError(f"no such parameters: {', '.join(sorted(unknown))}")
    refused = {}
    for name, rule in stack.section("Rules").items():
        if "RuleCondition" in rule and not _evaluate(rule["RuleCondition"], values):
            continue
        said = [a["AssertDescription"] for a in rule["Assertions"] if not _evaluate(a["Assert"], values)]
        if said:
            refused[name] = " ".join(said)
    return refused


def _value(parameter: dict[str, Any], given: str | None) -> str | list[str]:
    text = str(parameter["Default"] if given is None else given)
    is_list = parameter["Type"] == "CommaDelimitedList" or parameter["Type"].startswith("List<")
    return text.split(",") if is_list else text


_FUNCTIONS: dict[str, Callable[[Any], bool]] = {
    "Fn::And": all,
    "Fn::Or": any,
    "Fn::Not": lambda operands: not operands[0],
    "Fn::Equals": lambda operands: bool(operands[0] == operands[1]),
    "Fn::Contains": lambda operands: operands[1] in operands[0],
    "Fn::EachMemberEquals": lambda operands: all(member == operands[1] for member in operands[0]),
    "Fn::EachMemberIn": lambda operands: all(member in operands[1] for member in operands[0]),
}


def _evaluate(node: Any, values: Mapping[str, str | list[str]]) -> Any:
    if isinstance(node, list):
        return [_evaluate(child, values) for child in node]
    if not isinstance(node, dict):
        return node
    ((function, operands),) = node.items()
    return values[operands] if function == "Ref" else _FUNCTIONS[function](_evaluate(operands, values))
