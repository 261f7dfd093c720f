"""Every Retry and Choice branch of the state machine that loads Redshift rows into DynamoDB, and its own Catches.

How both machines tell of a failure is in test_failures.py.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import boto3
import pytest
import yaml
from moto.stepfunctions.parser.api import HistoryEventType
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_map.iteration.distributed_iteration_component import (
    DistributedIterationComponent,
)
from moto.stepfunctions.parser.asl.eval.event.event_detail import EventDetails

import dynamo_load.errors
import locks.errors
from errors import TransientError
from locks.table import LONGEST_WAIT_SECONDS
from tests.statemachine.conftest import DEFINITIONS
from tests.statemachine.interpreter import (
    FAILED_WAITS,
    KILLED_WAITS,
    LAMBDA_ERRORS,
    LAMBDA_FAILED,
    LAMBDA_KILLED,
    LAMBDA_NOT_READY,
    LAMBDA_WAITS,
    NOT_READY_WAITS,
    REGION,
    Machine,
    Result,
    Run,
    returns,
    throws,
)

NAME = "redshift_to_dynamo_proces"
BUCKET = "data"
PREPARE, FREE, WAIT = "Prepare Load", "Is The Table Free?", "Wait For The Table"
COUNT, UNLOAD, LIST, ANYTHING = "Count Rows", "Unload Redshift Table", "List Unloaded Files", "Anything To Load?"
COMPARE, COMPARE_ONE, BEGIN = "Compare Keys", "Compare Bucket", "Begin Load"
PIECES, LOAD, VERIFY, MAIL = "Load Pieces", "Load Piece", "Verify Load", "Success To Be Mailed?"
STATES = {"prepare": PREPARE, "count": COUNT, "unload": UNLOAD, "list": LIST, "begin": BEGIN, "verify": VERIFY}
FUNCTIONS = {
    "PrepareLoadFunctionArn": "prepare",
    "RedshiftUnloadFunctionArn": "unload",
    "RedshiftUnloadS3ListFunctionArn": "list",
    "CompareKeysFunctionArn": "compare",
    "BeginLoadFunctionArn": "begin",
    "LoadDynamoFunctionArn": "load",
    "VerifyLoadFunctionArn": "verify",
}
SUBSTITUTIONS: dict[str, str | int] = {
    **{key: f"arn:aws:lambda:us-east-1:123456789012:function:{name}" for key, name in FUNCTIONS.items()},
    "PrepareTimeoutSeconds": 60,
    "WaitSeconds": 60,
    "ListTimeoutSeconds": 60,
    "CompareTimeoutSeconds": 60,
    "BeginTimeoutSeconds": 60,
    "LoadTimeoutSeconds": 60,
    "VerifyTimeoutSeconds": 60,
    "ExecutionTimeoutSeconds": 3600,
    "HandOversAllowed": 3,
    "DataBucketName": BUCKET,
}
UNLOADED = {"statement_id": "1", "statement_name": "redshift-unload-event-|1|a", "rows": 3, "duration_seconds": 0.1}
TARGET = {"name": "reviews", "key": [{"name": "id", "type": "S"}]}
KNOWN = {"buckets": None, "progress": None}
COUNTED = {"statement_id": "2", "statement_name": "redshift-count-event-|1|b", "result": {"row_count": 3}}
VERIFIED = {"rows_unloaded": 3, "rows_written": 3}
# The transient errors of each state that tries again, by what its function raises.
NAMED = {
    "prepare": ["AwsUnavailable", "LedgerUnavailable"],
    "count": ["AwsUnavailable", "RedshiftBusy", "RedshiftUnavailable", "StatementStopping"],
    "unload": ["AwsUnavailable", "RedshiftBusy", "RedshiftUnavailable", "StatementStopping"],
    "list": ["AwsUnavailable", "FileReadInterrupted"],
    "begin": ["AwsUnavailable", "LedgerUnavailable", "PlanOfAnotherVersion"],
    "verify": ["AwsUnavailable", "LedgerUnavailable", "PlanOfAnotherVersion"],
}
# Whatever a loader raises as transient must be retried by the state machine; singletons are the other one's.
LOADER_ERRORS = [
    name
    for name, error in (vars(dynamo_load.errors) | vars(locks.errors)).items()
    if isinstance(error, type)
    and issubclass(error, TransientError)
    and error not in (TransientError, locks.errors.SingletonAwaited)
]


def payload(result: Any) -> Result:
    return returns({"Payload": result, "StatusCode": 200})


def piece(number: int) -> dict[str, Any]:
    name = f"{number:05d}"
    return {"name": name, "rows": 1, "slices": [{"key": f"unload/x/{name}.parquet", "row_groups": None, "rows": 1}]}


def plan(
    rows: int = 3, *, pieces: int | None = None, deletes: bool | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """`deletes` tells the modes with records apart; None is an upsert. There are as many `pieces` as rows, or these."""
    return {
        "bucket": BUCKET,
        "pieces_key": "loads/x/pieces.json",
        "pieces": rows if pieces is None else pieces,
        "rows": rows,
        "load_id": "x",
        "limits": {"loader_concurrency": 2},
        "refresh": None if deletes is None else {"buckets": rows, "deletes": deletes},
        "dry_run": dry_run,
    }


def prepared(held_by: str | None = None, *, count: bool = False, resumed: Any = None, replays: bool = False) -> Result:
    answer = {"target": TARGET, "held_by": held_by, "known": KNOWN, "count": count, "timeout_seconds": 60}
    return payload(answer | {"resumed": resumed, "replays": replays})


def listed(rows: int = 3, **how: Any) -> Result:
    return payload({"report": None, "plan": plan(rows, **how)})


def compared() -> Result:
    return payload({"piece": "00000", "known": 10, "vanished": 1})


def loaded(*, finished: bool = True) -> Result:
    return payload({"piece": "00000", "finished": finished, "next_row": 1})


def all_well(**others: Sequence[Result]) -> Mapping[str, Sequence[Result]]:
    return {
        PREPARE: others.get("prepare", [prepared(count="count" in others)]),
        COUNT: others.get("count", [returns(COUNTED)]),
        UNLOAD: others.get("unload", [returns(UNLOADED)]),
        LIST: others.get("list", [listed()]),
        COMPARE_ONE: others.get("compare", [compared()]),
        BEGIN: others.get("begin", [payload(None)]),
        LOAD: others.get("load", [loaded()]),
        VERIFY: others.get("verify", [payload(VERIFIED)]),
    }


@pytest.fixture
def machine(make_machine: Callable[..., Machine]) -> Machine:
    made = make_machine(NAME, **SUBSTITUTIONS)
    s3 = boto3.client("s3", REGION)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(
        Bucket=BUCKET, Key="loads/x/pieces.json", Body=json.dumps([piece(number) for number in range(3)]).encode()
    )
    return made


@pytest.fixture
def tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a failed child fail the Map, which moto's interpreter counts but does not act upon."""
    interpreted = DistributedIterationComponent._map_run

    def map_run(component: Any, env: Any, eval_input: Any) -> None:
        interpreted(component, env, eval_input)
        if eval_input.map_run_record.execution_counter.failed.get() > eval_input.tolerated_failure_count:
            exceeded = StatesErrorName(StatesErrorNameType.StatesExceedToleratedFailureThreshold)
            details = EventDetails()  # type: ignore[typeddict-item]
            details["mapRunFailedEventDetails"] = {"error": exceeded.error_name, "cause": "too many failures"}
            raise FailureEventException(FailureEvent(env, exceeded, HistoryEventType.MapRunFailed, details))

    monkeypatch.setattr(DistributedIterationComponent, "_map_run", map_run)


