"""The stored-procedure pipeline as users meet it: deployed by `sam`, seen in the database and in mails."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from local import executions
from local.redshift.api.target import CLUSTER_IDENTIFIER
from local.stack import DATABASE, LocalAws

if TYPE_CHECKING:
    from local.data_api import DataApi
    from local.executions import Execution
    from local.mails import Mailbox

LOG = "public.sp_etl_log_etl_event"


class Procedures:
    """Runs executions of the deployed state machine."""

    def __init__(self, aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> None:
        self.aws = aws
        self.outputs = outputs
        self.redshift = redshift
        self.states = aws.client("stepfunctions")
        self.machine = outputs["StoredProcedureStateMachineArn"]

    def run(self, payload: Any) -> Execution:
        return executions.run(self.states, self.machine, payload)

    def statement(self, execution: Execution) -> dict[str, str]:
        """The token table's row of an execution's statement, as text by attribute."""
        (row,) = self.rows(execution.arn)
        return {name: next(iter(value.values())) for name, value in row.items()}

    def rows(self, arn: str) -> list[dict[str, Any]]:
        """The token table's rows of an execution."""
        rows: list[dict[str, Any]] = self.aws.client("dynamodb").scan(
            TableName=self.outputs["MetaTableName"],
            FilterExpression="executionArn = :arn",
            ExpressionAttributeValues={":arn": {"S": arn}},
        )["Items"]
        return rows

    def call_back(self, detail: dict[str, Any]) -> None:
        """Deliver a completion event to the callback function once more."""
        event = {"source": "aws.redshift-data", "time": "2026-11-22T03:00:00Z", "detail": detail}
        answer = self.aws.client("lambda").invoke(
            FunctionName=self.outputs["CallbackFunctionName"], Payload=json.dumps(event)
        )
        assert "FunctionError" not in answer, answer["Payload"].read()


@pytest.fixture(scope="session")
def procedures(aws: LocalAws, outputs: dict[str, str], redshift: DataApi) -> Procedures:
    return Procedures(aws, outputs, redshift)


def test_the_seeds_payload_writes_its_message(procedures: Procedures) -> None:
    execution = procedures.run({"spname": LOG, "event_message": "ETL Load Process started"})
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["statement_name"].startswith("redshift-storedproc-event-|")
    assert execution.output.keys() == {"statement_id", "statement_name", "rows", "duration_seconds"}
    statement = procedures.statement(execution)
    assert (statement["status"], statement["statementId"]) == ("FINISHED", execution.output["statement_id"])
    rows = procedures.redshift.query("SELECT event_ts FROM public.etl_events WHERE event_message LIKE 'ETL Load%'")
    assert len(rows) == 1


@pytest.mark.parametrize(
    "message",
    [
        "it's \"quoted\" and ''doubled''",
        "back\\slash \\n \\' \\\\",
        "$$ $1 $body$ :a1 ::text %s {} ${x}",
        "'); DROP TABLE public.etl_events; --",
        "/* no */ -- comment",
        "ünï çødé 漢字 😀 \u2028 \ufeff",
        "line\nbreak\r\nand\ttab",
        " blanks around ",
        "x" * 65_535,
        "é" * 32_767,
        "",
        None,
    ],
    ids=lambda message: repr(message)[:20],
)
def test_a_message_is_stored_exactly_as_given(procedures: Procedures, message: str | None) -> None:
    procedures.redshift.query("DELETE FROM public.etl_events")
    execution = procedures.run({"spname": LOG, "event_message": message})
    assert execution.status == "SUCCEEDED", execution.cause
    rows = procedures.redshift.query("SELECT event_message FROM public.etl_events")
    assert rows == [{"event_message": message}]


