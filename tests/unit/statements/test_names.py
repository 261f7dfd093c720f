"""One attempt, one name; another attempt, another name."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from statements.names import CallbackTask, StatementKind, client_token, statement_name

tasks = st.builds(
    CallbackTask,
    token=st.text(),
    execution_arn=st.text(max_size=200),
    state_name=st.text(max_size=80),
    entered_at=st.datetimes(min_value=datetime(2020, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 (hypothesis wants it naive)
)


@given(tasks, st.text(), st.sampled_from(StatementKind))
def test_a_retried_attempt_computes_the_same_name_with_another_token(
    task: CallbackTask, token: str, kind: StatementKind
) -> None:
    retried = CallbackTask(token, task.execution_arn, task.state_name, task.entered_at)
    assert statement_name(kind, task) == statement_name(kind, retried)


@given(tasks, tasks)
def test_attempts_that_differ_have_names_and_client_tokens_that_differ(one: CallbackTask, other: CallbackTask) -> None:
    same = (one.execution_arn, one.state_name, one.entered_at) == (
        other.execution_arn,
        other.state_name,
        other.entered_at,
    )
    names = {statement_name(StatementKind.UNLOAD, task) for task in (one, other)}
    assert len(names) == (1 if same else 2)
    assert len({client_token(name) for name in names}) == len(names)


@given(tasks, st.sampled_from(StatementKind))
def test_a_name_carries_its_prefix_and_the_second_of_its_attempt(task: CallbackTask, kind: StatementKind) -> None:
    prefix, epoch, digest = statement_name(kind, task).split("|")
    assert prefix in {"redshift-storedproc-event-", "redshift-unload-event-"}
    assert int(epoch) == int(task.entered_at.timestamp())
    assert len(digest) == 32