@pytest.fixture
def child(machine: Machine) -> Machine:
    """What loads a piece, as a state machine of its own."""
    return child_of(machine, PIECES)


def child_of(machine: Machine, distributed_map: str) -> Machine:
    """A Distributed Map's item processor as a state machine of its own, so that its history can be read."""
    steps = machine.steps
    parent = json.loads(steps.describe_state_machine(stateMachineArn=machine.arn)["definition"])
    processor = parent["States"][distributed_map]["ItemProcessor"]
    definition = {key: value for key, value in processor.items() if key != "ProcessorConfig"}
    arn = steps.create_state_machine(
        name="child", definition=json.dumps(definition), roleArn="arn:aws:iam::123456789012:role/machine"
    )["stateMachineArn"]
    return Machine(steps, arn, machine.scripts, machine.waits)


CHILD_INPUT = {"plan": plan(), "piece": piece(0), "execution_arn": "arn:x"}


def run_child(child: Machine, *results: Result) -> Run:
    return child.run({**CHILD_INPUT, "hand_overs": 0}, {LOAD: results})


def test_a_load_runs_through_all_states_and_ends_with_its_figures(machine: Machine) -> None:
    run = machine.run({}, all_well())
    assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
    assert run.states == [PREPARE, FREE, UNLOAD, LIST, ANYTHING, BEGIN, PIECES, VERIFY, MAIL, "Loaded"]
    assert machine.mails() == []


