"""One state of one execution, one name; another of either, another name."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from statements.names import StatementKind, client_token, statement_name
from statements.tasks import CallbackTask

tasks = st.builds(
    CallbackTask,
    token=st.text(),
    execution_arn=st.text(max_size=200),
    started_at=st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants it naive)
    state_name=st.text(max_size=80),
    redrives=st.integers(0, 3),
)


@given(tasks, st.text(), st.integers(0, 3), st.sampled_from(StatementKind))
def test_a_retried_or_redriven_attempt_computes_the_same_name_with_another_token(
    task: CallbackTask, token: str, redrives: int, kind: StatementKind
) -> None:
    assert statement_name(kind, task) == statement_name(kind, replace(task, token=token, redrives=redrives))


@given(tasks, tasks)
def test_tasks_that_differ_have_names_and_client_tokens_that_differ(one: CallbackTask, other: CallbackTask) -> None:
    identities = {(task.execution_arn, task.started_at, task.state_name) for task in (one, other)}
    names = {statement_name(StatementKind.UNLOAD, task) for task in (one, other)}
    assert len(names) == len(identities)
    assert len({client_token(name) for name in names}) == len(names)


@given(tasks, st.integers(1, 5))
def test_a_statement_that_a_redrive_runs_anew_has_a_name_of_its_own(task: CallbackTask, redrives: int) -> None:
    names = {statement_name(StatementKind.UNLOAD, task, redrive) for redrive in range(redrives + 1)}
    assert len(names) == redrives + 1


@given(tasks, st.sampled_from(StatementKind))
def test_a_name_carries_its_prefix_and_the_second_of_its_execution(task: CallbackTask, kind: StatementKind) -> None:
    prefix, epoch, digest = statement_name(kind, task).split("|")
    assert prefix == kind.value
    assert int(epoch) == int(task.started_at.timestamp())
    assert len(digest) == 32


def test_the_context_object_says_who_waits() -> None:
    execution = {"Id": "arn:x", "Input": {}, "StartTime": "2026-11-22T03:00:04.123Z"}
    event = {"execution": execution, "state": "Run Stored Procedure", "task_token": "token"}
    task = CallbackTask.from_event(event)
    assert task == CallbackTask(
        "token", "arn:x", datetime(2026, 11, 22, 3, 0, 4, 123_000, UTC), "Run Stored Procedure", 0, False
    )
    assert CallbackTask.from_event(event | {"execution": execution | {"RedriveCount": 2}}).redrives == 2
    for asked, keeps in [({"keep_statement": True}, True), ({"keep_statement": 1}, False), ("text", False)]:
        assert CallbackTask.from_event(event | {"execution": execution | {"Input": asked}}).keeps_statement is keeps
