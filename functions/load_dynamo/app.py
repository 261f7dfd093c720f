"""LoadDynamoFunction: loads one piece into the target table, or as much of it as its time allows."""

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from math import ceil
from typing import Any

import botocore.session
from aws_lambda_powertools.utilities.typing import LambdaContext

import lean_arrow  # noqa: F401
from aws_clients import client
from dynamo_load.accounting.ledger import PieceLedger
from dynamo_load.accounting.rejects import RejectedRows
from dynamo_load.comparing import BucketRefresh
from dynamo_load.loading import PieceBatch, PieceLoader
from dynamo_load.plan import LoadPlan, Piece
from dynamo_load.sampling import ItemSample
from dynamo_load.writing.budget import WriteBudget
from dynamo_load.writing.common_pace import CommonPace
from dynamo_load.writing.dry_run import DryRun
from dynamo_load.writing.ledger_client import ledger_client
from dynamo_load.writing.transport import BatchTransport
from environment import number, required
from locks.table import LoaderHold
from target.table import NEW_TABLE_UNITS
from telemetry import logger, traced

# BatchWriteItem requests of one loader at once, at most; it adapts below that. A vCPU encodes about 80,000 wide rows a
# second (docs/performance.md), which are 3,200 requests: if each is answered after 10 ms, 32 are in flight.
_REQUESTS_IN_FLIGHT = 32


@dataclass(frozen=True)
class Settings:
    """This function's environment; `hand_over_seconds` before its time is up the loader stops sending."""

    ledger_table: str
    hand_over_seconds: float


@cache
def _settings() -> Settings:
    return Settings(
        ledger_table=required(os.environ, "LEDGER_TABLE"),
        hand_over_seconds=number(os.environ, "HAND_OVER_SECONDS"),
    )


@cache
def _session() -> botocore.session.Session:
    # Kept for the next invocation: parsing the service's model takes longer than many requests.
    return botocore.session.get_session()


@logger.inject_lambda_context(clear_state=True)
@traced
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Load a piece of a plan: `{"plan", "piece", "execution_arn"}`; `finished` false asks to be called again."""
    logger.append_keys(execution_arn=event["execution_arn"], piece=event["piece"]["name"])
    plan, piece = LoadPlan.from_json(event["plan"]), Piece.from_json(event["piece"])
    tally = _loader(plan, piece, event["execution_arn"], _settings(), context).load(piece)
    logger.info("piece loaded", rows=piece.rows, **asdict(tally))
    return {"piece": piece.name, "finished": tally.finished, "next_row": tally.next_row}


def _loader(
    plan: LoadPlan, piece: Piece, execution_arn: str, settings: Settings, context: LambdaContext
) -> PieceLoader:
    def seconds_left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - settings.hand_over_seconds

    ended_at = time.time() + context.get_remaining_time_in_millis() / 1000
    s3, dynamodb, target = client("s3"), client("dynamodb"), plan.mapping.target
    share = 0 if plan.dry_run else ceil(plan.verify_sample * piece.rows / max(plan.rows, 1))
    return PieceLoader(
        s3=s3,
        bucket=plan.bucket,
        mapping=plan.mapping,
        ledger=PieceLedger(dynamodb, settings.ledger_table, plan.load_id, piece.name, piece.rows, busy_until=ended_at),
        lock=LoaderHold(dynamodb, settings.ledger_table, target.name, execution_arn, client("stepfunctions")),
        rejects=RejectedRows(s3, plan.bucket, plan.load_id, piece.name),
        rejects_allowed=plan.limits.rejects_allowed,
        transport=DryRun() if plan.dry_run else _transport(plan, settings, seconds_left),
        seconds_left=seconds_left,
        refresh=BucketRefresh(s3, plan, piece) if plan.refresh else None,
        sample=ItemSample(dynamodb, target, piece.rows, share) if share else None,
    )


def _transport(plan: LoadPlan, settings: Settings, seconds_left: Callable[[], float]) -> BatchTransport[PieceBatch]:
    session, capacity = _session(), plan.mapping.target.capacity
    units_per_second, headroom = plan.limits.write_budget(capacity), plan.limits.loaders_headroom(capacity)
    budget = None
    if units_per_second:
        budget = WriteBudget(session, settings.ledger_table, plan.load_id, units_per_second)
    return BatchTransport(
        table=plan.mapping.target.name,
        session=session,
        max_in_flight=_REQUESTS_IN_FLIGHT,
        common_pace=CommonPace(ledger_client(session), settings.ledger_table, plan.load_id, plan.loaders),
        headroom=headroom,
        # Without it a loader would first use up what the table has saved up for the moments when others need it.
        first_rate=(capacity.warm or NEW_TABLE_UNITS) / plan.loaders if headroom else None,
        budget=budget,
        seconds_left=seconds_left,
    )