def test_each_function_gets_what_it_works_with_and_nothing_that_grows_with_the_table(machine: Machine) -> None:
    request = {"table": "public.reviews"}
    run = machine.run(request, all_well())
    execution_arn = run.execution["executionArn"]
    prepare, unload, listing, begin, verify = (parameters["Payload"] for parameters in run.parameters("lambda"))
    assert (prepare["execution"]["Id"], prepare["execution"]["Input"]) == (execution_arn, request)
    assert "StartTime" in prepare["execution"]
    assert (unload["execution"]["Id"], unload["execution"]["Input"]) == (execution_arn, request)
    assert (unload["statement"], unload["state"], unload["task_token"] != UNLOAD) == ("unload", UNLOAD, True)
    assert (unload["target"], unload["known"], unload["counted"]) == (TARGET, KNOWN, None)
    assert (listing["execution"]["Id"], listing["execution"]["Input"]) == (execution_arn, request)
    assert (listing["unload"], listing["target"]) == (UNLOADED, TARGET)
    assert (listing["known"], listing["counted"]) == (KNOWN, None)
    assert begin == verify == {"plan": plan(), "execution_arn": execution_arn}


def test_rows_are_counted_first_where_their_number_is_not_known(machine: Machine) -> None:
    request = {"mode": "changes"}
    run = machine.run(request, all_well(count=[returns(COUNTED)], list=[listed(deletes=False)]))
    assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
    assert run.states == [PREPARE, FREE, COUNT, UNLOAD, LIST, ANYTHING, BEGIN, PIECES, VERIFY, MAIL, "Loaded"]
    _, count, unload, listing, *_ = (parameters["Payload"] for parameters in run.parameters("lambda"))
    assert (count["execution"]["Id"], count["execution"]["Input"]) == (run.execution["executionArn"], request)
    assert (count["statement"], count["state"], count["task_token"] != COUNT) == ("count", COUNT, True)
    assert (count["target"], count["known"], count["counted"]) == (TARGET, KNOWN, None)
    assert unload["counted"] == listing["counted"] == COUNTED


