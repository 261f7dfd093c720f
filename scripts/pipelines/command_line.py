"""The commands together, their common options, and how failures of any of them are told."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from errors import InvalidInput, PipelineError
from scripts.pipelines.context import PROGRAM, STACK_VARIABLE, Context, examples
from scripts.pipelines.failures import CommandFailed
from scripts.pipelines.screen import Screen
from scripts.pipelines.watching import StoppedWatching

RUN_FAILED, USAGE, CANNOT, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0: the run has failed, the call was wrong, AWS or the stack did not answer, Ctrl-C."""

_COMMANDS = ("run", "watch", "list", "why", "rejects", "report", "estimate", "preflight", "stop")


class Commands(click.Group):
    """Imports a command when it is called, and tells its failures without their class names or tracebacks."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """The order in which a person needs them."""
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """The command of a name, each a module of `commands`."""
        if name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"scripts.pipelines.commands.{name}").command
        return command

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Take --json wherever it stands."""
        others = [word for word in args if word != "--json"]
        return super().parse_args(context, others if len(others) == len(args) else ["--json", *others])

    def invoke(self, context: click.Context) -> Any:
        """Run a command; what it ends with becomes words and an exit code."""
        try:
            return super().invoke(context)
        except StoppedWatching:
            code = INTERRUPTED
        except InvalidInput as error:
            code = _refuse(f"The input is not as it should be: {error}", USAGE)
        except (CommandFailed, PipelineError) as error:
            code = _refuse(str(error), CANNOT)
        except (BotoCoreError, ClientError) as error:
            advice = "See that credentials (AWS_PROFILE or --profile) and region (AWS_REGION or --region) are right."
            code = _refuse(f"{error}\n{advice}", CANNOT)
        except KeyboardInterrupt:
            code = _refuse("Interrupted.", INTERRUPTED)
        raise click.exceptions.Exit(code)


def _refuse(words: str, code: int) -> int:
    Screen().refuse(words)
    return code


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        'run procedure public.sp_etl_log_etl_event --message "ETL started"',
        "run load --table public.orders --dry-run",
        "why",
        "COMMAND --help",
    )
    + "\n\nExit codes: 0 all is well, 1 the run has failed (or preflight has found something), 2 the call was wrong, "
    "3 AWS or the stack did not answer as needed, 130 Ctrl-C (a run that was watched goes on).",
)
@click.option("--stack", envvar=STACK_VARIABLE, metavar="NAME", help="The stack  [default: samconfig.toml's]")
@click.option("--region", metavar="REGION", help="Its region  [default: AWS_REGION, the profile's, samconfig.toml's]")
@click.option("--profile", metavar="NAME", help="Credentials  [default: AWS_PROFILE, as boto3 finds them]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of words")
@click.pass_context
def commands(
    context: click.Context, stack: str | None, region: str | None, profile: str | None, *, as_json: bool
) -> None:
    """Run the pipelines of a deployed stack, watch them, and explain what went wrong.

    Everything is found by the stack's name, on AWS as on the local AWS (AWS_ENDPOINT_URL). A RUN is an execution: its
    name as `list` shows it, or its ARN.
    """
    context.obj = Context(stack, region, profile, as_json)


def main() -> None:
    """Run the command that was given."""
    commands(prog_name=PROGRAM)
