"""`estimate`: what a load would take, before anything is unloaded."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from aws_errors import named_failures
from dynamo_load.plan import LoadLimits
from scripts.pipelines import prices
from scripts.pipelines.context import Context, examples, pass_context
from scripts.pipelines.estimating import Asked, estimate
from target.describing import ConfiguredTarget, requested_target
from target.table import WriteCapacity

if TYPE_CHECKING:
    from collections.abc import Sequence

_PERCENT = 100


class Number(click.ParamType):
    """A whole number, also with separators: 1,000,000 or 1_000_000."""

    name = "number"

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> int:
        """Read it."""
        digits = str(value).replace(",", "").replace("_", "")
        if not (digits.isascii() and digits.isdigit() and int(digits)):
            self.fail(f"{value!r} is no whole number above 0.", parameter, context)
        return int(digits)


@click.command(
    short_help="Say what a load would take, before it.",
    epilog=examples(
        "estimate --rows 1,000,000,000 --item-bytes 900",
        "estimate --rows 20,000,000 --item-bytes 900 --mode changes --changed 1 --warm 40,000",
        "estimate --rows 1,000,000 --table orders --max-write-units 2,000",
    ),
)
@click.option("--rows", type=Number(), required=True, metavar="NUMBER", help="Rows of the query")
@click.option("--item-bytes", type=Number(), metavar="NUMBER", help="Size of an item  [default: --table's mean]")
@click.option("--mode", type=click.Choice(["upsert", "changes", "mirror"]), default="upsert", show_default=True)
@click.option("--changed", type=click.FloatRange(0, 100), metavar="PERCENT", help="Rows that differ  [default: 100]")
@click.option("--table", metavar="NAME", help="Take capacity, indexes and item size from this table")
@click.option("--warm", type=Number(), metavar="UNITS", help="Warm throughput  [default: 4,000, a new table's]")
@click.option("--provisioned", type=Number(), metavar="UNITS", help="Provisioned write units instead")
@click.option("--maximum", type=Number(), metavar="UNITS", help="On-demand maximum of the table")
@click.option("--indexes", type=click.IntRange(0, 20), default=0, help="Global secondary indexes that have all items")
@click.option("--max-write-units", type=Number(), metavar="NUMBER", help="Write units a second, all loaders together")
@click.option("--headroom", type=click.FloatRange(0, 0.9), default=0.0, help="Share of the table that is left free")
@click.option("--loaders", type=click.IntRange(1, 10_000), default=4, show_default=True, help="Loaders at once")
@click.option(
    "--price", type=float, default=prices.PER_MILLION_WRITE_UNITS, show_default=True, help="Of a million write units"
)
@pass_context
def command(context: Context, /, **given: Any) -> None:
    """Say what a load would take: minutes, loaders, dollars, each with its formula and its source.

    Nothing is asked of AWS, unless --table is given. A dry run (run load --dry-run) knows more: it unloads the rows and
    counts the write units of a sample.
    """
    if given["mode"] == "upsert" and given["changed"] not in (None, _PERCENT):
        raise click.UsageError("The mode upsert writes every row: give --changed with --mode changes or mirror.")
    capacity = WriteCapacity(given["provisioned"], given["maximum"], given["warm"])
    indexes, item_bytes = given["indexes"], given["item_bytes"]
    if given["table"]:
        described, indexes, mean = _described(context, given["table"])
        capacity = replace(described, warm=given["warm"] or described.warm)
        item_bytes = item_bytes or mean
    if not item_bytes:
        raise click.UsageError("Give --item-bytes: an item's size in bytes, with its attributes' names.")
    limits = LoadLimits(given["max_write_units"] or 0, given["loaders"], 0, given["headroom"])
    share = (_PERCENT if given["changed"] is None else given["changed"]) / _PERCENT
    asked = Asked(given["rows"], item_bytes, given["mode"], share, indexes, given["price"])
    figures = estimate(asked, limits, capacity)
    if context.as_json:
        context.screen.document([asdict(figure) for figure in figures])
        return
    context.screen.pairs([(figure.name, f"{figure.words} = {figure.formula}") for figure in figures])
    context.screen.line()
    context.screen.line("Where that comes from:", style="dim")
    context.screen.pairs([(figure.name, figure.source) for figure in figures])


def _described(context: Context, table: str) -> tuple[WriteCapacity, int, int]:
    """A table's capacity, its global indexes, and the mean size of its items (0: it has none).

    DynamoDB counts items and bytes every six hours or so.
    """
    dynamodb = context.stack.client("dynamodb")
    capacity = requested_target(dynamodb, table, ConfiguredTarget(table), ()).capacity
    with named_failures():
        description = dynamodb.describe_table(TableName=table)["Table"]
    indexes: Sequence[Any] = description.get("GlobalSecondaryIndexes", ())
    items = description.get("ItemCount", 0)
    return capacity, len(indexes), round(description.get("TableSizeBytes", 0) / items) if items else 0
