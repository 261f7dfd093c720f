"""What every resource and parameter of the template must have. Each check yields one line per fault."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.template.stack import Stack, as_list, leaves, machines, mappings, target_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTION = "AWS::Serverless::Function"
STATE_MACHINE = "AWS::Serverless::StateMachine"
LOG_GROUP = "AWS::Logs::LogGroup"
RULE = "AWS::Events::Rule"

# The policies of what can have one, how they name it, and the widest action that they take.
_POLICIES = {
    "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
    "AWS::SQS::Queue": ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
    "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
}

_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")

# Lambda and the libraries in the layers read these themselves; and what only looks like one, a status of executions.
_FOREIGN_VARIABLES = re.compile(r"(AWS|POWERTOOLS)_\w+|TIMED_OUT")


def logs_without_retention(stack: Stack) -> Iterator[str]:
    """Functions and state machines log to a log group of the template, and log groups forget."""
    groups = stack.resources(LOG_GROUP)
    for name, group in groups.items():
        if "RetentionInDays" not in group:
            yield f"{name} has no RetentionInDays"
    for name, function in stack.resources(FUNCTION).items():
        if target_id(function.get("LoggingConfig", {}).get("LogGroup")) not in groups:
            yield f"{name} has no log group"
    for name, machine in stack.resources(STATE_MACHINE).items():
        used = {target_id(m["LogGroupArn"]) for m in mappings(machine.get("Logging")) if "LogGroupArn" in m}
        if not used & set(groups):
            yield f"{name} has no log group"


def asynchronous_failures_lost(stack: Stack) -> Iterator[str]:
    """A rule keeps events it can't deliver; a function that a rule invokes keeps events it can't handle."""
    functions = stack.resources(FUNCTION)
    for rule_name, rule in stack.resources(RULE).items():
        for target in rule["Targets"]:
            if "DeadLetterConfig" not in target:
                yield f"{rule_name}'s target {target['Id']} has no dead-letter queue"
            name = target_id(target["Arn"])
            if name in functions and not _keeps_failed_events(functions[name]):
                yield f"{name} is invoked by {rule_name} and has no on-failure destination"
    for name, function in functions.items():
        if function.get("Events") and not _keeps_failed_events(function):
            yield f"{name} is invoked by its Events and has no on-failure destination"


def _keeps_failed_events(function: dict[str, Any]) -> bool:
    destinations = function.get("EventInvokeConfig", {}).get("DestinationConfig", {})
    return "OnFailure" in destinations or "DeadLetterQueue" in function


def data_unencrypted(stack: Stack) -> Iterator[str]:
    """Tables, queues, topics and buckets are encrypted at rest."""
    for name, table in stack.resources("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable").items():
        if table.get("SSESpecification", {}).get("SSEEnabled") is not True:
            yield f"{name} has no SSESpecification"
    for name, queue in stack.resources("AWS::SQS::Queue").items():
        if queue.get("SqsManagedSseEnabled") is not True and "KmsMasterKeyId" not in queue:
            yield f"{name} has neither SqsManagedSseEnabled nor KmsMasterKeyId"
    for name, topic in stack.resources("AWS::SNS::Topic").items():
        if "KmsMasterKeyId" not in topic:
            yield f"{name} has no KmsMasterKeyId"
    for name, bucket in stack.resources("AWS::S3::Bucket").items():
        if "BucketEncryption" not in bucket:
            yield f"{name} has no BucketEncryption"


def buckets_public(stack: Stack) -> Iterator[str]:
    """Buckets refuse public access by every way."""
    wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    for name, bucket in stack.resources("AWS::S3::Bucket").items():
        block = bucket.get("PublicAccessBlockConfiguration", {})
        yield from (f"{name} lacks {setting}" for setting in wanted if block.get(setting) is not True)


def plain_text_taken(stack: Stack) -> Iterator[str]:
    """Buckets, queues and topics refuse whoever comes without TLS, by a policy that is made whenever they are."""
    made = stack.section("Resources")
    for kind, (policy_kind, key, action) in _POLICIES.items():
        guards = {name: p for name, p in stack.resources(policy_kind).items() if _refuses_plain_text(p, action)}
        for name in stack.resources(kind):
            conditions = (None, made[name].get("Condition"))
            if not any(
                name in map(target_id, as_list(policy[key])) and made[guard].get("Condition") in conditions
                for guard, policy in guards.items()
            ):
                yield f"{name} takes requests without TLS"


def _refuses_plain_text(policy: dict[str, Any], action: str) -> bool:
    return any(
        (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", action)
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for statement in policy["PolicyDocument"]["Statement"]
    )


def parameters_unexplained(stack: Stack) -> Iterator[str]:
    """A parameter is described and stands in exactly one group of the console's form."""
    interface = stack.section("Metadata").get("AWS::CloudFormation::Interface", {})
    grouped = [name for group in interface.get("ParameterGroups", []) for name in group["Parameters"]]
    parameters = stack.section("Parameters")
    for name, parameter in parameters.items():
        if not parameter.get("Description"):
            yield f"{name} has no Description"
        if grouped.count(name) != 1:
            yield f"{name} is in {grouped.count(name)} parameter groups"
    yield from (f"{name} is in a group and is no parameter" for name in grouped if name not in parameters)