@pytest.mark.parametrize(
    ("payload", "error", "says"),
    [
        ({"event_message": "x"}, "InvalidInput", "spname"),
        ({"spname": "p(); drop table x"}, "InvalidIdentifier", "p(); drop table x"),
        ({"spname": LOG, "event_message": "x" * 65_536}, "InvalidInput", "event_message"),
        ({"spname": LOG, "message": "x"}, "InvalidInput", "message: "),
        ({"spname": LOG, "event_message": 5}, "InvalidInput", "event_message"),
        ({"spname": LOG, "arguments": [[1]]}, "InvalidInput", "arguments.0"),
        ("text", "InvalidInput", "the input"),
        ([1, 2], "InvalidInput", "the input"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_input_fails_by_name_and_reaches_nobody(
    procedures: Procedures, mailbox: Mailbox, payload: Any, error: str, says: str
) -> None:
    execution = procedures.run(payload)
    assert (execution.status, execution.error) == ("FAILED", error)
    assert says in execution.cause
    mail = mailbox.next_mail()
    assert execution.cause in mail.text
    with pytest.raises(ValueError, match="not enough values"):
        procedures.statement(execution)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("RAISE EXCEPTION 'no space left for %', 'you';", "no space left for you"),
        ("PERFORM 1 / 0;", "division by zero"),
        ("INSERT INTO public.nowhere VALUES (1);", "nowhere"),
    ],
)
def test_a_procedure_that_raises_fails_with_redshifts_message_and_a_mail(
    procedures: Procedures, mailbox: Mailbox, body: str, says: str
) -> None:
    procedures.redshift.query(
        f"CREATE OR REPLACE PROCEDURE public.sp_raise() AS $$ BEGIN {body} END; $$ LANGUAGE plpgsql"
    )
    execution = procedures.run({"spname": "public.sp_raise"})
    assert (execution.status, execution.error) == ("FAILED", "StatementFailed")
    assert says in execution.cause
    mail = mailbox.next_mail()
    assert mail.subject == "StatementFailed in local-RedshiftDataApiSPProces"
    for part in ("StatementFailed", execution.cause, "public.sp_raise", execution.arn, "https://us-east-1.console.aws"):
        assert part in mail.text
    assert procedures.statement(execution)["status"] == "FAILED"


def test_a_procedure_that_is_missing_fails_with_redshifts_message(procedures: Procedures) -> None:
    execution = procedures.run({"spname": "public.sp_missing", "event_message": "x"})
    assert (execution.status, execution.error) == ("FAILED", "StatementFailed")
    assert "sp_missing" in execution.cause


def test_a_cancelled_statement_fails_as_aborted(procedures: Procedures) -> None:
    _make_sleeper(procedures)
    cancelled: list[dict[str, Any]] = []

    def cancel() -> None:
        if not cancelled and (statement := _running_statement(procedures, arn)):
            cancelled.extend(procedures.redshift.query(f"SELECT pg_cancel_backend({statement['RedshiftPid']}) AS done"))

    arn = executions.start(procedures.states, procedures.machine, {"spname": "public.sp_sleep"})
    execution = executions.wait(procedures.states, arn, while_running=cancel)
    assert cancelled == [{"done": True}]
    assert (execution.status, execution.error) == ("FAILED", "StatementAborted")


def _make_sleeper(procedures: Procedures) -> None:
    procedures.redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_sleep() AS $$ BEGIN PERFORM pg_sleep(60); END; $$ LANGUAGE plpgsql"
    )


def _running_statement(procedures: Procedures, arn: str) -> Any:
    """What the Data API says of an execution's statement while Redshift runs it, else None."""
    rows = procedures.aws.client("dynamodb").scan(
        TableName=procedures.outputs["MetaTableName"],
        FilterExpression="executionArn = :arn AND #status = :submitted",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":arn": {"S": arn}, ":submitted": {"S": "SUBMITTED"}},
    )["Items"]
    if not rows:
        return None
    statement = _as_statement_role(procedures).describe_statement(Id=rows[0]["statementId"]["S"])
    return statement if statement["Status"] == "STARTED" else None


def _as_statement_role(procedures: Procedures) -> Any:
    """A Data API client with the role that runs the statements: no other may describe them."""
    function = procedures.aws.client("lambda").get_function(FunctionName=procedures.outputs["CallbackFunctionName"])
    return procedures.aws.client_as("redshift-data", function["Configuration"]["Role"])


def test_out_parameters_come_back_as_the_result_row(procedures: Procedures) -> None:
    procedures.redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_total(p_price IN int, p_count INOUT int, p_label OUT varchar(20))"
        " AS $$ BEGIN p_label := p_price * p_count; p_count := p_count + 1; END; $$ LANGUAGE plpgsql"
    )
    execution = procedures.run({"spname": "public.sp_total", "arguments": [25, 4]})
    assert execution.status == "SUCCEEDED", execution.cause
    assert execution.output["result"] == {"p_count": 5, "p_label": "100"}


