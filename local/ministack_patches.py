"""What MiniStack lacks or does otherwise than AWS, where that would hide a real path of this application.

Each patch is the smallest that mends its gap; its docstring says what the gap is and how it is mended. They
reach into private functions, so `apply` refuses every version of MiniStack but the one they were written for.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import threading
import time
from contextvars import ContextVar, copy_context
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

import yaml
from ministack import app as front
from ministack.core import iam_evaluator, lambda_runtime
from ministack.core.responses import error_response_json, json_response
from ministack.services import dynamodb, eventbridge, lambda_svc, scheduler, stepfunctions, sts
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

if TYPE_CHECKING:
    from collections.abc import Callable

MINISTACK_VERSION = "1.5.33"
LAMBDAS_AT_ONCE = 4 * (os.cpu_count() or 1)


class UnsupportedMiniStackError(Exception):
    """Another version of MiniStack is installed than the one these patches were written for."""


def apply() -> None:
    """Patch MiniStack in this process, before it serves its first request.

    Raises `UnsupportedMiniStackError`: The installed MiniStack isn't version `MINISTACK_VERSION`.
    """
    installed = version("ministack")
    if installed != MINISTACK_VERSION:
        raise UnsupportedMiniStackError(
            f"the local AWS needs MiniStack {MINISTACK_VERSION}, but {installed} is installed: run "
            f"`pip install 'ministack=={MINISTACK_VERSION}'`, or check every patch here against {installed}"
        )
    _read_state_machines_in_yaml()
    _work_out_texts_in_conditions()
    _report_what_a_handler_raised()
    _unpack_each_layer_once()
    _let_lambdas_wait_for_a_slot()
    _let_invocations_end_while_their_function_is_updated()
    _fail_a_callback_task_whose_lambda_raises()
    _give_each_attempt_its_own_task_token()
    _wait_for_retries_as_the_state_asks()
    _follow_the_path_fields_of_a_map()
    _follow_the_path_of_a_timeout()
    _find_items_by_the_value_of_a_number()
    _redrive_executions()
    _take_loopback_for_secure()
    _let_schedules_have_a_time_zone()
    _tell_a_schedules_target_which_time_it_is_for()
    _know_no_root_but_its_own_key()
    _make_sessions_that_cannot_be_computed()
    _take_saved_queries()


def around(module: Any, name: str) -> Callable[[Callable[..., Any]], None]:
    """Replace `module.name` by a function that gets the original as its first argument."""
    original = getattr(module, name)

    def install(replacement: Callable[..., Any]) -> None:
        @wraps(original)
        def patched(*arguments: Any, **named: Any) -> Any:
            return replacement(original, *arguments, **named)

        setattr(module, name, patched)

    return install


def _read_state_machines_in_yaml() -> None:
    """Deploy state machines that are written in YAML.

    Gap: CloudFormation's definition is kept as it was written and later read as JSON alone, so that every
    execution of such a machine fails.
    Mend: it is turned into JSON when the stack is deployed, as CloudFormation does.
    """

    @around(provisioners, "_sfn_definition")
    def definition(original: Callable[..., Any], properties: Any) -> str:
        return json.dumps(yaml.safe_load(original(properties)))


def _work_out_texts_in_conditions() -> None:
    """Let a template's conditions compare what `Fn::Join`, `Fn::Split`, `Fn::Select` and `Fn::Sub` come to.

    Gap: they are compared as they are written, so that no list is ever found to be empty.
    Mend: they are worked out before the conditions are, as in resources.
    """
    texts = {"Fn::Join", "Fn::Split", "Fn::Select", "Fn::Sub"}

    def worked_out(node: Any, parameters: Any) -> Any:
        if isinstance(node, list):
            return [worked_out(item, parameters) for item in node]
        if not isinstance(node, dict):
            return node
        if texts & node.keys():
            return engine._resolve_refs(node, {}, parameters, {}, {}, "", "")
        return {key: worked_out(value, parameters) for key, value in node.items()}

    for module in (changesets, engine, handlers, stacks):

        @around(module, "_evaluate_conditions")
        def evaluate(original: Callable[..., Any], template: Any, parameters: Any) -> Any:
            conditions = worked_out(template.get("Conditions", {}), parameters)
            return original({**template, "Conditions": conditions}, parameters)


def _report_what_a_handler_raised() -> None:
    """Name an error by its class, so that `Retry` and `Catch` match it.

    Gap: whatever a handler raises becomes `Runtime.HandlerError`, and its worker process is thrown away; a worker that
    was killed has the same name.
    Mend: as Lambda does, the error carries the exception's class name and stack, and the worker lives on. A worker
    that was killed is `Runtime.ExitError`.
    """
    raised: ContextVar[dict[str, Any] | None] = ContextVar("raised", default=None)
    before = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
    after = (
        '{"status": "ok", "raised": {"errorMessage": str(e), "errorType": type(e).__name__,'
        ' "stackTrace": traceback.format_exc().splitlines()}}'
    )
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(before, after)

    @around(lambda_runtime.Worker, "invoke")
    def invoke(original: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            result = original(*arguments, **named)
        except RuntimeError as failure:
            if not str(failure).startswith("Worker process exited immediately"):
                raise
            result = {"status": "error", "error": "Worker process died"}
        error = result.pop("raised", None)
        if result.get("error") in ("Worker process died", "[Errno 32] Broken pipe"):
            error = {"errorType": "Runtime.ExitError", "errorMessage": "the process was killed", "stackTrace": []}
        raised.set(error)
        if error is None:
            return result
        return result | {"status": "error", "error": error["errorMessage"], "trace": "\n".join(error["stackTrace"])}

    @around(lambda_svc, "_execute_function_warm")
    def execute(original: Callable[..., Any], *arguments: Any) -> Any:
        raised.set(None)
        result = original(*arguments)
        error = raised.get()
        return result | {"body": error} if error is not None else result


def _unpack_each_layer_once() -> None:
    """Let all workers read one unpacked copy of a layer.

    Gap: every worker process unpacks every layer of its function for itself (200 MB and some seconds each).
    Mend: a layer version is unpacked once, in the cache that MiniStack keeps for its Docker workers, and handed
    to the worker by the variable that MiniStack's own worker script reads its layers from.
    """

    @around(lambda_runtime.Worker, "_spawn")
    def spawn(original: Callable[..., Any], worker: Any) -> Any:
        layers = worker.config.get("Layers")
        if layers:
            archives = [lambda_svc._resolve_layer_zip(layer) for layer in layers]
            folders = [lambda_svc._docker_extracted_dir(archive, "layer") for archive in archives if archive]
            variables = worker.config.get("Environment", {}).get("Variables", {})
            variables = {**variables, "_LAMBDA_LAYERS_DIRS": os.pathsep.join(folders)}
            worker.config = {**worker.config, "Layers": [], "Environment": {"Variables": variables}}
        return original(worker)


def _let_lambdas_wait_for_a_slot() -> None:
    """Bound the number of Lambdas that run at once by the size of this machine.

    Gap: each concurrent invocation starts a process of its own, as many as are asked for: 50 executions at once
    are 50 Python interpreters importing the same libraries.
    Mend: `LAMBDAS_AT_ONCE` run at a time and the others wait, which no caller can tell from a slow start. (None
    of this application's functions invokes another and waits for it, which could then wait for ever.)
    """
    slots = threading.BoundedSemaphore(LAMBDAS_AT_ONCE)

    @around(lambda_svc, "_execute_function_warm")
    def execute(original: Callable[..., Any], *arguments: Any) -> Any:
        with slots:
            return original(*arguments)


def _let_invocations_end_while_their_function_is_updated() -> None:
    """Let an update of a function end no invocation.

    Gap: all workers of the function are killed, and their files removed, at work or not: what runs fails, and so does
    what is just starting, which finds no code.
    Mend: a worker that is at work is killed when that is done; all are when the process ends.
    """
    retired: set[Any] = set()
    kill_at_once = lambda_runtime.kill_workers

    @around(lambda_runtime, "kill_workers")
    def kill(original: Callable[..., None], workers: list[Any]) -> None:
        at_work = {worker for worker in workers if worker.in_use}
        retired.update(at_work)
        original([worker for worker in workers if worker not in at_work])

    @around(lambda_runtime.Worker, "invoke")
    def invoke(original: Callable[..., Any], worker: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(worker, *arguments, **named)
        except BaseException:
            # Nobody gives it back.
            worker.in_use = False
            raise
        finally:
            if worker in retired:
                retired.discard(worker)
                kill_at_once([worker])

    @around(lambda_runtime, "reset")
    def reset(original: Callable[[], None]) -> None:
        original()
        # A copy: those that end meanwhile take themselves out.
        kill_at_once(list(retired))


def _fail_a_callback_task_whose_lambda_raises() -> None:
    """End a `.waitForTaskToken` task at once when its Lambda fails.

    Gap: the Lambda's error is swallowed and the task waits for a callback that never comes, until its timeout.
    Mend: the error is sent to the task's own token, unless the Lambda had that answered before it failed.
    """
    awaited: ContextVar[str | None] = ContextVar("awaited", default=None)

    @around(stepfunctions, "_invoke_with_callback")
    def wait(original: Callable[..., Any], resource: str, task_input: Any, token: str, state: Any) -> Any:
        reset = awaited.set(token)
        try:
            return original(resource, task_input, token, state)
        finally:
            awaited.reset(reset)

    @around(stepfunctions, "_call_lambda")
    def call(original: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return original(*arguments)
        except stepfunctions._ExecutionError as error:
            token = awaited.get()
            if token is not None and not stepfunctions._task_tokens[token]["event"].is_set():
                failure = {"taskToken": token, "error": error.error, "cause": error.cause}
                stepfunctions._send_task_failure(failure)
            raise


def _give_each_attempt_its_own_task_token() -> None:
    """Mint a new task token for each attempt of a callback task.

    Gap: all attempts share the token of the first, so that a late answer to one ends another.
    Mend: the token is replaced when the parameters of a further attempt are resolved.
    """

    @around(stepfunctions, "_apply_parameters")
    def parameters(original: Callable[..., Any], state: Any, data: Any, context: Any = None) -> Any:
        if ".waitForTaskToken" in state.get("Resource", "") and context["State"]["RetryCount"] > 0:
            context["Task"] = {"Token": stepfunctions.new_uuid()}
        return original(state, data, context)


def _wait_for_retries_as_the_state_asks() -> None:
    """Spread retries, and wait for them as long as the state asks for.

    Gap: `JitterStrategy` and `MaxDelaySeconds` are ignored: all that failed together is tried again together, after the
    longest wait, and no wait is longer than a minute, so that eight retries end before an outage of some minutes.
    Mend: what is waited is worked out here, and MiniStack's own wait left out.
    """

    @around(stepfunctions, "_find_matching_retrier")
    def find(original: Callable[..., Any], retriers: Any, error: str, counts: dict[int, int]) -> Any:
        retrier, index = original(retriers, error, counts)
        if retrier is None:
            return retrier, index
        seconds = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** counts.get(index, 0)
        seconds = min(seconds, retrier.get("MaxDelaySeconds", seconds))
        if retrier.get("JitterStrategy") == "FULL":
            seconds *= random.random()  # noqa: S311 - no secret
        time.sleep(seconds)
        return {**retrier, "IntervalSeconds": 0}, index


def _follow_the_path_fields_of_a_map() -> None:
    """Read a Distributed Map's bounds from its input where the state says so.

    Gap: `MaxConcurrencyPath`, `ToleratedFailurePercentagePath` and `ToleratedFailureCountPath` are ignored, so
    that up to 64 children run at once and the first failure is one too many.
    Mend: they are resolved into the fields that MiniStack reads.
    """
    fields = ("MaxConcurrency", "ToleratedFailurePercentage", "ToleratedFailureCount")

    @around(stepfunctions, "_run_distributed_map")
    def run(original: Callable[..., Any], state: Any, raw_input: Any, effective: Any, *rest: Any) -> Any:
        context = rest[-1]
        resolved = {
            field: stepfunctions._resolve_path_or_ctx(state[f"{field}Path"], effective, context)
            for field in fields
            if f"{field}Path" in state
        }
        return original({**state, **resolved}, raw_input, effective, *rest)


def _follow_the_path_of_a_timeout() -> None:
    """Read a task's timeout from its input where the state says so.

    Gap: `TimeoutSecondsPath` is ignored, so that a task waits for a day.
    Mend: it is resolved into the field that MiniStack reads.
    """

    @around(stepfunctions, "_execute_task")
    def execute(original: Callable[..., Any], state: Any, raw_input: Any, *rest: Any) -> Any:
        if "TimeoutSecondsPath" in state:
            seconds = stepfunctions._resolve_path_or_ctx(state["TimeoutSecondsPath"], raw_input, rest[-1])
            state = {**state, "TimeoutSeconds": seconds}
        return original(state, raw_input, *rest)


def _find_items_by_the_value_of_a_number() -> None:
    """Let a key of type N be the number, however it is written.

    Gap: an item is kept under its number without zeros at the end, but looked for by the text of the request, so that
    deleting `1.50` leaves `1.5` behind.
    Mend: the text of the request is brought into the same form.
    """

    @around(dynamodb, "_extract_key_val")
    def value(original: Callable[..., Any], attribute: Any) -> Any:
        text = original(attribute)
        return dynamodb._ddb_canonicalize_number(text) or text if attribute and "N" in attribute else text


def _redrive_executions() -> None:
    """Redrive an execution that was aborted or has failed.

    Gap: there is no RedriveExecution, and a walk that an abort has interrupted goes on if its task is told later, or
    when it has waited for a retry.
    Mend: the execution is walked once more. States that had ended give what they gave, the one that had not runs anew,
    a Map with all of its children. A walk that was interrupted ends without a word.
    """
    redrives: dict[str, int] = {}
    walk = threading.local()  # of the thread that walks an execution; the children of a Map have threads of their own
    _walk_past_what_has_ended(walk, redrives)
    _end_when_a_retry_is_overtaken(walk, redrives)
    _tell_how_often_an_execution_was_redriven(redrives)

    def redrive(arn: str) -> Any:
        execution = stepfunctions._executions.get(arn)
        if execution is None or execution["status"] not in {"ABORTED", "FAILED", "TIMED_OUT"}:
            return error_response_json("ExecutionNotRedrivable", f"Execution {arn} has not failed", 400)
        redrives[arn] = redrives.get(arn, 0) + 1
        execution.update(status="RUNNING", stopDate=None, output=None, error=None, cause=None)
        threading.Thread(target=copy_context().run, args=(stepfunctions._run_execution, arn), daemon=True).start()
        return json_response({"redriveDate": stepfunctions.now_iso()})

    @around(stepfunctions, "handle_request")
    async def handle(original: Callable[..., Any], *arguments: Any) -> Any:
        _, _, headers, body, _ = arguments
        if not headers.get("x-amz-target", "").endswith(".RedriveExecution"):
            return await original(*arguments)
        return stepfunctions._finalize_response(redrive(json.loads(body)["executionArn"]))


def _know_no_root_but_its_own_key() -> None:
    """Take for root only who signs with the credentials that this process was given.

    Gap: `test`, any twelve digits and no key at all are root, and the signature of root is looked at by nobody, so that
    whoever else works on this machine can have a Lambda of theirs run as the user who started it.
    Mend: the configured key is the only one, and its signature is checked like all others.
    """
    configured = os.environ["AWS_ACCESS_KEY_ID"]
    for module in (iam_evaluator, sts):
        module.is_root_access_key = lambda key: key == configured
    iam_evaluator._is_root_key = lambda _key: False  # whose signatures are not checked


def _make_sessions_that_cannot_be_computed() -> None:
    """Let nobody guess the credentials of a function's role.

    Gap: they are digests of the names of the function and its role.
    Mend: something that nobody else knows goes into them.
    """
    salt = secrets.token_hex()

    @around(lambda_runtime, "execution_credentials")
    def credentials(original: Callable[..., Any], config: dict[str, Any]) -> Any:
        return original({**config, "Role": f"{salt}/{config.get('Role', '').rpartition('/')[2]}"})


def _take_loopback_for_secure() -> None:
    """Let `aws:SecureTransport` be true.

    Gap: a policy that demands TLS, as the one of the stack's bucket, shuts out all but root: MiniStack speaks HTTP.
    Mend: what comes over this machine's loopback counts as if it had come over TLS. Nobody listens there either.
    """

    @around(front, "pin_request_origin")
    def pin(original: Callable[..., Any], source_ip: str, _secure: object) -> None:
        original(source_ip, secure_transport=True)


def _walk_past_what_has_ended(walk: threading.local, redrives: dict[str, int]) -> None:
    ended: dict[str, list[Any]] = {}

    @around(stepfunctions, "_run_execution")
    def run(original: Callable[..., Any], arn: str) -> None:
        walk.arn, walk.redrives, walk.known = arn, redrives.get(arn, 0), iter(list(ended.setdefault(arn, [])))
        walk.execution = arn
        original(arn)

    def enter(original: Callable[..., Any], *arguments: Any) -> Any:
        arn, context = getattr(walk, "arn", None), arguments[-1]
        if arn is None:
            return original(*arguments)
        if (known := next(walk.known, None)) is not None:
            return known
        if walk.redrives:
            context["Execution"]["RedriveCount"] = walk.redrives
        walk.arn = None
        try:
            result = original(*arguments)
        finally:
            walk.arn = arn
            _end_if_overtaken(walk, redrives)
        ended[arn].append(result)
        return result

    for state in ("pass", "task", "choice", "wait", "parallel", "map"):
        around(stepfunctions, f"_execute_{state}")(enter)


def _end_when_a_retry_is_overtaken(walk: threading.local, redrives: dict[str, int]) -> None:
    @around(stepfunctions, "_find_matching_retrier")
    def retry(original: Callable[..., Any], *arguments: Any) -> Any:
        found = original(*arguments)
        # The wait for the retry is over, and with it the execution may be.
        if hasattr(walk, "execution"):
            _end_if_overtaken(walk, redrives)
        return found


def _end_if_overtaken(walk: threading.local, redrives: dict[str, int]) -> None:
    """End the walk, and with it its thread alone, if its execution was stopped or redriven meanwhile."""
    arn = walk.execution
    if redrives.get(arn, 0) != walk.redrives or stepfunctions._executions[arn]["status"] != "RUNNING":
        raise SystemExit


def _tell_how_often_an_execution_was_redriven(redrives: dict[str, int]) -> None:
    @around(stepfunctions, "_describe_execution")
    def describe(original: Callable[..., Any], data: dict[str, Any]) -> Any:
        status, headers, body = original(data)
        count = {"redriveCount": redrives.get(data["executionArn"], 0)} if status == 200 else {}  # noqa: PLR2004
        return status, headers, json.dumps(json.loads(body) | count).encode()

    @around(eventbridge, "_put_events")
    def put(original: Callable[..., Any], data: dict[str, Any], **named: Any) -> Any:
        for entry in data["Entries"]:
            if entry.get("DetailType") == "Step Functions Execution Status Change":
                detail = json.loads(entry["Detail"])
                count = redrives.get(detail.get("executionArn"), 0)
                entry["Detail"] = json.dumps(detail | {"redriveCount": count})
        return original(data, **named)


def _let_schedules_have_a_time_zone() -> None:
    """Give a schedule of EventBridge Scheduler the time zone that it is made with.

    Gap: CloudFormation leaves the zone out, and takes no notice of a schedule that is refused; any zone is taken.
    Mend: it is passed on, one that there is not is refused, and with it the stack. When a cron(…) is due is still told
    in UTC.
    """

    def put(operation: Callable[..., Any], name: str, properties: Any) -> tuple[str, dict[str, str]]:
        status, _, answer = operation(name, properties)
        if status >= HTTPStatus.BAD_REQUEST:
            raise ValueError(json.loads(answer).get("message"))
        return name, {"Arn": json.loads(answer)["ScheduleArn"]}

    def update(name: str, _old: Any, properties: Any, _stack: str) -> tuple[str, dict[str, str]]:
        return put(scheduler._update_schedule, name, properties)

    def create(_logical_id: str, properties: Any, _stack: str) -> tuple[str, dict[str, str]]:
        return put(scheduler._create_schedule, properties["Name"], properties)

    provisioners._RESOURCE_HANDLERS["AWS::Scheduler::Schedule"] |= {"create": create, "update": update}

    def checked(original: Callable[..., Any], name: str, body: dict[str, Any]) -> Any:
        zone = body.get("ScheduleExpressionTimezone", "UTC")
        if zone not in available_timezones():
            return error_response_json("ValidationException", f"The time zone {zone} is not valid.", 400)
        return original(name, body)

    for operation in ("_create_schedule", "_update_schedule"):
        around(scheduler, operation)(checked)


def _tell_a_schedules_target_which_time_it_is_for() -> None:
    """Replace the keywords in the input of a schedule's target.

    Gap: <aws.scheduler.scheduled-time> and the like stay as they are.
    Mend: those that this application uses are replaced.
    """

    @around(eventbridge, "_invoke_target")
    def invoke_target(original: Callable[..., Any], target: Any, event: Any, *others: Any, **named: Any) -> Any:
        if event.get("Source") == "aws.scheduler" and "Input" in target:
            due = datetime.fromtimestamp(event["Time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            keywords = {"scheduled-time": due, "schedule-arn": event["Resources"][0]}
            written = target["Input"]
            for keyword, value in keywords.items():
                written = written.replace(f"<aws.scheduler.{keyword}>", value)
            target = {**target, "Input": written}
        return original(target, event, *others, **named)


def _take_saved_queries() -> None:
    """Deploy a stack that saves queries of its logs.

    Gap: AWS::Logs::QueryDefinition is no type of resource, which refuses the whole template.
    Mend: it is one, of which nothing is kept: there is nothing here that runs such queries.
    """

    def keep(logical_id: str, _properties: Any, stack: str) -> tuple[str, dict[str, str]]:
        return f"{stack}-{logical_id}", {}

    def change(name: str, *_: Any) -> tuple[str, dict[str, str]]:
        return name, {}

    handler = {"create": keep, "update": change, "delete": lambda *_: None}
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = handler
