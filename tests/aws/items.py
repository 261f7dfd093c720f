"""What only AWS can tell, one function for each question. Its first line says what the application relies on.

A function does what can be done, and returns what AWS showed. Whatever cannot be seen with this stack says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from execution_input import USUAL_TIMEOUT_SECONDS
from tests.aws.stack import Stack, pause, unique_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from local.executions import Execution

SAMPLE = {"spname": "public.sp_etl_log_etl_event", "event_message": "make test-aws"}
"""Adds a row to public.etl_events, with the message."""
CALL_WITH_RESULT = {"spname": "public.sp_test_aws_out", "arguments": ["said"]}
TYPED: list[object] = [
    {"value": 5, "type": "integer"},
    {"value": True, "type": "boolean"},
    {"value": "2026-11-25", "type": "date"},
    "text",
]
UNTYPED: list[object] = [5, True, "2026-11-25", "text"]
# "FNV_HASH function" in the Redshift database developer guide.
_FNV_HASH_OF_ONE = -5968735742475085980
# The sample procedure takes less than a second, in which its execution is to be stopped.
_TRIES_TO_STOP = 5
_SECONDS_TO_CANCEL = 120


class Outcome(StrEnum):
    """What a look at AWS came to."""

    CONFIRMED = "confirmed"
    OTHERWISE = "otherwise"
    NOT_SEEN = "could not be seen"


@dataclass(frozen=True)
class Verdict:
    """What AWS showed; of anything but a confirmation also what that means for this application, or what to do."""

    outcome: Outcome
    seen: str
    means: str = ""


def confirmed(seen: str) -> Verdict:
    """It is as the application relies on."""
    return Verdict(Outcome.CONFIRMED, seen)


def otherwise(seen: str, means: str) -> Verdict:
    """It is not."""
    return Verdict(Outcome.OTHERWISE, seen, means)


def not_seen(why: str, to_do: str) -> Verdict:
    """This stack, or this run, cannot show it."""
    return Verdict(Outcome.NOT_SEEN, why, to_do)


def completion_event(stack: Stack) -> Verdict:
    """Redshift's event resumes the task, on a cluster as on Serverless."""
    execution = stack.call(SAMPLE)
    kind = "Serverless" if stack.login.get("WORKGROUP_NAME") else "a cluster"
    if execution.status != "SUCCEEDED":
        return _missing_procedure(execution) or otherwise(
            f"on {kind} the sample procedure ended with {_told(execution)}",
            "see docs/deploying.md, Grants; ExecuteStatement refused on a workgroup means that its ARN is another",
        )
    seconds = stack.seconds(execution)
    if seconds >= USUAL_TIMEOUT_SECONDS:
        return otherwise(
            f"on {kind} the task ended after {seconds:.0f} s, its timeout",
            "the event did not match the rule: each statement waits for its timeout. Compare the rule's pattern",
        )
    return confirmed(f"on {kind} the execution took {seconds:.1f} s, where it would wait {USUAL_TIMEOUT_SECONDS:,} s")


def failed_statement(stack: Stack) -> Verdict:
    """The event of a statement that failed resumes the task too, with Redshift's own message."""
    name = unique_name("public.sp_test_aws_missing")
    execution = stack.call({"spname": name, "arguments": []})
    if execution.error == "ProcedureNotAllowed":
        return not_seen("AllowedProcedures lets no such name through", "deploy with AllowedProcedures=*")
    if execution.error == "StatementFailed" and stack.seconds(execution) < USUAL_TIMEOUT_SECONDS:
        return confirmed(f"{_told(execution)}, after {stack.seconds(execution):.1f} s")
    return otherwise(
        f"{_told(execution)}, after {stack.seconds(execution):.1f} s",
        "a failure is noticed late, or under another name than the README's",
    )


def failure_while_submitting(stack: Stack) -> Verdict:
    """A task can be failed by its token while the function that holds it still runs."""
    execution = stack.call({"spname": 5})
    seconds = stack.seconds(execution)
    if execution.error != "InvalidInput" or seconds >= USUAL_TIMEOUT_SECONDS:
        return otherwise(
            f"{_told(execution)}, after {seconds:.1f} s",
            "a bad input waits for its timeout before it is noticed",
        )
    # This state opens the JSON that Lambda makes of an exception, and nothing else leads to it.
    if "Read Exception" in stack.states_entered(execution):
        return otherwise(
            f"InvalidInput after {seconds:.1f} s, from an exception: the token was not taken",
            "nothing is lost, as the function then raises the failure that it could not tell by its token",
        )
    return confirmed(f"InvalidInput after {seconds:.1f} s, by the token")


