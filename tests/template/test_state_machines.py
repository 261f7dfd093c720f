"""The state machines' definitions keep the rules of state_machine_checks, and the States language's schema."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import TYPE_CHECKING

import pytest
import yaml
from cfnlint.api import lint_all  # type: ignore[import-untyped]

from tests.template import state_machine_checks as checks
from tests.template.stack import ROOT, Machine, Stack, machines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Check = Callable[[Machine], Iterator[str]]

MACHINES = machines(Stack.load())
FUNCTIONS = ROOT / "functions"
CHECKS: list[Check] = [
    checks.targets_missing,
    checks.states_unreachable,
    checks.names_repeated,
    checks.ends_missing,
    checks.comments_missing,
    checks.substitutions_unmatched,
    checks.arns_literal,
    checks.timeouts_missing,
    checks.defaults_missing,
    checks.retries_unbounded,
    checks.timeouts_retried_without_reason,
    checks.failures_uncaught,
    checks.failures_end_as_success,
]

# A definition as it should be, in small. Each broken sample below replaces one text in it.
SOUND = """
Comment: Works.
StartAt: Work
States:
  Work:
    Comment: Does it.
    Type: Task
    Resource: ${WorkArn}
    TimeoutSeconds: 60
    Retry:
      - ErrorEquals: [Busy, Lambda.ServiceException]
        MaxAttempts: 3
        JitterStrategy: FULL
      # A second look helps.
      - ErrorEquals: [States.Timeout]
        MaxAttempts: 1
        JitterStrategy: FULL
    Catch:
      - ErrorEquals: [Refused]
        Next: Empty?
      - ErrorEquals: [States.DataLimitExceeded]
        Next: Tell
      - ErrorEquals: [States.ALL]
        Next: Tell
    Next: Empty?
  Empty?:
    Comment: Nothing to do for nothing.
    Type: Choice
    Choices:
      - Variable: $.rows
        NumericEquals: 0
        Next: Done
    Default: Each
  Each:
    Comment: Does each.
    Type: Map
    ItemProcessor:
      StartAt: One
      States:
        One:
          Comment: Does one.
          Type: Pass
          End: true
    Catch:
      - ErrorEquals: [States.DataLimitExceeded]
        Next: Tell
      - ErrorEquals: [States.ALL]
        Next: Tell
    Next: Done
  Done:
    Comment: Ends well.
    Type: Succeed
  Tell:
    Comment: Says so.
    Type: Pass
    Next: Failed
  Failed:
    Comment: Ends badly.
    Type: Fail
