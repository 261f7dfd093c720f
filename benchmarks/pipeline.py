"""The deployed application on the local AWS, from table to table, and which of its processes are how busy."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from benchmarks.bench import RowsUnaccountedFor
from local import executions, reviews_table
from local.demo.comparison import item_count
from local.stack import LocalAws, deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_stepfunctions import SFNClient

    from benchmarks.scale import Scale

_LOADER = "-LoadDynamo"
_TIMEOUT_SECONDS = 3_600


@dataclass(frozen=True)
class PipelineFigure:
    """One execution; CPU seconds are those of each kind of process while it ran."""

    rows: int
    wall_seconds: float
    state_seconds: dict[str, float]
    cpu_seconds: dict[str, float]
    """Of `loader`, `other functions`, `local AWS` (S3, DynamoDB, Step Functions, Lambda …) and `local Redshift`."""
    loader_peak_bytes: int


def measure(scale: Scale, report: Callable[[str], None]) -> list[PipelineFigure]:
    """Load more and more rows, each time with a new stack. Raises RowsUnaccountedFor if the target has other rows."""
    figures = []
    for count in scale.pipeline_rows:
        with LocalAws() as aws:
            outputs = deploy(aws)
            reviews_table.fill(aws, count, timeout_seconds=_TIMEOUT_SECONDS)
            states: SFNClient = aws.client("stepfunctions")
            processes = _Processes(_postgres(aws.directory))
            processes.look()
            before = processes.cpu_seconds
            arn = executions.start(states, outputs["RedshiftToDynamoStateMachineArn"], {})
            ended = executions.wait(states, arn, timeout_seconds=_TIMEOUT_SECONDS, while_running=processes.look)
            stored = item_count(aws.client("dynamodb"), outputs["TargetTableName"])
            if ended.status != "SUCCEEDED" or stored != count:
                raise RowsUnaccountedFor(
                    f"{count:,} rows: {ended.status} {ended.error} {ended.cause}; the target has {stored:,} items"
                )
            state_seconds = _state_seconds(states, arn)
            figures.append(
                PipelineFigure(
                    rows=count,
                    wall_seconds=sum(state_seconds.values()),
                    state_seconds=state_seconds,
                    cpu_seconds={kind: seconds - before[kind] for kind, seconds in processes.cpu_seconds.items()},
                    loader_peak_bytes=processes.loader_peak_bytes,
                )
            )
            report(f"{count:>9,} rows through the local pipeline in {figures[-1].wall_seconds:.0f} s")
    return figures


def _state_seconds(states: SFNClient, execution_arn: str) -> dict[str, float]:
    """How long each state of an execution took."""
    entered, seconds = {}, {}
    for page in states.get_paginator("get_execution_history").paginate(executionArn=execution_arn):
        for event in page["events"]:
            if "stateEnteredEventDetails" in event:
                entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
            if "stateExitedEventDetails" in event:
                name = event["stateExitedEventDetails"]["name"]
                seconds[name] = (event["timestamp"] - entered[name]).total_seconds()
    return seconds


def _postgres(directory: Path) -> psutil.Process:
    """The server behind the local Redshift, which is a child of the system rather than of the local AWS."""
    for process in psutil.process_iter(["cmdline"]):
        command = " ".join(process.info["cmdline"] or [])
        if "postgres" in command and str(directory) in command:
            return process
    raise RuntimeError(f"no PostgreSQL server runs in {directory}")


@dataclass
class _Processes:
    """The processes of the local AWS, as last seen; one that ends between two looks loses a tenth of a second."""

    postgres: psutil.Process
    loader_peak_bytes: int = 0
    _seen: dict[tuple[int, float], tuple[str, float]] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> Counter[str]:
        """User and system time so far, by kind of process."""
        sums: Counter[str] = Counter()
        for kind, seconds in self._seen.values():
            sums[kind] += seconds  # type: ignore[assignment]  # seconds count as well as integers
        return sums

    def look(self) -> None:
        """Note what every process has used."""
        redshift = [self.postgres, *self.postgres.children(recursive=True)]
        for process in [*psutil.Process().children(recursive=True), *redshift]:
            try:
                identity = (process.pid, process.create_time())
                kind = _kind(process)
                times = process.cpu_times()
                self._seen[identity] = (kind, times.user + times.system)
                if kind == "loader":
                    peak = re.search(r"VmHWM:\s*(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
                    self.loader_peak_bytes = max(self.loader_peak_bytes, int(peak[1]) * 1024 if peak else 0)
            except (psutil.Error, OSError):
                continue


def _kind(process: psutil.Process) -> str:
    command = " ".join(process.cmdline())
    if "_worker" in command:
        return (
            "loader" if process.environ().get("AWS_LAMBDA_FUNCTION_NAME", "").endswith(_LOADER) else "other functions"
        )
    return "local Redshift" if "postgres" in command else "local AWS"