def login(stack: Stack) -> Verdict:
    """Without a secret and a DbUser, Redshift logs the functions in as a user named after their role."""
    if stack.login.get("DB_SECRET_ARN") or stack.login.get("DB_USER"):
        return not_seen("the stack logs in with DbSecretArn or DbUser", "deploy a stack without either")
    execution = stack.call(SAMPLE)
    role = stack.outputs["StatementRoleName"]
    if execution.status == "SUCCEEDED":
        return confirmed(f"the sample procedure ran for the role {role}")
    return _missing_procedure(execution) or otherwise(_told(execution), f'is the user not "IAMR:{role}"?')


def typed_arguments(stack: Stack) -> Verdict:
    """A CALL finds its procedure by arguments that name their type."""
    return _called_with(stack, TYPED, "an argument with a type does not help: bind it as text")


def untyped_arguments(stack: Stack) -> Verdict:
    """A CALL finds its procedure by arguments that are JSON's numbers and booleans alone."""
    advice = 'give such arguments a type, {"value": 5, "type": "integer"}: docs/procedures.md'
    return _called_with(stack, UNTYPED, advice)


def out_parameters(stack: Stack) -> Verdict:
    """OUT parameters are a result of one row."""
    execution = stack.call(CALL_WITH_RESULT)
    if execution.status != "SUCCEEDED":
        return _missing_procedure(execution) or otherwise(_told(execution), "OUT parameters cannot be read")
    result = execution.output.get("result")
    if result == {"p_count": 7, "p_said": "said"}:
        return confirmed(f"result: {result}, rows: {execution.output['rows']}")
    return otherwise(f"the output is {execution.output}", "compare with docs/procedures.md")


def content_length(stack: Stack) -> Verdict:
    """A verbose manifest's content_length is the size of the object, its record_count the rows of the file."""
    execution, unloaded = stack.unload(f"SELECT {stack.columns(number='1')}")
    if unloaded.manifest is None:
        return _no_unload(execution)
    listed = unloaded.read_manifest().files
    rows = {file.key: (file.rows, unloaded.rows.get(file.key)) for file in listed}
    if not rows or any(counted != there for counted, there in rows.values()):
        return otherwise(f"rows listed and rows there: {rows}", "every load fails with ManifestMismatch")
    sizes = {file.key: (file.bytes, unloaded.sizes[file.key]) for file in listed}
    if any(said != size for said, size in sizes.values()):
        return otherwise(
            f"content_length and size: {sizes}", "loads go on by their rows, each with a warning in the log"
        )
    return confirmed(f"{len(listed)} files, each of the size and the rows that the manifest says")


def manifest_types(stack: Stack) -> Verdict:
    """The manifest names the types of SUPER and CHAR columns `super` and `character`."""
    columns = stack.columns(document="JSON_PARSE('[1]')", code="CAST('a' AS CHAR(5))")
    execution, unloaded = stack.unload(f"SELECT {columns}")
    if unloaded.manifest is None:
        return _no_unload(execution)
    manifest, seen = unloaded.read_manifest(), f"the manifest's schema: {unloaded.schema}"
    if "document" in manifest.super_columns and "code" in manifest.char_columns:
        return confirmed(seen)
    return otherwise(
        seen,
        "add the words to _SUPER_TYPES and _CHAR_TYPES of functions/unload/manifest.py; Parquet tells SUPER as well",
    )


def no_rows(stack: Stack) -> Verdict:
    """An UNLOAD of no rows is a load of no rows, whatever it leaves in the bucket."""
    execution, unloaded = stack.unload(f"SELECT {stack.columns()} WHERE 1 = 0")
    left = f"in the bucket: {unloaded.sizes or 'nothing'}, manifest: {unloaded.manifest!r}"
    if execution.status == "SUCCEEDED" and execution.output["rows"] == 0:
        return confirmed(left)
    return otherwise(f"{_told(execution)}; {left}", "a table without rows cannot be loaded")


