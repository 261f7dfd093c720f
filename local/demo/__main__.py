"""`python -m local.demo`: start a local AWS, deploy, show the pipelines at work, stop everything."""

from __future__ import annotations

import sys

from botocore.exceptions import BotoCoreError, ClientError

from local.data_api import DataApi, SqlFailedError
from local.demo import stored_procedures
from local.demo.display import Display
from local.demo.expectation import DemoFailedError
from local.executions import ExecutionDidNotEndError
from local.mails import Mailbox, NoMailError
from local.stack import LocalAws, LocalAwsError, deploy

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
        _demonstrate(display)
    except FAILURES as error:
        display.failed(f"{type(error).__name__}: {error}")
        return 1
    except KeyboardInterrupt:
        display.failed("interrupted; everything is stopped")
        return 130
    display.heading(f"All as it should be, in {display.seconds:.0f} s; nothing is left running.")
    return 0


def _demonstrate(display: Display) -> None:
    display.heading("AWS on this machine")
    with LocalAws() as aws:
        display.done(f"local AWS with Redshift at {aws.endpoint_url} ({display.seconds:.1f} s)")
        with display.step("deployed by sam") as report:
            outputs = deploy(aws, report=report)
        redshift = DataApi(aws.client("redshift-data"), aws.redshift_connection)
        mailbox = Mailbox(aws.client("sns"), aws.client("sqs"), outputs["NotificationTopicArn"], "support")
        stored_procedures.show(aws, outputs, redshift, mailbox, display)


if __name__ == "__main__":
    sys.exit(main())
