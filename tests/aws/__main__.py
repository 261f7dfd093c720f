"""`python -m tests.aws --stack NAME [--items …]`: ask AWS what its documents leave open, by a stack in your account.

Runs with the credentials and the region of the AWS SDKs' usual settings. Prints a verdict for each item; the exit
code is 1 if AWS showed anything otherwise than this application relies on.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from typing import TYPE_CHECKING

import boto3
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from errors import PipelineError
from local.executions import ExecutionDidNotEndError
from tests.aws.items import ITEMS, ONLY_BY_NAME, Outcome, not_seen, otherwise
from tests.aws.stack import NoSuchStackError, Stack

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the items; return 0, 1 if something is otherwise, or 2 if the stack can't be used at all."""
    parser = argparse.ArgumentParser(prog="make test-aws", description=__doc__.splitlines()[0])
    parser.add_argument("--stack", required=True, help="the stack's name")
    parser.add_argument(
        "--items", nargs="*", choices=sorted(ITEMS), default=sorted(ITEMS.keys() - ONLY_BY_NAME, key=list(ITEMS).index)
    )
    given = parser.parse_args(arguments)
    try:
        stack = Stack(boto3.Session(), given.stack)
    except (BotoCoreError, ClientError, NoSuchStackError) as error:
        print(f"{given.stack} can't be used: {error}", file=sys.stderr)
        return 2
    if stack.imitation:
        print(f"{stack.imitation} is an imitation: this shows that the program works, and nothing about AWS.\n")
    outcomes = [tried(stack, item) for item in given.items]
    print(", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in Outcome))
    return 1 if Outcome.OTHERWISE in outcomes else 0


def tried(stack: Stack, item: str) -> Outcome:
    """Try an item, and print what came of it."""
    print(f"{item}: {(ITEMS[item].__doc__ or '').splitlines()[0]}", flush=True)
    try:
        verdict = ITEMS[item](stack)
    except (BotoCoreError, ClientError) as error:
        verdict = not_seen(f"{type(error).__name__}: {error}", "use credentials that may do this")
    except ExecutionDidNotEndError as error:
        verdict = otherwise(str(error), "a task waits for an event that does not come")
    except PipelineError as error:
        verdict = otherwise(f"{type(error).__name__}: {error}", "loads fail with this error")
    except (LookupError, TypeError, ValueError, pa.ArrowException) as error:
        traceback.print_exc()
        verdict = otherwise(
            f"{type(error).__name__}: {error}", "AWS answers in a form that is unknown here: see the traceback"
        )
    print(f"  {verdict.outcome}: {verdict.seen}")
    if verdict.means:
        print(f"  {'to do' if verdict.outcome is Outcome.NOT_SEEN else 'means'}: {verdict.means}")
    print(flush=True)
    return verdict.outcome


if __name__ == "__main__":
    sys.exit(main())