def null_super(stack: Stack) -> Verdict:
    """A SUPER that is SQL NULL is left out of the item, JSON null inside a document stays."""
    execution, unloaded = stack.unload(
        "SELECT "
        + stack.columns(
            sql_null="CAST(NULL AS SUPER)",
            json_null="JSON_PARSE('null')",
            document="""JSON_PARSE('{"a": null}')""",
        )
    )
    if execution.status != "SUCCEEDED" or not unloaded.files:
        return _no_unload(execution)
    (row,) = next(iter(unloaded.files.values())).to_pylist()
    seen = (
        f"in Parquet, SQL NULL is {row['sql_null']!r}, JSON null {row['json_null']!r}, a document {row['document']!r}"
    )
    if row["sql_null"] in (None, "null") and json.loads(row["document"]) == {"a": None}:
        return confirmed(f"{seen}; either way of writing NULL is left out")
    return otherwise(seen, "compare with docs/loading.md, the table of types")


def buckets(stack: Stack) -> Verdict:
    """A load that compares counts its rows, hashes their keys with FNV_HASH, and unloads to a folder of each bucket."""
    columns = stack.columns(
        changed_at="TIMESTAMP '2026-11-26 03:00:00.5'",
        of_null="FNV_HASH(CAST(NULL AS INTEGER))",
        of_one="FNV_HASH(1)",
    )
    asked = {"mode": "changes", "incremental": {"column": "changed_at", "overlap_seconds": 60}}
    execution, unloaded = stack.unload(f"SELECT {columns}", **asked)
    if unloaded.manifest is None:
        return _no_unload(execution)
    folders = {file.key.rsplit("/", 2)[1] for file in unloaded.read_manifest().files if file.rows}
    (row,) = [row for file in unloaded.files.values() for row in file.to_pylist()]
    seen = (
        f"{_told(execution)}; folders: {sorted(folders)}, load_hash {row.get('load_hash')}, FNV_HASH(1) is "
        f"{row['of_one']}, of NULL {row['of_null']}; the manifest's schema: {unloaded.schema}"
    )
    if execution.status == "SUCCEEDED" and folders == {"load_bucket=0"} and row["of_one"] == _FNV_HASH_OF_ONE:
        return confirmed(seen)
    return otherwise(seen, "the modes changes and mirror, and unique, do not work as docs/refreshing.md says")


def one_row_loaded(stack: Stack) -> Verdict:
    """A SUPER column becomes maps and lists, and the target's key of KMS lets the loaders write. (Writes one item.)"""
    dynamodb, table = stack.client("dynamodb"), stack.outputs["TargetTableName"]
    document = """JSON_PARSE('{"colours": ["red"], "price": 1.10}')"""
    described = dynamodb.describe_table(TableName=table)["Table"]
    types = {entry["AttributeName"]: entry["AttributeType"] for entry in described["AttributeDefinitions"]}
    key = {
        entry["AttributeName"]: {"S": "test-aws"} if types[entry["AttributeName"]] == "S" else {"N": "1"}
        for entry in described["KeySchema"]
    }
    if "Item" in dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True):
        return not_seen(f"the table holds an item with the key {key}, which must not be lost", "load another table")
    execution = stack.load({"query": f"SELECT {stack.columns(test_aws_document=document)}"})
    if execution.status != "SUCCEEDED":
        return otherwise(_told(execution), "see docs/operating.md")
    item = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    dynamodb.delete_item(TableName=table, Key=key)
    key_of_table = described.get("SSEDescription", {}).get("KMSMasterKeyArn", "AWS's own")
    loaded = item.get("test_aws_document")
    if loaded == {"M": {"colours": {"L": [{"S": "red"}]}, "price": {"N": "1.1"}}}:
        return confirmed(
            f"the item was a map of a list and a number, and is deleted; the table's key is {key_of_table}"
        )
    return otherwise(
        f"the item's SUPER column is {loaded}", "SUPER is loaded as text: its type is known by neither name"
    )