def names_unused(stack: Stack) -> Iterator[str]:
    """Every parameter and condition does something."""
    used = set(_references({key: value for key, value in stack.template.items() if key != "Rules"}))
    yield from (f"parameter {name} is not used" for name in stack.section("Parameters") if name not in used)
    conditions = stack.section("Conditions")
    yield from (f"condition {name} is not used" for name in conditions if name not in set(_conditions(stack.template)))


def _references(node: Any) -> Iterator[str]:
    for mapping in mappings(node):
        if "Ref" in mapping:
            yield mapping["Ref"]
        if "Fn::Sub" in mapping:
            yield from re.findall(r"\$\{([^!.}]+)", as_list(mapping["Fn::Sub"])[0])


def _conditions(node: Any) -> Iterator[str]:
    for mapping in mappings(node):
        if isinstance(mapping.get("Condition"), str):
            yield mapping["Condition"]
        if "Fn::If" in mapping:
            yield mapping["Fn::If"][0]


def handlers_missing(stack: Stack) -> Iterator[str]:
    """A function's handler exists in its code."""
    for name, function in stack.resources(FUNCTION).items():
        module, _, attribute = function["Handler"].rpartition(".")
        file = stack.folder / function["CodeUri"] / (module.replace(".", "/") + ".py")
        if not file.is_file() or attribute not in _defined(file):
            yield f"{name}: {function['Handler']} is not in {function['CodeUri']}"


def layers_missing(stack: Stack) -> Iterator[str]:
    """A function has the layers whose packages its code imports, and no others."""
    layers = {
        name: _packages(stack.folder / layer["ContentUri"], name)
        for name, layer in stack.resources("AWS::Serverless::LayerVersion").items()
    }
    for name, function in stack.resources(FUNCTION).items():
        files = _imported(stack.folder / function["CodeUri"], function["Handler"])
        modules = {module.partition(".")[0] for file in files for module in _modules(file)}
        needed = {layer for layer, packages in layers.items() if packages & modules}
        given = {target_id(layer) for layer in function.get("Layers", [])}
        yield from (f"{name} has no {layer}" for layer in sorted(needed - given))
        yield from (f"{name} does not need {layer}" for layer in sorted(map(str, given - needed)))