"""
ERRORS = """
class TransientError(Exception): ...
class Throttled(TransientError): ...
class Busy(Throttled): ...
class Refused(Exception): ...
"""

LATE_CATCH = """Next: Tell
      - ErrorEquals: [Refused]
        Next: Tell
    Next: Done"""
BROKEN = [
    (checks.targets_missing, "StartAt: Work", "StartAt: Play", "StartAt Play is no state"),
    (checks.targets_missing, "Next: Failed", "Next: Nowhere", "Tell leads to Nowhere, which is no state"),
    (checks.targets_missing, "Default: Each", "Default: Nowhere", "Empty? leads to Nowhere"),
    (checks.targets_missing, "0\n        Next: Done", "0\n        Next: Nowhere", "Empty? leads to Nowhere"),
    (checks.targets_missing, "[States.ALL]\n        Next: Tell", "[States.ALL]\n        Next: One", "Work leads to"),
    (checks.targets_missing, "StartAt: One", "StartAt: Two", "StartAt Two is no state"),
    (checks.states_unreachable, "Default: Each", "Default: Done", "Each can't be reached"),
    (checks.states_unreachable, "StartAt: One", "StartAt: Two", "One can't be reached"),
    (checks.names_repeated, "        One:", "        Tell:", "Tell is the name of several states"),
    (checks.ends_missing, "          End: true\n", "", "One has neither Next nor End"),
    (checks.ends_missing, "    Next: Failed\n", "    Next: Failed\n    End: true\n", "Tell has neither"),
    (checks.comments_missing, "Comment: Works.\n", "", "Machine has no Comment"),
    (checks.comments_missing, "          Comment: Does one.\n", "", "One has no Comment"),
    (checks.substitutions_unmatched, "${WorkArn}", "${PlayArn}", "${PlayArn} is not given"),
    (checks.substitutions_unmatched, "${WorkArn}", "$.arn", "WorkArn is given and not used"),
    (checks.arns_literal, "${WorkArn}", "arn:aws:states:::x", "arn:aws:states:::x is not a substitution"),
    (checks.arns_literal, "${WorkArn}", "arn:${P}:x::123456789012:y", "123456789012 is not a substitution"),
    (checks.timeouts_missing, "    TimeoutSeconds: 60\n", "", "Work has no TimeoutSeconds"),
    (checks.defaults_missing, "    Default: Each\n", "", "Empty? has no Default"),
    (checks.retries_unbounded, "[Busy, Lambda.ServiceException]", "[States.ALL]", "Work retries States.ALL"),
    (checks.retries_unbounded, "        MaxAttempts: 3\n", "", "without MaxAttempts"),
    (checks.retries_unbounded, "        JitterStrategy: FULL\n      #", "      #", "without JitterStrategy"),
    (checks.timeouts_retried_without_reason, "      # A second look helps.\n", "", "States.Timeout is retried without"),
    (checks.failures_uncaught, "Next: Tell\n    Next: Done", LATE_CATCH, "Each does"),
    (checks.failures_uncaught, "[States.DataLimitExceeded]", "[States.Runtime]", "Work does not catch States"),
    (checks.failures_uncaught, "Exceeded]\n        Next: Tell", "Exceeded]\n        Next: Done", "Work does not"),
    (checks.failures_end_as_success, "Next: Failed", "Next: Done", "Work fails, yet can end in Done"),
]  # fmt: skip


def sample(text: str = SOUND) -> Machine:
    return Machine("Machine", text, {"WorkArn": {"Ref": "Work"}})


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "package").mkdir()
    (tmp_path / "package/errors.py").write_text(ERRORS)
    return tmp_path


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_state_machine_has_no(check: Check, machine: Machine) -> None:
    assert list(check(machine)) == []


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_sample_passes(check: Check) -> None:
    assert list(check(sample())) == []


@pytest.mark.parametrize(
    ("check", "text", "broken", "complaint"), BROKEN, ids=[f"{b[0].__name__}-{b[3]}" for b in BROKEN]
)
def test_a_broken_sample_is_found(check: Check, text: str, broken: str, complaint: str) -> None:
    assert text in SOUND
    faults = list(check(sample(SOUND.replace(text, broken, 1))))
    assert any(complaint in fault for fault in faults), faults


def test_each_check_has_a_broken_sample() -> None:
    assert {check for check, *_ in BROKEN} == set(CHECKS)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_errors_that_are_caught_or_retried_exist(machine: Machine) -> None:
    assert list(checks.errors_unknown(machine, FUNCTIONS)) == []


def test_all_transient_errors_are_retried() -> None:
    assert list(checks.transient_errors_never_retried(MACHINES, FUNCTIONS)) == []


def test_the_machines_retry_alike_and_tell_of_failures_alike() -> None:
    assert list(checks.retries_differ(MACHINES)) == []
    assert list(checks.failures_told_differently(MACHINES)) == []


@pytest.mark.parametrize(
    ("text", "broken"), [("MaxAttempts: 3", "MaxAttempts: 2"), ("        MaxAttempts: 1\n", "        MaxAttempts: 0\n")]
)
def test_machines_that_retry_differently_are_found(text: str, broken: str) -> None:
    assert list(checks.retries_differ([sample(), sample()])) == []
    assert list(checks.retries_differ([sample(), sample(SOUND.replace(text, broken, 1))]))


@pytest.mark.parametrize(
    ("text", "broken", "found"),
    [
        ("    Next: Failed", "    ResultPath: $.x\n    Next: Failed", ["Machine: Tell is not what it is in Machine"]),
        ("    Type: Fail\n", "    Type: Fail\n    Cause: x\n", ["Machine: Fail is not what it is in Machine"]),
        ("Failed", "Unlucky", []),
    ],
)
def test_machines_that_tell_differently_are_found(text: str, broken: str, found: list[str]) -> None:
    assert list(checks.failures_told_differently([sample(), sample(SOUND.replace(text, broken))])) == found


def test_an_unknown_or_lasting_error_in_a_retry_is_found(code: Path) -> None:
    find = partial(checks.errors_unknown, code=code)
    assert list(find(sample())) == []
    assert list(find(sample(SOUND.replace("[Busy,", "[Bussy,")))) == ["Work: no errors.py has a class Bussy"]
    assert list(find(sample(SOUND.replace("[Refused]", "[Refussed]")))) == ["Work: no errors.py has a class Refussed"]
    assert list(find(sample(SOUND.replace("[Busy,", "[Refused,")))) == [
        "Work retries Refused, which is not a TransientError"
    ]


def test_a_transient_error_that_nobody_retries_is_found(code: Path) -> None:
    assert list(checks.transient_errors_never_retried([sample()], code)) == [
        "Throttled is a TransientError that no state retries"
    ]


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_the_definition_keeps_the_states_languages_schema(machine: Machine) -> None:
    assert schema_faults(machine) == []


@pytest.mark.parametrize(
    ("text", "broken"),
    [("TimeoutSeconds", "TimeoutSecond"), ("Type: Pass", "Type: Pause")],
)
def test_a_definition_against_the_schema_is_found(text: str, broken: str) -> None:
    assert text in SOUND
    assert schema_faults(sample()) == []
    assert schema_faults(sample(SOUND.replace(text, broken, 1)))


def schema_faults(machine: Machine) -> list[str]:
    """What cfn-lint says of a definition written into the template; definitions in files of their own it skips."""
    filled = re.sub(r"\$\{(\w+)\}", _sample_value, machine.text)
    properties = {"RoleArn": "arn:aws:iam::123456789012:role/states", "Definition": yaml.safe_load(filled)}
    template = {"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": properties}}}
    # cfn-lint's schema lacks the OutputPath of a Succeed state, which the States language has.
    return [text for text in map(str, lint_all(json.dumps(template))) if "('OutputPath' was unexpected)" not in text]


def _sample_value(name: re.Match[str]) -> str:
    match name[1]:
        case "Partition":
            return "aws"
        case number if number.endswith(("Seconds", "Allowed")):
            return "1"
    return "arn:aws:lambda:us-east-1:123456789012:function:sample"
