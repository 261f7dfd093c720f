"""`python -m local.serve`: the application deployed to a local AWS and left running, until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local import reviews_table
from local.data_api import DataApi, SqlFailedError
from local.demo.stored_procedures import PROCEDURE
from local.redshift.api.target import CLUSTER_IDENTIFIER
from local.stack import PROJECT, STACK_NAME, LocalAws, LocalAwsError, deploy

if TYPE_CHECKING:
    from collections.abc import Mapping

REVIEWS = 20_000
PROGRAM = "python -m scripts.pipelines"
PROCEDURE_NAME = "public.sp_etl_log_etl_event"


def main() -> int:
    """Start, deploy, say how to use it, wait for Ctrl-C or SIGTERM; return 1 with the reason if it can't start."""
    stop = stop_signalled()
    try:
        with LocalAws() as aws:
            outputs = deploy(aws, report=partial(print, flush=True))
            print(f"{PROCEDURE.relative_to(PROJECT)}, and {REVIEWS:,} reviews for {reviews_table.NAME}")
            DataApi(aws.client("redshift-data"), aws.redshift_connection).run_script(PROCEDURE)
            reviews_table.fill(aws, REVIEWS)
            print(_instructions(aws, outputs), flush=True)
            stop.wait()
    except (LocalAwsError, SqlFailedError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    print("stopped; nothing is left running")
    return 0


def stop_signalled() -> threading.Event:
    """Set at Ctrl-C or SIGTERM, which is said at once: to stop takes many seconds, and to start is not broken off."""
    stop = threading.Event()

    def note(*_: object) -> None:
        stop.set()
        # Not by print, which may be at work on a line of its own when the signal comes.
        os.write(sys.stdout.fileno(), "\nstopping …\n".encode())

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    return stop


def _instructions(aws: LocalAws, outputs: Mapping[str, str]) -> str:
    variables = aws.environment | {"PIPELINES_STACK": STACK_NAME}
    exports = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
    items = f"boto3.client('dynamodb').scan(TableName='{outputs['TargetTableName']}', Limit=3)['Items']"
    # S608: the SQL in this text is for reading.
    return f"""
The stack {STACK_NAME} runs on {aws.endpoint_url}. In another terminal, in this folder:

{exports}
export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH

# Run a stored procedure, and see what came of it:
{PROGRAM} run procedure {PROCEDURE_NAME} --message 'ETL Load Process started'
python -m local.sql 'SELECT * FROM public.etl_events'

# Load {reviews_table.NAME} into DynamoDB, and look at a few items:
{PROGRAM} run load
python -c "import boto3; print(*{items}, sep='\\n')"

# Let one fail, and have it explained:
{PROGRAM} run load --table public.nowhere
{PROGRAM} why

# More: what there is to do, what has run, a table of your own.
{PROGRAM} --help
{PROGRAM} list
python -m local.sql your_tables.sql

# sam and boto3 follow the same variables, and so does the AWS CLI, if you have it:
sam list stack-outputs --stack-name {STACK_NAME}
sam logs --stack-name {STACK_NAME} --name RedshiftRunSpsFunction --start-time '1 hour ago'

# Deploy a stack of your own here, its layers built for this machine instead of Lambda's. Answer {CLUSTER_IDENTIFIER} to
# ClusterIdentifier; StackPrefix, DynamodbMetaTable and DynamodbTargetTable must not be those of the first stack.
# Then preflight says which GRANT your tables need.
LAYER_PLATFORM=host sam build --no-cached --build-dir .aws-sam/host
sam deploy --guided --stack-name my-pipelines --template-file .aws-sam/host/template.yaml
{PROGRAM} --stack my-pipelines preflight

Ctrl-C stops all of it."""  # noqa: S608


if __name__ == "__main__":
    sys.exit(main())
