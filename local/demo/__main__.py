"""`python -m local.demo`: start a local AWS, deploy, show both pipelines at work, stop everything.

`ROWS` in the environment says how many rows the second pipeline loads.
"""

from __future__ import annotations

import os
import re
import sys

from botocore.exceptions import BotoCoreError, ClientError

from local.data_api import DataApi, SqlFailedError
from local.demo import redshift_to_dynamo, stored_procedures
from local.demo.display import Display
from local.demo.expectation import DemoFailedError, expect
from local.executions import ExecutionDidNotEndError
from local.mails import Mailbox, NoMailError
from local.stack import LocalAws, LocalAwsError, deploy

ROWS = 20_000
FAILURES = (
    DemoFailedError,
    LocalAwsError,
    SqlFailedError,
    ExecutionDidNotEndError,
    NoMailError,
    BotoCoreError,
    ClientError,
)


def main() -> int:
    """Run the demo; return 0 if all was as it should be, 1 with the reason shown if not, 130 after Ctrl-C."""
    display = Display()
    try:
        _demonstrate(_rows(), display)
    except FAILURES as error:
        display.failed(str(error))
        return 1
    except KeyboardInterrupt:
        display.failed("interrupted; everything is stopped")
        return 130
    display.heading(f"All as it should be, in {display.seconds:.0f} s; nothing is left running.")
    return 0


def _rows() -> int:
    given = os.environ.get("ROWS", str(ROWS))
    rows = int(re.sub("[,_]", "", given)) if re.fullmatch("[0-9]+|[0-9]{1,3}([,_][0-9]{3})+", given) else 0
    expect(rows > 0, f"ROWS is {given!r}, not a number of rows: give one like 20000 or 20,000")
    return rows


def _demonstrate(rows: int, display: Display) -> None:
    display.heading("AWS on this machine")
    with LocalAws() as aws:
        display.done(f"local AWS with Redshift at {aws.endpoint_url} ({display.seconds:.1f} s)")
        with display.step("build and deploy the stack") as report:
            outputs = deploy(aws, report=report)
        redshift = DataApi(aws.client("redshift-data"), aws.redshift_connection)
        mailbox = Mailbox(aws.client("sns"), aws.client("sqs"), outputs["NotificationTopicArn"], "support")
        stored_procedures.show(aws, outputs, redshift, mailbox, display)
        redshift_to_dynamo.show(aws, outputs, redshift, mailbox, display, rows)


if __name__ == "__main__":
    sys.exit(main())
