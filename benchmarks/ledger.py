"""A process that is the ledger table for all loaders that are measured: moto's DynamoDB, one request at a time.

`python -m benchmarks.ledger` prints its port and serves until its standard input ends. What loaders of one load tell
each other through the ledger stands on conditions, so these are really checked.
"""

from __future__ import annotations

import logging
import sys
import threading

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

from benchmarks.task import LEDGER


def main() -> None:
    """Serve an empty ledger."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Without threads a request's condition and its change are one step.
    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    dynamodb = boto3.client(
        "dynamodb",
        endpoint_url=f"http://127.0.0.1:{server.port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    dynamodb.create_table(
        TableName=LEDGER,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("loadId", "entry")],
        KeySchema=[{"AttributeName": "loadId", "KeyType": "HASH"}, {"AttributeName": "entry", "KeyType": "RANGE"}],
    )
    print(server.port, flush=True)
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