class TestMirror:
    def test_keys_are_compared_before_anything_is_written(self, machine: Machine) -> None:
        run = machine.run({"mode": "mirror"}, all_well(list=[listed(deletes=True)]))
        assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
        assert run.states == [PREPARE, FREE, UNLOAD, LIST, ANYTHING, COMPARE, BEGIN, PIECES, VERIFY, MAIL, "Loaded"]

    def test_buckets_without_rows_have_keys_to_delete(self, machine: Machine) -> None:
        run = machine.run({"mode": "mirror"}, all_well(list=[listed(rows=0, pieces=3, deletes=True)]))
        assert run.states[-7:] == [ANYTHING, COMPARE, BEGIN, PIECES, VERIFY, MAIL, "Loaded"]

    @pytest.mark.usefixtures("tolerance")
    def test_every_bucket_is_compared(self, machine: Machine) -> None:
        mirror = {"list": [listed(deletes=True)]}
        assert machine.run({}, all_well(compare=[compared()] * 3 + [throws("OneMore")], **mirror)).status == "SUCCEEDED"
        failing = all_well(compare=[compared()] * 2 + [throws("Third")], begin=[throws("KeysNotCompared")], **mirror)
        assert machine.run({}, failing).status == "FAILED"

    def test_too_many_deletions_end_the_load_before_a_loader_starts(self, machine: Machine) -> None:
        too_many = throws("TooManyDeletions", "5 of 9 rows would be deleted")
        run = machine.run({}, all_well(list=[listed(deletes=True)], begin=[too_many], load=[throws("Started")]))
        assert (run.status, run.error, run.cause) == ("FAILED", "TooManyDeletions", "5 of 9 rows would be deleted")
        assert PIECES not in run.states
        assert len(machine.mails()) == 1

    @pytest.mark.usefixtures("tolerance")
    def test_a_bucket_that_could_not_be_compared_leads_to_the_state_that_says_why(self, machine: Machine) -> None:
        why = throws("KeysNotCompared", "RecordUnreadable")
        run = machine.run({}, all_well(list=[listed(deletes=True)], compare=[throws("RecordUnreadable")], begin=[why]))
        assert (run.status, run.error, run.cause) == ("FAILED", "KeysNotCompared", "RecordUnreadable")
        assert PIECES not in run.states

    def test_the_children_leave_their_results_in_the_bucket(self, machine: Machine) -> None:
        run = machine.run({}, all_well(list=[listed(deletes=True)]))
        prefix = f"loads/{run.execution['name']}/compared/"
        (written,) = boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
        assert written["Key"].endswith("/manifest.json")

    def test_a_list_of_buckets_that_cannot_be_read_is_mailed(self, machine: Machine) -> None:
        boto3.client("s3", REGION).delete_object(Bucket=BUCKET, Key="loads/x/pieces.json")
        run = machine.run({}, all_well(list=[listed(deletes=True)]))
        assert (run.status, BEGIN in run.states, len(machine.mails())) == ("FAILED", False, 1)

    def test_a_bucket_is_compared_with_what_its_child_is_given(self, machine: Machine) -> None:
        child = child_of(machine, COMPARE)
        run = child.run(CHILD_INPUT, {COMPARE_ONE: [compared()]})
        assert (run.status, run.output) == ("SUCCEEDED", {"piece": "00000", "known": 10, "vanished": 1})
        assert run.parameters("lambda")[0]["Payload"] == CHILD_INPUT

    def test_a_transient_failure_is_retried_and_no_other(self, machine: Machine) -> None:
        child = child_of(machine, COMPARE)
        passing = ["AwsUnavailable", "LedgerUnavailable", "FileReadInterrupted", "PlanOfAnotherVersion"]
        for errors, waits in [(LAMBDA_ERRORS, LAMBDA_WAITS), (passing, FAILED_WAITS[: len(passing)])]:
            run = child.run(CHILD_INPUT, {COMPARE_ONE: [*map(throws, errors), compared()]})
            assert (run.status, run.waits) == ("SUCCEEDED", waits)
        for error, waits in [
            (LAMBDA_FAILED[0], FAILED_WAITS),
            (passing[0], FAILED_WAITS),
            (LAMBDA_NOT_READY[0], NOT_READY_WAITS),
            *[(error, KILLED_WAITS) for error in LAMBDA_KILLED],
            ("RecordUnreadable", []),
        ]:
            run = child.run(CHILD_INPUT, {COMPARE_ONE: [throws(error)]})
            assert (run.status, run.error, run.waits) == ("FAILED", error, waits)


FIGURES = {
    "table": "reviews",
    "rows_unloaded": 5,
    "rows_written": 2,
    "rows_unchanged": 1,
    "rows_rejected": 1,
    "rows_superseded": 1,
    "rows_deleted": 3,
    "write_units": 2.5,
}


