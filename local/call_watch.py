"""Noting what is called in the name of each role, and what each rule delivers.

MiniStack checks what functions call. What state machines and rules do, it does in nobody's name: of these, what AWS
would check is noted as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core import iam_evaluator
from ministack.services import eventbridge, stepfunctions

from local.calls import Notebook, RoleCall, Value, hashable
from local.ministack_patches import around

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

_DELIVERIES = {
    "lambda": "lambda:InvokeFunction",
    "sns": "sns:Publish",
    "sqs": "sqs:SendMessage",
    "states": "states:StartExecution",
}


def note_in(file: Path) -> None:
    """Note the calls of this process in a file, from now on."""
    notebook = Notebook(file)

    def evaluated(context: iam_evaluator.EvalContext, policies: Any, *_limits: Any) -> None:
        if context.principal_type == "AssumedRole":
            role = context.principal_arn.split(":assumed-role/")[1].split("/")[0]
            keys = _looked_at(policies, context.service_context)
            notebook.note(RoleCall(role, context.action, context.resource_arn, keys))

    def entered(state: Mapping[str, Any], _input: Any, execution: Mapping[str, Any], _context: Any) -> None:
        parameters, resource = state.get("Parameters", {}), str(state.get("Resource"))
        if ":lambda:invoke" in resource:
            notebook.note(RoleCall(_role_of(execution), "lambda:InvokeFunction", parameters["FunctionName"]))
        if ":sns:publish" in resource:
            notebook.note(RoleCall(_role_of(execution), "sns:Publish", parameters["TopicArn"]))

    def mapped(state: Mapping[str, Any], _input: Any, effective: Any, _iterator: Any, *rest: Any) -> None:
        execution, context = rest
        role = _role_of(execution)
        notebook.note(RoleCall(role, "states:StartExecution", execution["stateMachineArn"]))
        if "ItemReader" in state:
            read_from = stepfunctions._resolve_params_obj(state["ItemReader"]["Parameters"], effective, context)
            notebook.note(RoleCall(role, "s3:GetObject", "arn:aws:s3:::{Bucket}/{Key}".format_map(read_from)))

    def delivered(target: Mapping[str, Any], _event: Any, rule: Mapping[str, Any], *_view: Any) -> None:
        arn = target["Arn"]
        principal = target["RoleArn"].rpartition("/")[2] if "RoleArn" in target else f"rule:{rule['Arn']}"
        notebook.note(RoleCall(principal, _DELIVERIES[arn.split(":")[2]], arn))

    _watch(iam_evaluator, "evaluate", evaluated)
    _watch(stepfunctions, "_execute_task", entered)
    _watch(stepfunctions, "_run_distributed_map", mapped)
    _watch(eventbridge, "_invoke_target", delivered)


def _watch(module: Any, name: str, look: Callable[..., None]) -> None:
    @around(module, name)
    def watched(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        look(*arguments)
        return original(*arguments, **named)


def _role_of(execution: Mapping[str, Any]) -> str:
    """The role of an execution's machine; a child of a Distributed Map has its parent's."""
    machine = stepfunctions._state_machines[execution["stateMachineArn"].partition("/")[0]]
    return str(machine["roleArn"].rpartition("/")[2])


def _looked_at(policies: Iterable[Iterable[Any]], context: Mapping[str, Any]) -> tuple[tuple[str, Value], ...]:
    keys = {
        key.lower()
        for statements in policies
        for statement in statements
        for condition in statement.conditions.values()
        for key in condition
    }
    return tuple((key, hashable(context[key])) for key in sorted(keys & context.keys()) if context[key] is not None)
