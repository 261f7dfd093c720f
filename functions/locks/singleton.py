"""One execution at a time of all that name the same singleton in their input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from locks.errors import SingletonAwaited, SingletonIsHeld
from locks.execution_lock import ExecutionLock
from locks.table import LONGEST_WAIT_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_stepfunctions import SFNClient


def take_singleton(
    dynamodb: DynamoDBClient,
    ledger_table: str,
    name: str,
    execution_arn: str,
    states: SFNClient,
    *,
    waited_seconds: float | None,
) -> None:
    """Take a name for an execution, which has waited so long for it (None: it does not wait); its own it keeps.

    Raises SingletonIsHeld, SingletonAwaited if it is to try again, AwsUnavailable and AwsRefused.
    """
    holder = ExecutionLock(dynamodb, ledger_table, f"singleton#{name}", execution_arn).take(states)
    if holder is None:
        return
    if waited_seconds is None:
        raise SingletonIsHeld(
            f'start again when execution {holder} has ended, which holds {name!r}, or give "wait": true in the input.'
        )
    if waited_seconds >= LONGEST_WAIT_SECONDS:
        raise SingletonIsHeld(
            f"start again when execution {holder} has ended, which holds {name!r}: this one has waited "
            f"{waited_seconds / 3600:.0f} hours."
        )
    raise SingletonAwaited(f"execution {holder} holds {name!r}, try again later.")
