"""First part of the demo: stored procedures run by Step Functions, one that succeeds and one that fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from local import executions
from local.demo.expectation import expect
from local.demo.history import History
from local.stack import PROJECT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient

    from local.data_api import DataApi
    from local.demo.display import Display
    from local.executions import Execution
    from local.mails import Mailbox
    from local.stack import LocalAws

PROCEDURE = PROJECT / "scripts" / "sp_etl_log_etl_event.sql"
MESSAGE = 'ETL Load Process started: it\'s "quoted", back\\slashed and $$priced$$ in €'
STATUS_MEANS = {
    "SUBMITTING": "the Lambda keeps the task token in {table}",
    "SUBMITTED": "Redshift runs the statement; no Lambda waits",
    "FINISHED": "Redshift's event came: the callback hands the result to the waiting task",
    "FAILED": "Redshift's event came: the callback hands Redshift's error to the waiting task",
}


def show(aws: LocalAws, outputs: Mapping[str, str], redshift: DataApi, mailbox: Mailbox, display: Display) -> None:
    """Create the procedure, run it, look for its row; then run one that doesn't exist, and read the mail.

    Raises `DemoFailedError` if anything isn't as it should be.
    """
    display.heading("A stored procedure that succeeds")
    redshift.run_script(PROCEDURE)
    display.done(f"created by {PROCEDURE.relative_to(PROJECT)}")
    payload = {"spname": "public.sp_etl_log_etl_event", "event_message": MESSAGE}
    execution = _run(aws, outputs, payload, display)
    expect(execution.status == "SUCCEEDED", f"it ended {execution.status}: {execution.error}: {execution.cause}")
    display.line(json.dumps(execution.output, ensure_ascii=False))
    rows = redshift.query("SELECT event_ts, event_message FROM public.etl_events")
    expect(
        [row["event_message"] for row in rows] == [MESSAGE],
        f"public.etl_events should hold one row with the message as given, but holds {rows}",
    )
    display.done(f"public.etl_events holds {rows[0]['event_ts']}  {rows[0]['event_message']}")

    display.heading("A stored procedure that fails")
    payload = {"spname": "public.sp_missing", "event_message": "ETL Load Process started"}
    execution = _run(aws, outputs, payload, display)
    expect(execution.status == "FAILED", f"it should have ended FAILED, but ended {execution.status}")
    display.line(f"{execution.error}: {execution.cause}")
    mail = mailbox.next_mail()
    display.panel(f"Mail to support: {mail.subject}", mail.text)
    for needed in ("public.sp_missing", execution.cause, execution.arn):
        expect(needed in mail.text, f"the mail should contain {needed!r}")


def _run(aws: LocalAws, outputs: Mapping[str, str], payload: dict[str, Any], display: Display) -> Execution:
    """Run the state machine with a payload, showing each step as it happens."""
    states: SFNClient = aws.client("stepfunctions")
    display.line(f"start-execution {json.dumps(payload, ensure_ascii=False)}")
    arn = executions.start(states, outputs["StoredProcedureStateMachineArn"], payload)
    progress = _Progress(History(states, arn), aws.client("dynamodb"), outputs["MetaTableName"], arn, display)
    execution = executions.wait(states, arn, while_running=progress.look)
    display.done(f"execution {execution.status}")
    return execution


class _Progress:
    """Shows what is new in an execution: the states it entered, and how far its statement has come."""

    def __init__(
        self, history: History, dynamodb: DynamoDBClient, meta_table: str, execution_arn: str, display: Display
    ):
        self._history = history
        self._dynamodb = dynamodb
        self._meta_table = meta_table
        self._execution_arn = execution_arn
        self._display = display
        self._entered = False
        self._status_shown = ""

    def look(self) -> None:
        """Show what has happened since the last look."""
        for state in self._history.look():
            if self._entered:
                # What the statement did stands before the state that its end led to.
                self._look_at_statement()
            self._display.line(f"→ {state}")
            self._entered = True
        self._look_at_statement()

    def _look_at_statement(self) -> None:
        rows = self._dynamodb.scan(
            TableName=self._meta_table,
            FilterExpression="executionArn = :arn",
            ExpressionAttributeValues={":arn": {"S": self._execution_arn}},
        )["Items"]
        for row in rows:
            status = row["status"]["S"]
            if status != self._status_shown:
                meaning = STATUS_MEANS.get(status, "").format(table=self._meta_table)
                self._display.line(f"  {row['statementName']['S']}  {status:<10}  {meaning}")
                self._status_shown = status
