"""A load that has succeeded: what is known of its table from now on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dynamo_load.encoding import ENCODER_VERSION
from records.generations import Generations
from records.table_state import TableState, TableStates
from target.describing import check_still_there

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

    from dynamo_load.plan import LoadPlan


def commit_load(
    dynamodb: DynamoDBClient, s3: S3Client, ledger_table: str, plan: LoadPlan, execution_arn: str, *, recorded_keys: int
) -> None:
    """Make the records of a load the current ones, and remove those that they replace; a second time changes nothing.

    A load that makes no records leaves how far it has come, if it is an incremental one. Raises TableIsBeingLoaded if
    another execution has the table, TargetTableReplaced, TargetTableNotFound, RecordUnreadable, AwsUnavailable and
    AwsRefused.
    """
    target = plan.mapping.target
    check_still_there(dynamodb, target)
    if plan.refresh is None and plan.progress is None:
        return
    states = TableStates(dynamodb, ledger_table, target.name, execution_arn)
    before = states.read()
    if before and before.made != target.made:
        before = None
    after = _committed(before, plan, recorded_keys)
    if after != before:
        states.write(after)
    if plan.refresh:
        # What this attempt has replaced, and what one before it has.
        known = {plan.refresh.current, *plan.refresh.begun} | ({before.current, *before.begun} if before else set())
        replaced = [generation for generation in known - {plan.generation} if generation]
        Generations(s3, plan.bucket, target.name, target.made).remove(replaced)


def _committed(state: TableState | None, plan: LoadPlan, recorded_keys: int) -> TableState:
    progress = plan.progress or (state.progress if state else None)
    if plan.refresh and plan.refresh.deletes:
        # Rows that an incremental load has brought may be among what was deleted.
        progress = None
    if plan.refresh is None:
        # Of what the table holds this says nothing: the next load with records begins a state of its own.
        anew = TableState(plan.mapping.target.made, "", ENCODER_VERSION, digests_hold=False)
        return replace(state or anew, progress=progress)
    return TableState(
        made=plan.mapping.target.made,
        key_form=plan.refresh.key_form,
        encoder=ENCODER_VERSION,
        current=plan.generation,
        keys=recorded_keys,
        progress=progress,
    )
