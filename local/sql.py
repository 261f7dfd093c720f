"""`python -m local.sql "SELECT …"`: SQL on the local Redshift that `make local` has left running, as its superuser."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from local.data_api import DataApi, SqlFailedError
from local.redshift.api.target import CLUSTER_IDENTIFIER
from local.redshift.sql import lexer
from local.stack import DATABASE, SECRET_NAME


def main() -> int:
    """Run the statements one after another, print their rows as JSON, one a line; return 1 if one fails.

    How many have run is said on standard error, so that the rows stay JSON.
    """
    parser = argparse.ArgumentParser(prog="python -m local.sql", description="Runs SQL on the local Redshift.")
    parser.add_argument("sql", help="statements with ; between them, or a file of them (*.sql)")
    given = parser.parse_args().sql
    if "AWS_ENDPOINT_URL" not in os.environ:
        parser.error("AWS_ENDPOINT_URL is not set: paste what make local has printed")
    try:
        text = Path(given).read_text(encoding="utf-8") if given.endswith(".sql") else given
        secret = boto3.client("secretsmanager").describe_secret(SecretId=SECRET_NAME)["ARN"]
        connection = {"ClusterIdentifier": CLUSTER_IDENTIFIER, "Database": DATABASE, "SecretArn": secret}
        data_api = DataApi(boto3.client("redshift-data"), connection)
        statements = lexer.statements(text)
        for statement in statements:
            for row in data_api.rows(statement):
                print(json.dumps(row, ensure_ascii=False, default=str))
    except (OSError, SqlFailedError, BotoCoreError, ClientError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"done: {len(statements):,} statement{'' if len(statements) == 1 else 's'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