class TestMailOnSuccess:
    def run(self, machine: Machine, asked: Any, figures: Any = None, **scripts: Any) -> Run:
        """Load, and let the verification come to these figures."""
        well = all_well(verify=[payload(figures or FIGURES)])
        return machine.run(asked, {**well, **scripts})

    def test_the_row_balance_is_mailed_if_the_input_asks_for_it(self, machine: Machine) -> None:
        run = self.run(machine, {"mail_on_success": True})
        assert (run.status, run.output) == ("SUCCEEDED", FIGURES)
        (mail,) = machine.mails()
        assert mail["Subject"] == "redshift_to_dynamo_proces succeeded"
        balance, figures, where = mail["Message"].split("\n\n")
        assert balance == "reviews: 5 rows unloaded = 2 written + 1 unchanged + 1 rejected + 1 superseded; 3 deleted."
        assert json.loads(figures.removeprefix("All figures: ")) == FIGURES
        arn = run.execution["executionArn"]
        assert where == f"Execution: {arn}\nhttps://console/{arn}\n"

    @pytest.mark.parametrize("asked", [{}, {"mail_on_success": False}])
    def test_else_it_is_not(self, machine: Machine, asked: Any) -> None:
        assert self.run(machine, asked).output == FIGURES
        assert machine.mails() == []

    def test_the_report_of_a_dry_run_has_no_balance_to_mail(self, machine: Machine) -> None:
        report = {"table": "reviews", "rows": 5, "rows_to_write": 2}
        run = self.run(machine, {"mail_on_success": True}, report)
        assert (run.output, run.states[-2:]) == (report, [MAIL, "Loaded"])
        assert machine.mails() == []

    @pytest.mark.parametrize("error", ["SNS.InvalidParameterException", "States.DataLimitExceeded"])
    def test_a_load_has_succeeded_whether_or_not_its_mail_is_sent(self, machine: Machine, error: str) -> None:
        run = self.run(machine, {"mail_on_success": True}, **{"Mail Success": [throws(error)]})
        assert (run.status, run.output, run.attempts["Mail Success"]) == ("SUCCEEDED", FIGURES, 1)

    def test_sending_is_tried_again(self, machine: Machine) -> None:
        for error in ["SNS.InternalErrorException", "SNS.ThrottledException", "SNS.SdkClientException"]:
            run = self.run(machine, {"mail_on_success": True}, **{"Mail Success": [throws(error)]})
            assert (run.status, run.waits) == ("SUCCEEDED", [2, 4, 8, 16])


class TestResume:
    def test_it_goes_on_with_the_plan_of_the_load_that_failed(self, machine: Machine) -> None:
        resumed = plan(deletes=True)
        run = machine.run({"resume": "x"}, all_well(prepare=[prepared(resumed=resumed)], unload=[throws("Unloaded")]))
        assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
        assert run.states == [PREPARE, FREE, "Resume Load", BEGIN, PIECES, VERIFY, MAIL, "Loaded"]
        _, begin, verify = (parameters["Payload"] for parameters in run.parameters("lambda"))
        assert begin == verify == {"plan": resumed, "execution_arn": run.execution["executionArn"]}

    def test_it_waits_for_the_table_first(self, machine: Machine) -> None:
        waits = [prepared("loaders of load x"), prepared(resumed=plan())]
        run = machine.run({"resume": "x"}, all_well(prepare=waits))
        assert (run.status, run.waits) == ("SUCCEEDED", [60])
        assert run.states[:6] == [PREPARE, FREE, WAIT, PREPARE, FREE, "Resume Load"]


class TestReplay:
    def test_it_unloads_nothing_and_is_a_load_from_then_on(self, machine: Machine) -> None:
        run = machine.run({"replay": "x"}, all_well(prepare=[prepared(replays=True)], unload=[throws("Unloaded")]))
        assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
        assert run.states == [PREPARE, FREE, LIST, ANYTHING, BEGIN, PIECES, VERIFY, MAIL, "Loaded"]
        assert run.parameters("lambda")[1]["Payload"]["unload"] is None

    def test_it_waits_for_the_table_first(self, machine: Machine) -> None:
        waits = [prepared("loaders of load x", replays=True), prepared(replays=True)]
        run = machine.run({"replay": "x"}, all_well(prepare=waits, unload=[throws("Unloaded")]))
        assert (run.status, run.waits) == ("SUCCEEDED", [60])


