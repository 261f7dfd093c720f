"""Watching a run in a terminal of 80 columns, through moments in which AWS does not answer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from dynamo_load.accounting.ledger import Tally
from errors import AwsUnavailable
from scripts.pipelines.context import Context
from scripts.pipelines.watching import watch
from tests.unit.scripts.conftest import NAME, REGION, call, listed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.scripts.conftest import Account

WAITS: dict[str, Any] = {"Type": "Wait", "Seconds": 3600, "Next": "End"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rich takes for a terminal of that width."""
    for variable, value in {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": ""}.items():
        monkeypatch.setenv(variable, value)


def shown(text: str) -> list[str]:
    """All lines that stood in the terminal at some time, without their colours."""
    return [line.rstrip() for line in re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))]


def loading(account: Account) -> str:
    """A load whose pieces are being loaded."""
    states = listed()
    states["List Unloaded Files"]["Next"] = "Load Pieces"
    account.script("load", states | {"Load Pieces": WAITS})
    arn = account.run("load", until="Load Pieces")
    account.load_piece("00000", 600, Tally(600, 590, rejected=10, rows_throttled=1_234, throttled_seconds=65))
    return arn


def test_a_terminal_shows_a_bar_of_rows_within_its_width(
    account: Account, terminal: None, at_look: Callable[[int, Callable[[], None]], None]
) -> None:
    arn = loading(account)
    at_look(2, lambda: account.stop(arn))
    lines = shown(call("watch", "run-1", "--every", "0.2").text)
    assert any(re.fullmatch(r". [━╸╺]{30} 600 of 1,000 rows", line) for line in lines)
    assert "  starting, throttled 1 min 05 s (1,234 rows sent again), 10 rejected" in lines
    assert max(map(len, lines)) <= 80


def test_a_long_arn_is_not_broken_in_mid_word(account: Account, terminal: None) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:execution:redshift-pipelines-RedshiftToDynamoProces:nightly-2026"
    cause = f"start again when execution {arn} has ended"
    account.script("load", {}, {"Type": "Fail", "Error": "TableIsBeingLoaded", "Cause": cause})
    account.run("load")
    lines = shown(call("why").text)
    assert arn in "".join(line.strip() for line in lines)
    assert next(line for line in lines if "arn:aws" in line).endswith(":")
    assert max(map(len, lines)) <= 80


def unavailable(times: int) -> Any:
    """An answer to the first so many requests: no service is there."""
    left = iter(range(times))

    def answer(request: Any, **_: Any) -> AWSResponse | None:
        if next(left, None) is None:
            return None
        return AWSResponse(request.url, 400, HTTPHeaders(), Body())

    return answer


class Body:
    """The body of an answer: the account makes too many calls."""

    def stream(self, **_: Any) -> Any:
        yield b'{"__type": "ThrottlingException", "message": "Rate exceeded"}'


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """A command's context whose calls are not tried again by the SDK, so as to try them here."""
    monkeypatch.setattr("scripts.pipelines.stack._CONFIG", None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return Context(NAME, REGION)


def test_watching_outlives_moments_in_which_aws_does_not_answer(
    account: Account, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    account.run("load")
    found = context.reader.find("run-1")
    context.stack.client("stepfunctions").meta.events.register("before-send.stepfunctions", unavailable(9))
    assert watch(context, found, 0.01).succeeded
    assert capsys.readouterr().out.count("could not look, and looks again: DescribeExecution was throttled") == 9


def test_watching_gives_up_when_aws_does_not_answer_at_all(account: Account, context: Context) -> None:
    account.run("load")
    found = context.reader.find("run-1")
    context.stack.client("stepfunctions").meta.events.register("before-send.stepfunctions", unavailable(99))
    with pytest.raises(AwsUnavailable, match="throttled"):
        watch(context, found, 0.01)