def spent_client_token(stack: Stack) -> Verdict:
    """A client token whose ExecuteStatement was refused may be used again."""
    data_api = stack.client("redshift-data", stack.login.get("REDSHIFT_REGION") or None)
    names = {
        "Database": "REDSHIFT_DB_NAME",
        "ClusterIdentifier": "CLUSTER_IDENTIFIER",
        "WorkgroupName": "WORKGROUP_NAME",
        "SecretArn": "DB_SECRET_ARN",
        "DbUser": "DB_USER",
    }
    request = {field: stack.login[variable] for field, variable in names.items() if stack.login.get(variable)}
    request["ClientToken"] = unique_name("test-aws")
    try:
        data_api.execute_statement(**request, Sql="SELECT :missing", Parameters=[{"name": "other", "value": "1"}])
    except data_api.exceptions.ValidationException as refusal:
        refused = str(refusal)
    else:
        return not_seen("a statement with a parameter too many was not refused", "nothing: no call failed")
    try:
        statement = data_api.execute_statement(**request, Sql="SELECT 1")["Id"]
    except data_api.exceptions.ValidationException as refusal:
        return otherwise(f"after {refused!r}: {refusal}", "a task whose submission was refused once keeps failing")
    return confirmed(f"after {refused!r} the same token started statement {statement}")


def lost_event(stack: Stack) -> Verdict:
    """A task that hears nothing finds its statement again, which runs once. (Disables the stack's rule meanwhile.)"""
    timeout = 10 if stack.imitation else 60
    sample = {**_unique_sample(), "timeout_seconds": timeout}
    events, rule = stack.client("events"), stack.physical_ids["EventBridgeRedshiftEventRule"]
    events.disable_rule(Name=rule)
    try:
        # Rules change within a minute or so, says EventBridge's guide.
        pause(0 if stack.imitation else 60)
        execution = stack.call(sample)
    finally:
        events.enable_rule(Name=rule)
    if execution.status == "SUCCEEDED" and stack.seconds(execution) < timeout:
        return not_seen("the event came though the rule was disabled", "run this item again")
    return _once(stack, execution, sample)


def redrive(stack: Stack) -> Verdict:
    """An execution that is stopped and redriven finds its statement again, which runs once."""
    states = stack.client("stepfunctions")
    for _ in range(_TRIES_TO_STOP):
        sample = _unique_sample()
        arn = stack.start_call(sample)
        stack.wait_for_statement(arn)
        states.stop_execution(executionArn=arn)
        stopped = stack.wait(arn)
        if stopped.status == "ABORTED":
            break
    else:
        return not_seen(f"the executions ended before they could be stopped: {_told(stopped)}", "run this item again")
    try:
        states.redrive_execution(executionArn=arn)
    except states.exceptions.ClientError as error:
        return not_seen(f"no redrive: {error}", "try it on AWS")
    return _once(stack, stack.wait(arn), sample)


def stop(stack: Stack) -> Verdict:
    """The statement of an execution that is stopped is cancelled within two minutes."""
    states = stack.client("stepfunctions")
    for _ in range(_TRIES_TO_STOP):
        arn = stack.start_call(_unique_sample())
        stack.wait_for_statement(arn)
        states.stop_execution(executionArn=arn)
        if stack.wait(arn).status != "ABORTED":
            continue
        statuses = {row["status"] for row in stack.ended_statements(arn, _SECONDS_TO_CANCEL)}
        if "ABORTED" in statuses:
            return confirmed("Redshift says that the statement was aborted")
        if not statuses:
            return otherwise(
                f"the statement's end was not noted within {_SECONDS_TO_CANCEL} seconds",
                "the watchdog will, within five minutes: see why the status event did not come, or StopExecution fails",
            )
    return not_seen("the statements ended before they could be cancelled", "run this item again")


def inside_a_vpc(stack: Stack) -> Verdict:
    """Functions inside a VPC need endpoints for redshift-data, states, dynamodb and s3 alone."""
    function = stack.physical_ids["RedshiftRunSpsFunction"]
    settings = stack.client("lambda").get_function_configuration(FunctionName=function)
    if not settings.get("VpcConfig", {}).get("SubnetIds"):
        return not_seen("the functions are outside of a VPC", "deploy with SubnetIds of a VPC without a NAT gateway")
    execution = stack.call(SAMPLE)
    tracing = settings.get("TracingConfig", {}).get("Mode", "PassThrough")
    if execution.status == "SUCCEEDED":
        return confirmed(f"the sample procedure ran in {settings['VpcConfig']['SubnetIds']}, tracing: {tracing}")
    return otherwise(f"{_told(execution)}; tracing: {tracing}", "an endpoint is missing")