@pytest.mark.usefixtures("tolerance")
def test_every_piece_gets_a_loader_of_its_own(machine: Machine) -> None:
    assert machine.run({}, all_well(load=[loaded()] * 3 + [throws("OneMore")])).status == "SUCCEEDED"
    failing = all_well(load=[loaded()] * 2 + [throws("Third")], verify=[throws("RowsUnaccounted")])
    assert machine.run({}, failing).status == "FAILED"


def test_the_children_leave_their_results_in_the_bucket(machine: Machine) -> None:
    run = machine.run({}, all_well())
    prefix = f"loads/{run.execution['name']}/results/"
    (written,) = boto3.client("s3", REGION).list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]
    assert written["Key"].endswith("/manifest.json")


def test_a_load_of_no_rows_starts_no_loader_and_is_verified(machine: Machine) -> None:
    run = machine.run({}, all_well(list=[listed(rows=0)], load=[throws("Started")]))
    assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
    assert run.states == [PREPARE, FREE, UNLOAD, LIST, ANYTHING, VERIFY, MAIL, "Loaded"]


def test_a_dry_run_ends_with_its_report(machine: Machine) -> None:
    report = {"rows": 3, "write_units": 3}
    run = machine.run({"dry_run": True}, all_well(list=[payload({"report": report, "plan": None})]))
    assert (run.status, run.output) == ("SUCCEEDED", report)
    assert run.states == [PREPARE, FREE, UNLOAD, LIST, ANYTHING, "Dry Run Reported"]


@pytest.mark.parametrize("deletes", [False, True])
def test_a_dry_run_that_counts_begins_nothing(machine: Machine, deletes: bool) -> None:
    dry = {"list": [listed(deletes=deletes, dry_run=True)], "begin": [throws("Begun")], "compare": [throws("Compared")]}
    run = machine.run({"dry_run": True, "mode": "mirror"}, all_well(**dry))
    assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)
    assert run.states == [PREPARE, FREE, UNLOAD, LIST, ANYTHING, PIECES, VERIFY, MAIL, "Loaded"]


def test_a_table_that_another_load_holds_is_waited_for(machine: Machine) -> None:
    run = machine.run({"wait": True}, all_well(prepare=[prepared("arn:first"), prepared("arn:second"), prepared()]))
    assert (run.status, run.output, run.waits) == ("SUCCEEDED", VERIFIED, [60, 60])
    assert run.states[:8] == [PREPARE, FREE, WAIT, PREPARE, FREE, WAIT, PREPARE, FREE]
    first, *others = (parameters["Payload"] for parameters in run.parameters("lambda")[:3])
    assert others == [first, first]


def test_a_table_that_is_not_to_be_waited_for_fails_the_load_before_anything_is_unloaded(machine: Machine) -> None:
    held = throws("TableIsBeingLoaded", "start again when execution arn:first has ended")
    run = machine.run({}, all_well(prepare=[held], unload=[throws("Unloaded")]))
    assert (run.status, run.error) == ("FAILED", "TableIsBeingLoaded")
    assert (run.waits, UNLOAD in run.states) == ([], False)


def test_waiting_as_long_as_the_function_lets_it_stays_within_the_history(machine: Machine) -> None:
    """10 hours, each minute with every attempt that a Retry grants, within Step Functions' 25,000 events.

    Loaders that live on are waited for 15 minutes more, and their margin.
    """
    plain = len(machine.run({}, all_well()).history)
    per_wait = len(machine.run({}, all_well(prepare=[prepared("arn:first"), prepared()])).history) - plain
    per_retry = len(machine.run({}, all_well(prepare=[throws("AwsUnavailable"), prepared()])).history) - plain
    waits = LONGEST_WAIT_SECONDS / 60 + 16
    assert waits * (per_wait + len(FAILED_WAITS) * per_retry) + plain < 25_000


@pytest.mark.parametrize("state", STATES)
def test_a_transient_error_is_retried(machine: Machine, state: str) -> None:
    success = all_well()[STATES[state]]
    for errors, waits in [(LAMBDA_ERRORS, LAMBDA_WAITS), (NAMED[state], FAILED_WAITS[: len(NAMED[state])])]:
        run = machine.run({}, all_well(**{state: [*map(throws, errors), *success]}))
        assert (run.status, run.waits) == ("SUCCEEDED", waits)