def test_arguments_of_every_kind_arrive_in_order(procedures: Procedures) -> None:
    procedures.redshift.query("DROP TABLE IF EXISTS public.arguments_seen")
    procedures.redshift.query(
        "CREATE TABLE public.arguments_seen"
        " (t varchar(50), n bigint, d double precision, b boolean, x varchar(50), e varchar(50))"
    )
    procedures.redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_see(t IN varchar(50), n IN bigint, d IN double precision, b IN boolean,"
        " x IN varchar(50), e IN varchar(50)) AS $$ BEGIN INSERT INTO public.arguments_seen VALUES (t, n, d, b, x, e);"
        " END; $$ LANGUAGE plpgsql"
    )
    execution = procedures.run(
        {"spname": '"public"."sp_see"', "arguments": ["2026-11-22", 2**40, -0.25, True, None, ""]}
    )
    assert execution.status == "SUCCEEDED", execution.cause
    assert procedures.redshift.query("SELECT * FROM public.arguments_seen") == [
        {"t": "2026-11-22", "n": 2**40, "d": -0.25, "b": True, "x": None, "e": ""}
    ]


def test_the_same_event_again_or_one_of_another_statement_changes_nothing(procedures: Procedures) -> None:
    execution = procedures.run({"spname": LOG, "event_message": "once"})
    before = procedures.statement(execution)
    detail = {"statementName": before["statementName"], "statementId": before["statementId"], "state": "FAILED"}
    procedures.call_back(detail)
    procedures.call_back(detail | {"statementId": str(uuid.uuid4())})
    procedures.call_back(detail | {"statementName": "redshift-storedproc-event-|1|stranger"})
    assert procedures.statement(execution) == before
    assert procedures.states.describe_execution(executionArn=execution.arn)["status"] == "SUCCEEDED"


def test_a_late_event_changes_nothing(procedures: Procedures) -> None:
    procedures.redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_nap() AS $$ BEGIN PERFORM pg_sleep(1); END; $$ LANGUAGE plpgsql"
    )
    payload = {"spname": "public.sp_nap", "keep_statement": True}
    arn = executions.start(procedures.states, procedures.machine, payload)
    execution = _stopped_while_its_statement_runs(procedures, arn)
    row = _ended_statement(procedures, execution)
    assert row["status"] == "FINISHED"
    procedures.call_back(
        {"statementName": row["statementName"], "statementId": row["statementId"], "state": "FINISHED"}
    )
    assert procedures.states.describe_execution(executionArn=arn)["status"] == "ABORTED"


def test_an_execution_that_is_stopped_has_its_statement_cancelled(procedures: Procedures) -> None:
    _make_sleeper(procedures)
    nightly = {"singleton": "nightly"}
    arn = executions.start(procedures.states, procedures.machine, {"spname": "public.sp_sleep", **nightly})
    while not _running_statement(procedures, arn):
        time.sleep(0.1)
    refused = procedures.run({"spname": LOG, "event_message": "too early", **nightly})
    assert (refused.status, refused.error) == ("FAILED", "SingletonIsHeld")
    assert arn in refused.cause

    execution = _stopped_while_its_statement_runs(procedures, arn)
    row = _ended_statement(procedures, execution)
    assert row["status"] == "ABORTED"
    assert "unfinished" not in row
    assert procedures.run({"spname": LOG, "event_message": "now", **nightly}).status == "SUCCEEDED"


@pytest.mark.parametrize(("keep", "statuses"), [(True, ["FINISHED"]), (False, ["ABORTED", "FINISHED"])])
def test_a_redrive_goes_on_with_a_statement_that_runs_and_runs_anew_one_that_was_cancelled(
    procedures: Procedures, keep: bool, statuses: list[str]
) -> None:
    procedures.redshift.query(
        "CREATE OR REPLACE PROCEDURE public.sp_nap() AS $$ BEGIN PERFORM pg_sleep(1); END; $$ LANGUAGE plpgsql"
    )
    payload = {"spname": "public.sp_nap", "keep_statement": keep}
    arn = executions.start(procedures.states, procedures.machine, payload)
    execution = _stopped_while_its_statement_runs(procedures, arn)
    if not keep:
        _ended_statement(procedures, execution)
    procedures.states.redrive_execution(executionArn=arn)
    redriven = executions.wait(procedures.states, arn)
    assert redriven.status == "SUCCEEDED", redriven.cause
    assert sorted(row["status"]["S"] for row in procedures.rows(arn)) == statuses