def _packages(folder: Path, layer: str) -> set[str]:
    """The packages that a layer's requirements name, as they are imported; its folder is its name in snake case."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", layer.removesuffix("Layer").removesuffix("Python")).lower()
    requirements = (folder / snake / "requirements.txt").read_text()
    return {name.replace("-", "_") for name in re.findall(r"^[\w-]+", requirements, re.MULTILINE)}


def _defined(file: Path) -> set[str]:
    return {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}


def variables_unread(stack: Stack) -> Iterator[str]:
    """Each environment variable of a function is read by the code it imports."""
    for name, function in stack.resources(FUNCTION).items():
        code = stack.folder / function["CodeUri"]
        read = {variable for file in _imported(code, function["Handler"]) for variable in _variables_read(file)}
        unread = set(_variables(function)) - read
        yield from (f"{name} never reads {variable}" for variable in sorted(unread))


def variables_unset(stack: Stack) -> Iterator[str]:
    """Each environment variable that the code reads is set for a function that imports this code."""
    functions = stack.resources(FUNCTION).values()
    importers = [(_imported(stack.folder / f["CodeUri"], f["Handler"]), set(_variables(f))) for f in functions]
    for file in sorted({file for files, _ in importers for file in files}):
        given = {variable for files, variables in importers if file in files for variable in variables}
        missing = sorted(_variables_read(file) - given)
        yield from (
            f"{variable} is read in {file.relative_to(stack.folder)} and set for no function" for variable in missing
        )


def _variables(function: dict[str, Any]) -> list[str]:
    return list(function.get("Environment", {}).get("Variables", {}))


def _imported(code: Path, handler: str) -> set[Path]:
    """The source files that a handler imports, its own included."""
    files: set[Path] = set()
    modules = [handler.rpartition(".")[0]]
    while modules:
        file = code / (modules.pop().replace(".", "/") + ".py")
        if file.is_file() and file not in files:
            files.add(file)
            modules += _modules(file)
    return files


def _modules(file: Path) -> list[str]:
    """The modules that a file imports when it runs, and the names in them, which may be modules as well."""
    return _modules_in(file.read_text())


# Most functions import the same files.
@cache
def _modules_in(source: str) -> list[str]:
    modules = []
    ahead: list[ast.AST] = [ast.parse(source)]
    while ahead:
        node = ahead.pop()
        match node:
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.ImportFrom(module=str(module)):
                modules += [module, *(f"{module}.{alias.name}" for alias in node.names)]
            case ast.Import():
                modules += [alias.name for alias in node.names]
        ahead += ast.iter_child_nodes(node)
    return modules


def _variables_read(file: Path) -> set[str]:
    """Environment variables that a file names: texts in capitals with an underscore, options of AWS calls left out."""
    return _variables_in(file.read_text())


@cache
def _variables_in(source: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(source)))
    options = {id(node.value) for node in nodes if isinstance(node, ast.keyword)}
    constants = (node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in options)
    names = {text for text in constants if isinstance(text, str) and _VARIABLE.fullmatch(text)}
    return {name for name in names if not _FOREIGN_VARIABLES.fullmatch(name)}


def tasks_end_before_functions(stack: Stack) -> Iterator[str]:
    """A task that waits for a function's answer waits longer than the function may take."""
    functions = stack.resources(FUNCTION)
    for machine in machines(stack):
        for state_name, state in machine.states():
            if not str(state.get("Resource", "")).endswith(":lambda:invoke"):
                continue
            function = functions[str(target_id(machine.filled(state["Parameters"]["FunctionName"])))]
            longest = _longest(stack, function)
            if (waits := int(machine.filled(state["TimeoutSeconds"]))) <= longest:
                yield f"{state_name} waits {waits} seconds for a function that may take {longest}"


def _longest(stack: Stack, function: dict[str, Any]) -> int:
    """The most seconds a function may take; 3 is Lambda's default."""
    shared = stack.section("Globals").get("Function", {})
    timeout = function.get("Timeout", shared.get("Timeout", 3))
    return int(stack.section("Parameters")[timeout["Ref"]]["MaxValue"] if isinstance(timeout, dict) else timeout)


def outputs_undescribed(stack: Stack) -> Iterator[str]:
    """Every output says what it is."""
    outputs = stack.section("Outputs").items()
    yield from (f"output {name} has no Description" for name, output in outputs if not output.get("Description"))


def literal_arns(stack: Stack) -> Iterator[str]:
    """No ARN names a partition, region or account of its own: the template works in each."""
    for text in leaves(stack.section("Resources")):
        if isinstance(text, str) and re.match(r"arn:aws", text):
            yield f"{text} names a partition"
