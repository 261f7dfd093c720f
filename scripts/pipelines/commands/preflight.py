"""`preflight`: whether all is as the stack needs it, and what mends what isn't."""

from __future__ import annotations

from dataclasses import asdict

import click

from scripts.pipelines.checking import Checks, Verdict
from scripts.pipelines.context import Context, examples, pass_context


@click.command(
    short_help="Check that the stack has what it needs.",
    epilog=examples(
        "preflight",
        "preflight --target-table orders --query 'SELECT * FROM public.orders'",
        "--json preflight",
    ),
)
@click.option("--query", metavar="SQL", help="Try this query  [default: the stack's UnloadQuery]")
@click.option("--target-table", metavar="NAME", help="For this table  [default: the stack's own]")
@click.option(
    "--every",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look",
)
@pass_context
def command(context: Context, query: str | None, target_table: str | None, every: float) -> None:
    """Check from outside what the stack needs: secret, bucket, tables, keys, Redshift's login, role and grants.

    It describes what there is, and has the stack unload one row of constants and one row of the query, in dry runs,
    which write nothing to the table and leave a few KB under unload/. What is wrong is told with the GRANT, the policy
    statement or the command that mends it. One that fails sends its mail. The exit code is 1 if anything is wrong.
    """
    findings = []
    for finding in Checks(context.stack, context.reader, query, target_table, every).run():
        findings.append(finding)
        words = f"{finding.what}: {finding.found}"
        if finding.verdict is Verdict.WELL:
            context.screen.done(words)
        elif finding.verdict is Verdict.FAULT:
            context.screen.failed(words)
            context.screen.line(finding.mends, indent=4)
        else:
            context.screen.line(f"? {words}", style="yellow")
    if context.as_json:
        context.screen.document([asdict(finding) for finding in findings])
    if any(finding.verdict is Verdict.FAULT for finding in findings):
        raise click.exceptions.Exit(1)