def test_a_task_whose_event_is_lost_is_resumed_by_the_watchdog(procedures: Procedures) -> None:
    events, functions = procedures.aws.client("events"), procedures.aws.client("lambda")
    events.disable_rule(Name="local-EventBridgeRedshiftEvent")
    try:
        arn = executions.start(procedures.states, procedures.machine, {"spname": LOG, "event_message": "lost"})

        def watch() -> None:
            for row in procedures.rows(arn):
                if _is_over(procedures, row):
                    # As if a minute had passed.
                    procedures.aws.client("dynamodb").update_item(
                        TableName=procedures.outputs["MetaTableName"],
                        Key={"statementName": row["statementName"]},
                        UpdateExpression="SET unfinishedSince = unfinishedSince - :seconds",
                        ConditionExpression="attribute_exists(unfinished)",
                        ExpressionAttributeValues={":seconds": {"N": "61"}},
                    )
                    answer = functions.invoke(FunctionName="local-WatchStatements")
                    assert "FunctionError" not in answer, answer["Payload"].read()
                    watched.append(json.loads(answer["Payload"].read()))

        watched: list[dict[str, int]] = []
        with suppress(procedures.aws.client("dynamodb").exceptions.ConditionalCheckFailedException):
            executions.wait(procedures.states, arn, while_running=watch)
        execution = executions.wait(procedures.states, arn)
    finally:
        events.enable_rule(Name="local-EventBridgeRedshiftEvent")
    assert execution.status == "SUCCEEDED", execution.cause
    assert watched[0]["succeeded"] == 1


def _is_over(procedures: Procedures, row: dict[str, Any]) -> bool:
    """Whether a statement of the token table has ended, says Redshift."""
    if "statementId" not in row:
        return False
    described = _as_statement_role(procedures).describe_statement(Id=row["statementId"]["S"])
    return described["Status"] not in {"SUBMITTED", "PICKED", "STARTED"}


def _stopped_while_its_statement_runs(procedures: Procedures, arn: str) -> Execution:
    stopped: list[bool] = []

    def stop() -> None:
        if not stopped and _running_statement(procedures, arn):
            procedures.states.stop_execution(executionArn=arn)
            stopped.append(True)

    execution = executions.wait(procedures.states, arn, while_running=stop)
    assert execution.status == "ABORTED"
    return execution


def _ended_statement(procedures: Procedures, execution: Execution) -> dict[str, str]:
    """The row of an execution's statement when its end has been handled, which must be soon."""
    deadline = time.monotonic() + 30
    while (row := procedures.statement(execution))["status"] in {"SUBMITTING", "SUBMITTED"}:
        assert time.monotonic() < deadline, "the statement runs on"
        time.sleep(0.1)
    return row


def test_sixty_executions_at_once_each_run_their_own_statement_once(procedures: Procedures) -> None:
    procedures.redshift.query("DELETE FROM public.etl_events")
    messages = [f"message {number}" for number in range(60)]
    arns = [
        executions.start(procedures.states, procedures.machine, {"spname": LOG, "event_message": message})
        for message in messages
    ]
    ended = [executions.wait(procedures.states, arn) for arn in arns]
    assert Counter(execution.status for execution in ended) == {"SUCCEEDED": 60}
    rows = procedures.redshift.query("SELECT event_message FROM public.etl_events")
    assert sorted(row["event_message"] for row in rows) == sorted(messages)
    assert len({execution.output["statement_id"] for execution in ended}) == 60


def test_the_stack_runs_on_the_cluster_and_database_it_was_given(procedures: Procedures) -> None:
    execution = procedures.run({"spname": LOG, "event_message": "where"})
    described = _as_statement_role(procedures).describe_statement(Id=execution.output["statement_id"])
    assert (described["ClusterIdentifier"], described["Database"]) == (CLUSTER_IDENTIFIER, DATABASE)
