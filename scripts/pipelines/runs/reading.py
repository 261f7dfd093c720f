"""Finding and reading runs. Every call raises AwsRefused and AwsUnavailable, with AWS's own words."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_errors import named_failures
from dynamo_load.accounting.ledger import pieces
from dynamo_load.plan import LoadPlan
from errors import AwsRefused
from locks.execution_lock import ENDED
from scripts.pipelines.failures import NoSuchRun
from scripts.pipelines.runs.history import stages, told
from scripts.pipelines.runs.model import Load, Outcome, Pipeline, Run, Statement, Summary
from statements.data_api import RedshiftDataApi, StatementState
from statements.errors import StatementForgotten
from statements.names import StatementKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dynamo_load.accounting.ledger import PieceEntry
    from scripts.pipelines.runs.model import Stage
    from scripts.pipelines.stack import Stack

_MACHINES = {
    Pipeline.PROCEDURE: "StoredProcedureStateMachineArn",
    Pipeline.LOAD: "RedshiftToDynamoStateMachineArn",
}
_EVENTS_AT_ONCE = 1_000
# So that who watches a load of thousands of pieces doesn't take a provisioned ledger's capacity from its loaders: an
# entry is up to a KB, which a consistent read of all of them takes a quarter of a unit for.
_PIECES_READ_PER_SECOND = 50
_TOKEN_ROW = "statementName, kind, statementId, #status, attempts, stoppingSince, endedAt, createdAt, updatedAt"  # noqa: S105 - no token among them


class RunReader:
    """Reads the runs of a stack. It remembers statements that have ended, so that to look again costs little.

    Of a load that runs, so many `pieces_per_second` are read at most: the ledger is its loaders' as well.
    """

    def __init__(self, stack: Stack, *, pieces_per_second: float = _PIECES_READ_PER_SECOND) -> None:
        self._stack, self._pieces_per_second = stack, pieces_per_second
        self._told: dict[str, StatementState] = {}
        self._refused = False
        self._pieces: tuple[str, float, tuple[PieceEntry, ...]] = ("", 0.0, ())

    def machine(self, pipeline: Pipeline) -> str:
        """The ARN of a pipeline's state machine."""
        return self._stack.outputs[_MACHINES[pipeline]]

    def recent(self, most: int, pipelines: Iterable[Pipeline] = tuple(Pipeline), status: str = "") -> list[Summary]:
        """The latest runs, at most so many, the latest first; with a `status`, those that have it."""
        found: list[Summary] = []
        wanted: Any = {"statusFilter": status} if status else {}
        for pipeline in pipelines:
            with named_failures():
                pages = (
                    self._stack.client("stepfunctions")
                    .get_paginator("list_executions")
                    .paginate(stateMachineArn=self.machine(pipeline), PaginationConfig={"MaxItems": most}, **wanted)
                )
                found += [_summary(entry, pipeline) for page in pages for entry in page["executions"]]
        return sorted(found, key=lambda summary: summary.started_at, reverse=True)[:most]

    def find(self, name: str) -> Outcome:
        """The run of that name or ARN. Raises NoSuchRun."""
        for pipeline in Pipeline:
            machine = self.machine(pipeline)
            arn = name if name.startswith("arn:") else f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
            if arn.split(":")[6] == machine.split(":")[6] and (outcome := self._outcome(arn, pipeline)):
                return outcome
        raise NoSuchRun(
            f"The stack {self._stack.name} has no run {name}. The command list shows those that there are; Step "
            "Functions forgets a run 90 days after its end."
        )

    def outcome(self, summary: Summary) -> Outcome:
        """What the execution itself says of a run in a list. Raises NoSuchRun if it is gone meanwhile."""
        outcome = self._outcome(summary.arn, summary.pipeline)
        if outcome is None:
            raise NoSuchRun(f"The run {summary.name} is gone.")
        return outcome

    def read(self, summary: Summary) -> Run:
        """All that is known of a run now. Raises NoSuchRun, and LedgerUnavailable if the ledger can't be read."""
        outcome = self.outcome(summary)
        visited = stages(self._events(outcome.arn), outcome.ended_at)
        return Run(
            **vars(outcome), stages=visited, statements=self._statements(outcome.arn), load=self._load(visited, outcome)
        )

    def _outcome(self, arn: str, pipeline: Pipeline) -> Outcome | None:
        states = self._stack.client("stepfunctions")
        with named_failures():
            try:
                execution = states.describe_execution(executionArn=arn)
            except states.exceptions.ExecutionDoesNotExist:
                return None
        has_ended = "stopDate" in execution and execution["status"] in ENDED
        succeeded = execution["status"] == "SUCCEEDED"
        error, cause = told(execution.get("error", ""), execution.get("cause", ""))
        return Outcome(
            arn=arn,
            pipeline=pipeline,
            status=execution["status"],
            started_at=_utc(execution["startDate"]),
            ended_at=_utc(execution["stopDate"]) if has_ended else None,
            redrives=execution.get("redriveCount", 0),
            input=json.loads(execution.get("input") or "null"),
            output=json.loads(execution.get("output") or "null") if succeeded else None,
            error=None if succeeded else error or None,
            cause=None if succeeded else cause or None,
        )

    def _events(self, arn: str) -> Iterable[Mapping[str, Any]]:
        with named_failures():
            pages = (
                self._stack.client("stepfunctions")
                .get_paginator("get_execution_history")
                .paginate(executionArn=arn, PaginationConfig={"PageSize": _EVENTS_AT_ONCE})
            )
            for page in pages:
                for event in page["events"]:
                    yield {**event, "timestamp": _utc(event["timestamp"])}

    def _load(self, visited: Sequence[Stage], outcome: Outcome) -> Load | None:
        plans = [
            stage.output["plan"] for stage in visited if isinstance(stage.output, dict) and stage.output.get("plan")
        ]
        if not plans:
            return None
        plan = LoadPlan.from_json(plans[-1])
        return Load(plan, self._entries(plan.load_id, outcome))

    def _entries(self, load_id: str, outcome: Outcome) -> tuple[PieceEntry, ...]:
        """The pieces of a load; of one that runs, those of the look before, if that was a moment ago for so many."""
        known, read_at, entries = self._pieces
        is_fresh = time.monotonic() - read_at < len(entries) / self._pieces_per_second
        if not (outcome.is_running and known == load_id and is_fresh):
            ledger = self._stack.outputs["LedgerTableName"]
            entries = tuple(pieces(self._stack.client("dynamodb"), ledger, load_id))
            self._pieces = (load_id, time.monotonic(), entries)
        return entries

    def _statements(self, arn: str) -> tuple[Statement, ...]:
        """The statements that the ledger says the run has submitted, in the order in which it did."""
        dynamodb, outputs = self._stack.client("dynamodb"), self._stack.outputs
        with named_failures():
            note = dynamodb.get_item(
                TableName=outputs["LedgerTableName"],
                Key={"loadId": {"S": f"execution#{arn}"}, "entry": {"S": "execution"}},
                ConsistentRead=True,
            ).get("Item", {})
            rows = [
                dynamodb.get_item(
                    TableName=outputs["MetaTableName"],
                    Key={"statementName": {"S": name}},
                    ConsistentRead=True,
                    ProjectionExpression=_TOKEN_ROW,
                    ExpressionAttributeNames={"#status": "status"},
                ).get("Item")
                for name in note.get("statements", {}).get("SS", ())
            ]
        found = [self._statement(row) for row in rows if row]
        return tuple(sorted(found, key=lambda statement: statement.created_at))

    def _statement(self, row: Mapping[str, Any]) -> Statement:
        statement_id = row["statementId"]["S"] if "statementId" in row else None
        state = self._redshift_says(statement_id) if statement_id else None
        return Statement(
            name=row["statementName"]["S"],
            kind=StatementKind[row["kind"]["S"]],
            statement_id=statement_id,
            status=state.status if state else row["status"]["S"],
            is_told=state is not None,
            has_ended=state.is_terminal if state else "endedAt" in row,
            error=(state.error or None) if state else None,
            rows=state.rows if state else None,
            seconds=state.duration_seconds if state else None,
            attempts=int(row["attempts"]["N"]),
            is_stopping="stoppingSince" in row,
            created_at=datetime.fromtimestamp(float(row["createdAt"]["N"]), UTC),
            updated_at=datetime.fromtimestamp(float(row["updatedAt"]["N"]), UTC),
        )

    def _redshift_says(self, statement_id: str) -> StatementState | None:
        if statement_id in self._told:
            return self._told[statement_id]
        if self._refused:
            return None
        api = RedshiftDataApi(self._stack.client("redshift-data", self._stack.parameters.get("REGION") or None))
        try:
            state = api.describe(statement_id)
        except AwsRefused:
            # Only the role that submitted a statement may ask for it: the next answer would be the same.
            self._refused = True
            return None
        except StatementForgotten:
            return None
        if state.is_terminal:
            self._told[statement_id] = state
        return state


def _summary(entry: Any, pipeline: Pipeline) -> Summary:
    ended = entry.get("stopDate") if entry["status"] in ENDED else None
    return Summary(
        arn=entry["executionArn"],
        pipeline=pipeline,
        status=entry["status"],
        started_at=_utc(entry["startDate"]),
        ended_at=_utc(ended) if ended else None,
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