@pytest.mark.parametrize("state", STATES)
def test_retries_wait_ever_longer_and_end(machine: Machine, state: str) -> None:
    for error, waits in [
        (LAMBDA_FAILED[0], FAILED_WAITS),
        (NAMED[state][0], FAILED_WAITS),
        (LAMBDA_NOT_READY[0], NOT_READY_WAITS),
        *[(error, KILLED_WAITS) for error in LAMBDA_KILLED],
    ]:
        run = machine.run({}, all_well(**{state: [throws(error)]}))
        assert (run.status, run.error, run.waits) == ("FAILED", error, waits)


def test_a_lost_event_makes_the_unload_attach_once_more(machine: Machine) -> None:
    run = machine.run({}, all_well(unload=[throws("States.Timeout"), returns(UNLOADED)]))
    assert (run.status, len(run.waits)) == ("SUCCEEDED", 1)
    never = machine.run({}, all_well(unload=[throws("States.Timeout")]))
    # moto's interpreter refuses `States.` names in a Fail state, so the error itself is read from the mail.
    assert (never.status, len(never.waits)) == ("FAILED", 1)
    (mail,) = machine.mails()
    said = "States.Timeout: Redshift did not end the statement within 60 seconds, nor within as many more.\n"
    assert mail["Message"].startswith(said)


def test_a_count_that_never_ends_says_so_too(machine: Machine) -> None:
    machine.run({}, all_well(prepare=[prepared(count=True)], count=[throws("States.Timeout")]))
    (mail,) = machine.mails()
    assert mail["Message"].startswith("States.Timeout: Redshift did not end the statement within 60 seconds")


@pytest.mark.parametrize("state", ["prepare", "list", "begin", "verify"])
def test_a_function_that_gives_no_answer_is_told_from_a_statement_that_does_not_end(
    machine: Machine, state: str
) -> None:
    machine.run({}, all_well(**{state: [throws("States.Timeout", "")]}))
    (mail,) = machine.mails()
    assert mail["Message"].startswith(
        "States.Timeout: No cause was given. Of States.Timeout that means that a function"
    )


@pytest.mark.parametrize("state", STATES)
def test_any_other_failure_is_mailed_at_once_and_ends_the_execution(machine: Machine, state: str) -> None:
    run = machine.run({"table": "t"}, all_well(**{state: [throws("SomeFailure", "3 rows are missing")]}))
    assert (run.status, run.error, run.cause) == ("FAILED", "SomeFailure", "3 rows are missing")
    assert run.waits == []
    (mail,) = machine.mails()
    assert mail["Message"].startswith("SomeFailure: 3 rows are missing\n")


@pytest.mark.parametrize("state", STATES)
def test_a_state_too_large_is_mailed_too(machine: Machine, state: str) -> None:
    machine.run({}, all_well(**{state: [throws("States.DataLimitExceeded")]}))
    (mail,) = machine.mails()
    assert mail["Message"].startswith("States.DataLimitExceeded: ")


@pytest.mark.usefixtures("tolerance")
def test_a_failed_piece_leads_to_the_verification_that_says_what_is_missing(machine: Machine) -> None:
    short = throws("RowsUnaccounted", "1 row short")
    run = machine.run({}, all_well(load=[throws("DynamoDbRefused")], verify=[short]))
    assert (run.status, run.error, run.cause) == ("FAILED", "RowsUnaccounted", "1 row short")
    assert run.states[-5:] == [PIECES, VERIFY, "Raised By A Function?", "Notify Support", "Load Failed"]
    assert len(machine.mails()) == 1


@pytest.mark.usefixtures("tolerance")
def test_a_loader_that_failed_after_its_last_row_does_not_fail_the_load(machine: Machine) -> None:
    run = machine.run({}, all_well(load=[throws("KeyError")]))
    assert (run.status, run.output) == ("SUCCEEDED", VERIFIED)


