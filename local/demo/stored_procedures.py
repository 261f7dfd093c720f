"""First part of the demo: stored procedures run by Step Functions, one that succeeds and one that fails."""

from __future__ import annotations

import json
import time
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
TASK = "Run Stored Procedure"
# What a statement goes through, in this order; it ends in one of the last two.
STAGES = {
    "SUBMITTING": "the Lambda keeps the task's token in {table}",
    "SUBMITTED": "Redshift runs the statement; no Lambda waits",
    "FINISHED": "Redshift's event came: its result goes to the task",
    "FAILED": "Redshift's event came: its error goes to the task",
}
ENDS = ("FINISHED", "FAILED")
NOTED_SECONDS = 10.0


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
    display.done("the execution has succeeded, with this output:")
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
    display.done(f"the execution has failed, as it should: {execution.error}")
    display.line(execution.cause)
    mail = mailbox.next_mail()
    display.panel(f"Mail to support: {mail.subject}", mail.text)
    for needed in ("public.sp_missing", execution.cause, execution.arn):
        expect(needed in mail.text, f"the mail should contain {needed!r}")


def _run(aws: LocalAws, outputs: Mapping[str, str], payload: dict[str, Any], display: Display) -> Execution:
    """Run the state machine with a payload, showing each step as it happens."""
    states: SFNClient = aws.client("stepfunctions")
    display.line(f"start-execution {json.dumps(payload, ensure_ascii=False)}")
    arn = executions.start(states, outputs["StoredProcedureStateMachineArn"], payload)
    progress = StatementProgress(History(states, arn), aws.client("dynamodb"), outputs["MetaTableName"], arn, display)
    execution = executions.wait(states, arn, while_running=progress.look)
    progress.show_the_rest()
    return execution


class StatementProgress:
    """Shows what is new in an execution: the states it entered, and what its statement has gone through.

    All of it is shown, each time in the same order, whatever has happened between two looks: the task is told of the
    end of its statement a moment before that is noted.
    """

    def __init__(
        self, history: History, dynamodb: DynamoDBClient, meta_table: str, execution_arn: str, display: Display
    ):
        self._history = history
        self._dynamodb = dynamodb
        self._meta_table = meta_table
        self._execution_arn = execution_arn
        self._display = display
        self._states: list[str] = []
        self._states_shown = 0
        self._stages_shown: list[str] = []

    def look(self) -> None:
        """Show what has happened since the last look."""
        self._states += self._history.look()
        while TASK in self._states[self._states_shown :]:
            self._show_state()
        if self._states_shown:
            self._look_at_statement()
        while self._has_ended and self._states_shown < len(self._states):
            self._show_state()

    def show_the_rest(self) -> None:
        """Wait until the end of the statement is noted, and show what is left. Raises `DemoFailedError`."""
        deadline = time.monotonic() + NOTED_SECONDS
        while not self._has_ended:
            expect(time.monotonic() < deadline, f"the end of the statement is not noted in {self._meta_table}")
            time.sleep(executions.POLL_SECONDS)
            self.look()

    @property
    def _has_ended(self) -> bool:
        return any(stage in ENDS for stage in self._stages_shown)

    def _show_state(self) -> None:
        self._display.line(f"→ {self._states[self._states_shown]}")
        self._states_shown += 1

    def _look_at_statement(self) -> None:
        rows = self._dynamodb.scan(
            TableName=self._meta_table,
            FilterExpression="executionArn = :arn",
            ExpressionAttributeValues={":arn": {"S": self._execution_arn}},
        )["Items"]
        for row in rows:
            if not self._stages_shown:
                self._display.line(f"  {row['statementName']['S']}")
            status = row["status"]["S"]
            expect(status in STAGES, f"{row['statementName']['S']} should end FINISHED or FAILED, but is {status}")
            for stage in _until(status):
                if stage not in self._stages_shown:
                    self._display.line(f"  {stage:<10}  {STAGES[stage].format(table=self._meta_table)}")
                    self._stages_shown.append(stage)


def _until(status: str) -> list[str]:
    """Return the stages that a statement of this status has gone through."""
    begun = [stage for stage in STAGES if stage not in ENDS]
    return [*begun, status] if status in ENDS else begun[: begun.index(status) + 1]
