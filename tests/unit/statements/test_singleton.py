"""Of the executions that name one singleton, one runs at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.unit.statements.faults import counted, on, retry_of

if TYPE_CHECKING:
    from tests.unit.statements.conftest import Pipeline

NIGHTLY = {"spname": "public.sp_nightly", "singleton": "nightly"}
WAITING = NIGHTLY | {"wait": True}


def _submitted(pipeline: Pipeline, payload: dict[str, Any], name: str) -> str:
    event = pipeline.start_task(payload, name)
    pipeline.submit(_now(event))
    return str(event["execution"]["Id"])


def _now(event: dict[str, Any], hours_ago: float = 0) -> dict[str, Any]:
    """The event of an execution that has started so long ago."""
    started = datetime.now(UTC) - timedelta(hours=hours_ago)
    return event | {"execution": event["execution"] | {"StartTime": started.isoformat()}}


def test_a_second_execution_is_refused_and_told_of_the_first(pipeline: Pipeline) -> None:
    first, second = _submitted(pipeline, NIGHTLY, "first"), _submitted(pipeline, NIGHTLY, "second")
    assert pipeline.is_waiting(first)
    assert pipeline.outcome(second) == ("FAILED", "SingletonIsHeld")
    assert first in pipeline.causes[0]
    assert len(pipeline.calls) == 1


def test_another_name_and_none_at_all_are_not_held(pipeline: Pipeline) -> None:
    for number, payload in enumerate([NIGHTLY, NIGHTLY | {"singleton": "Nightly"}, {"spname": "public.sp_nightly"}]):
        assert pipeline.is_waiting(_submitted(pipeline, payload, f"number-{number}"))
    assert len(pipeline.calls) == 3


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "ABORTED"])
def test_the_name_is_free_when_its_holder_has_ended(pipeline: Pipeline, status: str) -> None:
    first = _submitted(pipeline, NIGHTLY, "first")
    pipeline.end_statement(status)
    pipeline.call_back()
    assert pipeline.outcome(first)
    assert pipeline.is_waiting(_submitted(pipeline, NIGHTLY, "second"))


def test_the_name_is_free_when_its_holder_was_aborted(pipeline: Pipeline) -> None:
    event = pipeline.start_task(NIGHTLY, "first")
    pipeline.submit(_now(event))
    pipeline.abort(event)
    assert pipeline.is_waiting(_submitted(pipeline, NIGHTLY, "second"))


def test_a_retried_task_keeps_its_name(pipeline: Pipeline) -> None:
    event = pipeline.start_task(NIGHTLY)
    mend = on("provide-client-params.redshift-data.ExecuteStatement", _break)
    pipeline.submit(_now(event))
    mend()
    retried, waiting = retry_of(pipeline, event)
    pipeline.submit(_now(retried))
    assert pipeline.is_waiting(waiting)


def _break(**_: Any) -> None:
    raise EndpointConnectionError(endpoint_url="https://aws")


def test_one_that_waits_is_tried_again_and_counts_as_no_failure(
    pipeline: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    _submitted(pipeline, NIGHTLY, "first")
    capsys.readouterr()
    second = _submitted(pipeline, WAITING, "second")
    # A name that the state machine retries.
    assert pipeline.outcome(second) == ("FAILED", "SingletonAwaited")
    assert counted(capsys) == {}
    pipeline.end_statement()
    pipeline.call_back()
    assert pipeline.is_waiting(_submitted(pipeline, WAITING, "third"))


def test_waiting_ends(pipeline: Pipeline) -> None:
    _submitted(pipeline, NIGHTLY, "first")
    event = pipeline.start_task(WAITING, "second")
    pipeline.submit(_now(event, hours_ago=10))
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "SingletonIsHeld")
    assert "waited 10 hours" in pipeline.causes[0]


def test_what_may_not_be_called_holds_no_name(pipeline: Pipeline) -> None:
    refused = _submitted(pipeline, NIGHTLY | {"spname": "secret.sp_x"}, "first")
    assert pipeline.outcome(refused) == ("FAILED", "ProcedureNotAllowed")
    assert pipeline.is_waiting(_submitted(pipeline, NIGHTLY, "second"))


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"singleton": ""}, "singleton"),
        ({"singleton": "a#b"}, "singleton"),
        ({"singleton": None, "wait": True}, "name what to wait for"),
        ({"keep_statement": True}, "keep_statement is not for a singleton"),
    ],
)
def test_what_does_not_fit_together_is_refused(pipeline: Pipeline, more: dict[str, Any], says: str) -> None:
    event = pipeline.start_task(NIGHTLY | more)
    pipeline.submit(event)
    assert pipeline.outcome(event["execution"]["Id"]) == ("FAILED", "InvalidInput")
    assert says in pipeline.causes[0]
