"""The point from which on a load changes its table: what is noted before, so that nothing is taken for certain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dynamo_load.accounting.ledger import reopen
from dynamo_load.accounting.vanishing import check_deletions, compared_in_all
from dynamo_load.encoding import ENCODER_VERSION
from locks.table import TableLock
from records.generations import Generations
from records.table_state import TableState, TableStates

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from dynamo_load.plan import LoadPlan


def begin_load(dynamodb: DynamoDBClient, s3: S3Client, ledger_table: str, plan: LoadPlan, execution_arn: str) -> None:
    """Let a load begin, or go on; a second time changes nothing.

    Raises TableIsBeingLoaded if another execution has the table, TooManyDeletions, KeysNotCompared, RecordUnreadable,
    LedgerUnavailable, AwsUnavailable and AwsRefused.
    """
    target, refresh = plan.mapping.target, plan.refresh
    lock = TableLock(dynamodb, ledger_table, target.name, execution_arn)
    lock.begin()
    if refresh and refresh.deletes:
        check_deletions(compared_in_all(dynamodb, ledger_table, plan), refresh.deletes_allowed)
    # The objects first: whoever finds the load in the state finds all of its records.
    if plan.generation:
        Generations(s3, plan.bucket, target.name, target.made).open(plan.generation)
    states = TableStates(dynamodb, ledger_table, target.name, execution_arn)
    before = states.read(anew=plan.knows_nothing)
    after = _begun(before, plan)
    if after and after != before:
        states.write(after)
    lock.begin_load(plan.load_id)
    reopen(dynamodb, ledger_table, plan.load_id)


def _begun(state: TableState | None, plan: LoadPlan) -> TableState | None:
    """The state as it is once the load has begun."""
    target, refresh, generation = plan.mapping.target, plan.refresh, plan.generation
    if state and state.made != target.made:
        state = None
    if refresh is None or generation is None:
        return state and replace(state, digests_hold=False)
    if state is None or state.key_form != refresh.key_form:
        return TableState(target.made, refresh.key_form, ENCODER_VERSION, begun=(generation,))
    if generation in (state.current, *state.begun):
        return state
    begun = replace(state, begun=(*state.begun, generation))
    if plan.knows_nothing:
        # Whoever gives "full" doesn't trust what is noted: should the load fail, the next one shall not either. Nor can
        # be told any more which rows incremental loads have left out.
        return replace(begun, digests_hold=False, progress=None)
    return begun