def throttled_target(_stack: Stack) -> Verdict:
    """A load goes on, more slowly, while its target throttles."""
    return not_seen(
        "this takes a table of your own, a few write units wide, and rows that you can spare",
        "give its table 50 provisioned write units and load 100,000 rows: rows_written must be rows_unloaded, and the"
        " ledger's writeUnits grow by about 50 per second",
    )


ITEMS: dict[str, Callable[[Stack], Verdict]] = {
    "completion-event": completion_event,
    "failed-statement": failed_statement,
    "failure-while-submitting": failure_while_submitting,
    "login": login,
    "typed-arguments": typed_arguments,
    "untyped-arguments": untyped_arguments,
    "out-parameters": out_parameters,
    "content-length": content_length,
    "manifest-types": manifest_types,
    "no-rows": no_rows,
    "null-super": null_super,
    "buckets": buckets,
    "one-row-loaded": one_row_loaded,
    "spent-client-token": spent_client_token,
    "lost-event": lost_event,
    "redrive": redrive,
    "stop": stop,
    "inside-a-vpc": inside_a_vpc,
    "throttled-target": throttled_target,
}
"""In the order to try them in."""

ONLY_BY_NAME = frozenset({"one-row-loaded", "lost-event"})
"""One writes an item to the target, one disables the stack's rule for a minute or two."""


def _called_with(stack: Stack, arguments: list[object], means: str) -> Verdict:
    execution = stack.call({"spname": "public.sp_test_aws_types", "arguments": arguments})
    if execution.status == "SUCCEEDED":
        return confirmed("(INTEGER, BOOLEAN, DATE, VARCHAR) was found and ran")
    # Redshift says the same of a procedure that isn't there and of one that the arguments don't fit.
    neighbour = stack.call(CALL_WITH_RESULT)
    return _missing_procedure(neighbour) or otherwise(_told(execution), means)


def _missing_procedure(execution: Execution) -> Verdict | None:
    """Whether there is no such procedure at all, or none that this user may call."""
    if execution.error == "ProcedureNotAllowed" or "permission denied" in execution.cause:
        return not_seen(_told(execution), "allow the procedure, and grant EXECUTE on it")
    if "sp_" in execution.cause and "does not exist" in execution.cause:
        return not_seen(
            _told(execution),
            "run scripts/sp_etl_log_etl_event.sql and tests/aws/procedures.sql on the database first",
        )
    return None


def _no_unload(execution: Execution) -> Verdict:
    return not_seen(f"nothing was unloaded: {_told(execution)}", "see docs/deploying.md, The role for UNLOAD")


def _unique_sample() -> dict[str, str]:
    return SAMPLE | {"event_message": unique_name("make test-aws")}


def _once(stack: Stack, execution: Execution, sample: Mapping[str, Any]) -> Verdict:
    """Whether a call of the sample procedure succeeded and ran once, by the rows that it has added."""
    seen = f"{_told(execution)} after {stack.seconds(execution):.0f} s"
    if execution.status != "SUCCEEDED":
        return _missing_procedure(execution) or otherwise(
            seen, "a task that is tried again does not find its statement"
        )
    counting, _ = stack.unload(
        f"SELECT {stack.columns()} FROM public.etl_events WHERE event_message = '{sample['event_message']}'"
    )
    if counting.status != "SUCCEEDED":
        return not_seen(f"{seen}; its rows cannot be read: {_told(counting)}", "grant SELECT on public.etl_events")
    seen += f", rows that it has added: {counting.output['rows']}"
    if counting.output["rows"] == 1:
        return confirmed(seen)
    return otherwise(seen, "a task that is tried again runs its statement again")


def _told(execution: Execution) -> str:
    return execution.status if execution.status == "SUCCEEDED" else f"{execution.error}: {execution.cause[:300]}"
