"""The verdicts of `make test-aws` on answers that only AWS could give: each comes out as badly as what was seen."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.redshiftdata.models import redshiftdata_backends

import tests.aws.__main__
from local.executions import Execution
from local.stack import PROJECT
from tests.aws.items import ITEMS, Outcome
from tests.aws.stack import Stack, Unloaded

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION = "us-east-1"
LOCATION = "s3://data/unload/monday-0f1e2d3c/"
FILE = "unload/monday-0f1e2d3c/0000_part_00.parquet"


def ended(status: str = "SUCCEEDED", *, output: Any = None, error: str = "", cause: str = "") -> Execution:
    return Execution(f"arn:aws:states:{REGION}:{DEFAULT_ACCOUNT_ID}:execution:x:monday", status, output, error, cause)


class Answers(Stack):
    """A stack whose executions come to what a test says; `calls` are the payloads of stored procedures."""

    def __init__(self, session: boto3.Session, **answers: Any) -> None:
        super().__init__(session, "pipelines")
        self.answers: dict[str, Any] = {"seconds": 1.0, "rows": 1, "call": ended()} | answers
        self.calls: list[Any] = []
        self.login = {"REDSHIFT_REGION": "eu-west-1", "WORKGROUP_NAME": "analytics"}
        self.physical_ids = {"EventBridgeRedshiftEventRule": "rule"}
        session.client("events").put_rule(Name="rule", EventPattern='{"source": ["aws.redshift-data"]}')

    def call(self, payload: Any) -> Execution:
        self.calls.append(payload)
        execution: Execution = self.answers["call"]
        return execution

    def start_call(self, payload: Any) -> str:
        """Start an execution that takes longer than the test, and submits no statement."""
        self.calls.append(payload)
        machine = self.outputs["StoredProcedureStateMachineArn"]
        started = self.client("stepfunctions").start_execution(stateMachineArn=machine)
        return str(started["executionArn"])

    def wait_for_statement(self, execution_arn: str) -> None:
        self.answers["waited_for"] = execution_arn

    def seconds(self, _execution: Execution) -> float:
        return float(self.answers["seconds"])

    def states_entered(self, _execution: Execution) -> list[str]:
        return list(self.answers["states"])

    def columns(self, **more: str) -> str:
        return ", ".join(["'test-aws' AS pk", *(f"{sql} AS {name}" for name, sql in more.items())])

    def unload(self, query: str, **_fields: Any) -> tuple[Execution, Unloaded]:
        self.answers["query"] = query
        return ended(output={"rows": self.answers["rows"]}), self.answers.get("unloaded", unloaded(None))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(variable, "testing")
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "StoredProcedureStateMachineArn": {
                "Value": f"arn:aws:states:{REGION}:{DEFAULT_ACCOUNT_ID}:stateMachine:waiting"
            }
        },
    }
    with mock_aws():
        session = boto3.Session(region_name=REGION)
        session.client("cloudformation").create_stack(StackName="pipelines", TemplateBody=json.dumps(template))
        session.client("stepfunctions").create_state_machine(
            name="waiting",
            definition=json.dumps(
                {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
            ),
            roleArn=f"arn:aws:iam::{DEFAULT_ACCOUNT_ID}:role/machine",
        )
        yield session


@pytest.mark.parametrize(
    ("seconds", "rows", "outcome"),
    [
        (61.0, 1, Outcome.CONFIRMED),
        (61.0, 2, Outcome.OTHERWISE),
        (61.0, 0, Outcome.OTHERWISE),
        (2.0, 1, Outcome.NOT_SEEN),
    ],
)
def test_a_lost_event_is_judged_by_how_often_the_procedure_has_run(
    session: boto3.Session, seconds: float, rows: int, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.aws.items.pause", lambda _: None)
    stack = Answers(session, seconds=seconds, rows=rows)
    assert ITEMS["lost-event"](stack).outcome == outcome
    if outcome is not Outcome.NOT_SEEN:
        assert f"WHERE event_message = '{stack.calls[0]['event_message']}'" in stack.answers["query"]
    assert session.client("events").describe_rule(Name="rule")["State"] == "ENABLED"


class Redriving:
    """Step Functions as a redrive needs it: what moto lacks succeeds at once."""

    def __init__(self, states: Any) -> None:
        self._states = states
        self.redriven: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._states, name)

    def redrive_execution(self, *, executionArn: str) -> None:  # noqa: N803
        self.redriven.append(executionArn)


@pytest.mark.parametrize(("rows", "outcome"), [(1, Outcome.CONFIRMED), (2, Outcome.OTHERWISE)])
def test_a_redrive_waits_for_the_statement_which_may_not_run_twice(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch, rows: int, outcome: Outcome
) -> None:
    stack, states = Answers(session, rows=rows), Redriving(session.client("stepfunctions"))
    monkeypatch.setattr(stack, "client", lambda *_: states)
    monkeypatch.setattr(stack, "wait", lambda _: ended("SUCCEEDED" if states.redriven else "ABORTED"))
    assert ITEMS["redrive"](stack).outcome == outcome
    assert states.redriven == [stack.answers["waited_for"]]


def test_an_execution_that_ends_before_it_can_be_stopped_is_not_redriven(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, states = Answers(session), Redriving(session.client("stepfunctions"))
    monkeypatch.setattr(stack, "client", lambda *_: states)
    monkeypatch.setattr(stack, "wait", lambda _: ended())
    assert ITEMS["redrive"](stack).outcome == Outcome.NOT_SEEN
    assert states.redriven == []
    assert len({call["event_message"] for call in stack.calls}) == len(stack.calls) > 1


@pytest.mark.parametrize(
    ("execution", "rows", "outcome"),
    [
        ("ABORTED", [{"status": "ABORTED", "endedAt": "1"}], Outcome.CONFIRMED),
        ("ABORTED", [{"status": "SUBMITTED"}], Outcome.OTHERWISE),
        ("ABORTED", [{"status": "FINISHED", "endedAt": "1"}], Outcome.NOT_SEEN),
        ("SUCCEEDED", [], Outcome.NOT_SEEN),
    ],
)
def test_a_stop_is_judged_by_how_the_statement_ended(
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
    execution: str,
    rows: list[dict[str, str]],
    outcome: Outcome,
) -> None:
    stack = Answers(session)
    monkeypatch.setattr("tests.aws.items._SECONDS_TO_CANCEL", 0)
    monkeypatch.setattr(stack, "wait", lambda _: ended(execution))
    monkeypatch.setattr(stack, "token_rows", lambda _: rows)
    assert ITEMS["stop"](stack).outcome == outcome


def test_a_statement_is_waited_for_until_its_id_is_noted(
    session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack, states = Answers(session), session.client("stepfunctions")
    arn = stack.start_call({})
    looks: list[str] = []

    def look(execution_arn: str) -> list[dict[str, str]]:
        looks.append(execution_arn)
        return [[], [{"status": "SUBMITTING"}], [{"status": "SUBMITTED", "statementId": "1"}]][len(looks) - 1]

    monkeypatch.setattr(stack, "token_rows", look)
    Stack.wait_for_statement(stack, arn)
    assert looks == [arn] * 3
    states.stop_execution(executionArn=arn)
    looks.clear()
    Stack.wait_for_statement(stack, arn)
    assert looks == [arn]


@pytest.mark.parametrize(
    ("seconds", "error", "states", "outcome"),
    [
        (1.0, "InvalidInput", ["Run Stored Procedure", "Raised By A Function?", "Notify Support"], Outcome.CONFIRMED),
        (1.0, "InvalidInput", ["Run Stored Procedure", "Raised By A Function?", "Read Exception"], Outcome.OTHERWISE),
        (7201.0, "InvalidInput", ["Run Stored Procedure"], Outcome.OTHERWISE),
        (14_401.0, "States.Timeout", ["Run Stored Procedure"], Outcome.OTHERWISE),
    ],
)
def test_a_failure_that_the_token_did_not_take_is_told_from_one_that_it_took(
    session: boto3.Session, seconds: float, error: str, states: list[str], outcome: Outcome
) -> None:
    definition = yaml.safe_load((PROJECT / "statemachine" / "redshift_data_api_sp_proces.asl.yaml").read_text())
    assert definition["States"].keys() >= set(states)
    stack = Answers(session, seconds=seconds, states=states, call=ended("FAILED", error=error, cause="spname: …"))
    assert ITEMS["failure-while-submitting"](stack).outcome == outcome


def test_a_client_token_is_spent_in_the_region_of_redshift(session: boto3.Session) -> None:
    ITEMS["spent-client-token"](Answers(session))
    assert len(redshiftdata_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].statements) == 1
    assert not redshiftdata_backends[DEFAULT_ACCOUNT_ID][REGION].statements


def unloaded(manifest: bytes | None) -> Unloaded:
    """One file of one row, and the manifest that is to be read."""
    return Unloaded(LOCATION, {FILE: 512}, manifest, {FILE: pa.table({"pk": ["test-aws"]})})


ENTRY = {"url": f"s3://data/{FILE}", "meta": {"content_length": 512, "record_count": 1}}
SCHEMA = {
    "elements": [
        {"name": "document", "type": {"base": "super"}},
        {"name": "code", "type": {"base": "character", "max_length": 5}},
    ]
}


def manifest(**fields: Any) -> bytes:
    document = {"entries": [ENTRY], "meta": {"content_length": 512, "record_count": 1}, "schema": SCHEMA} | fields
    return json.dumps(document).encode()


@pytest.mark.parametrize("item", ["content-length", "manifest-types"])
def test_a_manifest_as_documented_is_a_confirmation(session: boto3.Session, item: str) -> None:
    assert ITEMS[item](Answers(session, unloaded=unloaded(manifest()))).outcome == Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("content-length", b'{"entries": [{"url": "s3://data/x", "meta": {"record_count": 1},}]}'),
        ("content-length", b"[]"),
        ("content-length", manifest(entries=[{"url": ENTRY["url"]}])),
        ("content-length", manifest(entries=[ENTRY | {"url": f"s3://elsewhere/{FILE}"}])),
        ("content-length", manifest(entries=[ENTRY | {"url": f"{LOCATION}0001_part_00.parquet"}])),
        ("content-length", manifest(entries=[ENTRY, ENTRY])),
        ("content-length", manifest(entries=[], meta=None)),
        ("content-length", manifest(entries=[ENTRY | {"meta": {"content_length": 8, "record_count": 1}}])),
        ("manifest-types", b"\xff"),
        ("manifest-types", manifest(schema=None)),
        ("manifest-types", manifest(schema={"elements": ["document", "code"]})),
        ("manifest-types", manifest(schema={"elements": [{"name": "document", "type": "super"}]})),
    ],
)
def test_a_manifest_that_is_not_as_documented_is_a_verdict(
    session: boto3.Session, capsys: pytest.CaptureFixture[str], item: str, text: bytes
) -> None:
    stack = Answers(session, unloaded=unloaded(text))
    assert tests.aws.__main__.tried(stack, item) is Outcome.OTHERWISE
    assert "\n  otherwise: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder", "of_one", "outcome"),
    [
        ("load_bucket=0/", -5968735742475085980, Outcome.CONFIRMED),
        ("load_bucket=0/", 1, Outcome.OTHERWISE),
        ("load_bucket=__HIVE_DEFAULT_PARTITION__/", -5968735742475085980, Outcome.OTHERWISE),
        ("", -5968735742475085980, Outcome.OTHERWISE),
    ],
)
def test_rows_are_in_the_folder_of_their_bucket_or_it_is_otherwise(
    session: boto3.Session, folder: str, of_one: int, outcome: Outcome
) -> None:
    key = f"unload/monday-0f1e2d3c/{folder}0000_part_00.parquet"
    rows = pa.table({"pk": ["test-aws"], "of_null": [None], "of_one": [of_one], "load_hash": [5]})
    entry = {"url": f"s3://data/{key}", "meta": {"content_length": 512, "record_count": 1}}
    in_bucket = Unloaded(LOCATION, {key: 512}, manifest(entries=[entry]), {key: rows})
    verdict = ITEMS["buckets"](Answers(session, unloaded=in_bucket))
    assert (verdict.outcome, str(of_one) in verdict.seen) == (outcome, True)


def test_an_answer_in_a_form_that_nobody_expected_is_a_verdict(
    session: boto3.Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Answers(session)

    def no_parquet(_: str) -> Any:
        return pq.read_table(io.BytesIO(b"no Parquet"))

    monkeypatch.setattr(stack, "unload", no_parquet)
    assert tests.aws.__main__.tried(stack, "null-super") is Outcome.OTHERWISE
    assert "ArrowInvalid" in capsys.readouterr().out