def test_a_list_of_pieces_that_cannot_be_read_is_mailed(machine: Machine) -> None:
    boto3.client("s3", REGION).delete_object(Bucket=BUCKET, Key="loads/x/pieces.json")
    run = machine.run({}, all_well())
    assert run.status == "FAILED"
    assert VERIFY not in run.states
    assert len(machine.mails()) == 1


def test_a_finished_piece_ends_its_child_with_what_the_loader_said(child: Machine) -> None:
    run = run_child(child, loaded())
    assert (run.status, run.output) == ("SUCCEEDED", {"piece": "00000", "finished": True, "next_row": 1})
    assert run.parameters("lambda")[0]["Payload"] == CHILD_INPUT


def test_an_unfinished_piece_is_handed_over_with_the_same_input_until_it_is_finished(child: Machine) -> None:
    run = run_child(child, loaded(finished=False), loaded(finished=False), loaded())
    assert (run.status, run.attempts[LOAD], run.states.count("Hand Over")) == ("SUCCEEDED", 3, 2)
    first, *others = (parameters["Payload"] for parameters in run.parameters("lambda"))
    assert others == [first, first]


def test_a_piece_that_never_finishes_is_given_up_after_the_allowed_hand_overs(child: Machine) -> None:
    run = run_child(child, loaded(finished=False))
    assert (run.status, run.error, run.attempts[LOAD]) == ("FAILED", "TooManyHandOvers", 4)


def test_a_transient_failure_of_a_loader_is_retried(child: Machine) -> None:
    run = run_child(child, *map(throws, LAMBDA_ERRORS), loaded())
    assert (run.status, run.waits) == ("SUCCEEDED", LAMBDA_WAITS)
    for error in [*LOADER_ERRORS, "AwsUnavailable"]:
        run = run_child(child, throws(error), loaded())
        assert (run.status, run.waits) == ("SUCCEEDED", FAILED_WAITS[:1])


def test_a_loaders_retries_wait_ever_longer_and_end(child: Machine) -> None:
    for error, waits in [
        (LAMBDA_FAILED[0], FAILED_WAITS),
        (LOADER_ERRORS[0], FAILED_WAITS),
        (LAMBDA_NOT_READY[0], NOT_READY_WAITS),
        *[(error, KILLED_WAITS) for error in LAMBDA_KILLED],
    ]:
        run = run_child(child, throws(error))
        assert (run.status, run.error, run.waits) == ("FAILED", error, waits)


def test_a_loader_that_cannot_succeed_is_not_retried(child: Machine) -> None:
    for error in ["DynamoDbRefused", "CorruptParquetFile", "MissingKeyColumn", "KeyError"]:
        run = run_child(child, throws(error))
        assert (run.status, run.error, run.attempts[LOAD]) == ("FAILED", error, 1)


def test_a_piece_handed_over_as_often_as_the_stack_allows_stays_within_the_history(child: Machine) -> None:
    """500 hand-overs, each with every attempt that a Retry grants, within Step Functions' 25,000 events."""
    plain = run_child(child, loaded(finished=False), loaded())
    per_hand_over = len(plain.history) - len(run_child(child, loaded()).history)
    retried = run_child(child, throws("WritesStalled"), loaded())
    per_retry = len(retried.history) - len(run_child(child, loaded()).history)
    retries = len(FAILED_WAITS) + len([5, 10])
    assert 500 * (per_hand_over + retries * per_retry) < 25_000


def test_the_loaders_run_as_many_at_once_as_the_plan_says_each_with_its_piece_and_for_minutes() -> None:
    """The interpreter shows neither how many run at once nor with what, so this one holds the definition itself."""
    definition = yaml.safe_load((DEFINITIONS / f"{NAME}.asl.yaml").read_text().replace("${", "").replace("}", ""))
    for name in (COMPARE, PIECES):
        loaders = definition["States"][name]
        assert loaders["MaxConcurrencyPath"] == "$.plan.limits.loader_concurrency"
        assert loaders["ItemSelector"]["piece.$"] == "$$.Map.Item.Value"
        # EXPRESS executions end after five minutes, a loader may take fifteen.
        assert loaders["ItemProcessor"]["ProcessorConfig"] == {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
