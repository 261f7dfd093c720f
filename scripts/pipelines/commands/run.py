"""`run`: start a procedure or a load, and watch it."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from aws_errors import named_failures
from errors import InvalidInput
from execution_input import parse_input
from scripts.pipelines import documents
from scripts.pipelines.commands.watch import every_option, follow
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.runs.model import Pipeline
from statements.procedure_call import ProcedureRequest
from unload.request import LoadRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from io import TextIOBase

    from execution_input import ExecutionInput


@click.group(
    epilog=examples(
        'run procedure public.sp_etl_log_etl_event --message "ETL started"',
        "run load --table public.orders --dry-run",
    ),
)
def command() -> None:
    """Start a stored procedure or a load, and watch it until it ends.

    The input is checked here first, by the very rules of the functions, so that a mistake sends no mail.
    """


def _common(function: Callable[..., None]) -> Callable[..., None]:
    """The options of both kinds of runs."""
    options = [
        click.option(
            "--input",
            "payload",
            type=click.File(encoding="utf-8"),
            metavar="FILE",
            help="The input as JSON (-: standard input), to which options add",
        ),
        click.option(
            "--set", "settings", multiple=True, metavar="FIELD=JSON", help="Any field of the input, such as wait=true"
        ),
        click.option("--name", metavar="NAME", help="The run's name, once in 90 days  [default: made of the time]"),
        click.option("--no-watch", is_flag=True, help="Return as soon as it is started"),
        every_option,
    ]
    for option in reversed(options):
        function = option(function)
    return function


@command.command(
    epilog=examples(
        'run procedure public.sp_etl_log_etl_event --message "ETL started"',
        "run procedure etl.sp_close_month --argument '\"2026-11\"' --argument 5:integer",
        "run procedure --input events/redshift_run_sps.json",
    ),
)
@click.argument("spname", required=False, metavar="[NAME]")
@click.option("--message", help="Its one argument, a text")
@click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="JSON[:TYPE]",
    help="An argument in JSON, with the type that Redshift shall take it for",
)
@click.option("--singleton", metavar="NAME", help="Run only if no other run with this singleton does")
@_common
@pass_context
def procedure(
    context: Context,
    /,
    spname: str | None,
    message: str | None,
    arguments: Sequence[str],
    singleton: str | None,
    **common: Any,
) -> None:
    """Run a stored procedure.

    NAME is as Redshift has it, with its schema. Fields of the input: docs/procedures.md.
    """
    fields = {
        "spname": spname,
        "event_message": message,
        "arguments": [_argument(text) for text in arguments] or None,
        "singleton": singleton,
    }
    document = _document(common.pop("payload"), common.pop("settings"), fields)
    _start(context, Pipeline.PROCEDURE, ProcedureRequest, document, **common)


@command.command(
    epilog=examples(
        "run load",
        "run load --table public.orders --columns order_id,total --where \"order_date >= '2026-01-01'\"",
        "run load --query 'SELECT * FROM orders' --target-table orders --mode changes",
        "run load --dry-run",
        "run load --resume nightly-2026-11-22-0f1e2d3c --rejects-allowed 100",
        "run load --input events/redshift_to_dynamo_mirror.json",
    ),
)
@click.option("--query", help="What to unload  [default: the stack's UnloadQuery]")
@click.option("--table", help="Or a table of Redshift, with its schema")
@click.option("--columns", metavar="NAME,NAME…", help="Only these columns of the table")
@click.option("--where", metavar="SQL", help="Only its rows for which this holds")
@click.option("--target-table", metavar="NAME", help="The DynamoDB table to load  [default: the stack's own]")
@click.option(
    "--mode",
    type=click.Choice(["upsert", "changes", "mirror"]),
    help="Write all rows, those that differ, or also delete  [default: upsert]",
)
@click.option("--dry-run", is_flag=True, default=None, help="Unload and report what a load would take; write nothing")
@click.option("--full", is_flag=True, default=None, help="Forget what is known of the table, write every row")
@click.option(
    "--max-write-units",
    "max_write_units_per_second",
    type=int,
    metavar="NUMBER",
    help="Write units a second, all loaders together",
)
@click.option("--loaders", "loader_concurrency", type=int, metavar="NUMBER", help="Loaders at once")
@click.option("--rejects-allowed", type=int, metavar="NUMBER", help="Rejected rows that the load survives")
@click.option("--resume", metavar="LOAD_ID", help="Go on with a load that failed or was stopped")
@_common
@pass_context
def load(context: Context, /, **given: Any) -> None:
    """Load the result of a query into a DynamoDB table.

    Without options, what the stack is configured for. Further fields of the input by --set or --input: docs/loading.md.
    """
    payload, settings = given.pop("payload"), given.pop("settings")
    common = {name: given.pop(name) for name in ("name", "no_watch", "every")}
    if given["columns"] is not None:
        given["columns"] = given["columns"].split(",")
    _start(context, Pipeline.LOAD, LoadRequest, _document(payload, settings, given), **common)


def start_load(context: Context, fields: dict[str, Any], *, name: str | None, every: float) -> None:
    """Start a load with those fields of its input that are not None, and watch it."""
    document = {field: value for field, value in fields.items() if value is not None}
    _start(context, Pipeline.LOAD, LoadRequest, document, name=name, no_watch=False, every=every)


def _start(
    context: Context,
    pipeline: Pipeline,
    model: type[ExecutionInput],
    document: dict[str, Any],
    *,
    name: str | None,
    no_watch: bool,
    every: float,
) -> None:
    parse_input(model, document)
    states = context.stack.client("stepfunctions")
    name = name or f"{pipeline.value}-{datetime.now(UTC):%m%d-%H%M%S}-{secrets.token_hex(2)}"
    with named_failures():
        try:
            states.start_execution(
                stateMachineArn=context.reader.machine(pipeline), name=name, input=json.dumps(document)
            )
        except states.exceptions.ExecutionAlreadyExists:
            raise CommandFailed(f"There is a run {name} already, with another input: give another --name.") from None
    context.screen.line(f"{name} is started on {context.stack.name}.")
    if no_watch:
        context.screen.hint("Watch it", context.command("watch", name))
        if context.as_json:
            context.screen.document(documents.outcome(context.reader.find(name)))
        return
    follow(context, name, every)


def _document(payload: TextIOBase | None, settings: Sequence[str], fields: dict[str, Any]) -> dict[str, Any]:
    """The input: the file's fields, then those of options, then those of --set."""
    document: Any = _json(payload.read(), "The input file") if payload else {}
    if not isinstance(document, dict):
        raise InvalidInput("give a JSON object.")
    document |= {field: value for field, value in fields.items() if value is not None}
    for setting in settings:
        field, _, value = setting.partition("=")
        document[field] = _json(value, f"--set {field}")
    return document


def _argument(text: str) -> Any:
    """An argument as the input has it: JSON alone, or JSON and a type behind the last colon."""
    try:
        return json.loads(text)
    except ValueError:
        value, _, type_name = text.rpartition(":")
        if not value:
            raise InvalidInput(f"--argument {text}: give JSON, a text in double quotes: '\"{text}\"'.") from None
    return {"value": _json(value, f"--argument {text}"), "type": type_name}


def _json(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{what} is no JSON: {error}.") from None
