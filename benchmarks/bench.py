"""Starting what is measured: a sink for each run, one object store and ledger, and the ways, each in its own process.

Where the machine has two cores or more, sink, store and ledger share the first and the ways the last, so that "rows per
second" are those of one core, and nothing but the ways runs on it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.task import Task, Usage
from local.dynamodb_sink import DynamoDbSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.datasets import Dataset
    from local.dynamodb_sink import SinkBehaviour, SinkReport

IN_FLIGHT = 32
_ROOT = Path(__file__).parents[1]
_STOP_SECONDS = 10


class RowsUnaccountedFor(Exception):
    """Rows sent and rows that arrived differ, or a way failed."""


@dataclass(frozen=True)
class Work:
    """A way and what it loads: the first `rows` rows of these row groups (None: all of their rows)."""

    way: str
    dataset: Dataset
    row_groups: list[int]
    key: str
    rows: int | None = None
    in_flight: int = IN_FLIGHT
    imports: tuple[str, ...] = ()
    known: str | None = None
    sort_key: str | None = None

    @property
    def row_count(self) -> int:
        """The number of rows to load."""
        return self.rows or len(self.row_groups) * self.dataset.row_group_rows


@dataclass(frozen=True)
class Run:
    """One run of one or more ways at once: what each used, and what the sink got."""

    usages: list[Usage]
    sink: SinkReport
    stored: dict[str, int]
    """How often each key was stored, if that was asked for."""

    @property
    def rows(self) -> int:
        """Rows loaded, those included that were found unchanged."""
        return sum(usage.rows for usage in self.usages)

    @property
    def wall_seconds(self) -> float:
        """From the first beginning to the last end."""
        return max(usage.ended_at for usage in self.usages) - min(usage.began_at for usage in self.usages)

    @property
    def cpu_seconds(self) -> float:
        """Of all ways together."""
        return sum(usage.cpu_seconds for usage in self.usages)

    @property
    def peak_bytes(self) -> int:
        """Of the way that needed most."""
        return max(usage.peak_bytes for usage in self.usages)


class Bench:
    """Where ways are run. A context manager; `directory` holds the Parquet files that the object store serves."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = ExitStack()
        cores = sorted(os.sched_getaffinity(0))
        self._way_core = cores[-1] if len(cores) > 1 else None
        self._cores = set(cores)
        self._store_url = ""
        self._ledger_url = ""
        self._runs = 0

    @property
    def pinned(self) -> bool:
        """Whether the ways have a core to themselves."""
        return self._way_core is not None

    def __enter__(self) -> Bench:
        with ExitStack() as running:
            if self.pinned:
                # What is started from here on stays off the core of the ways, unless it asks for it.
                os.sched_setaffinity(0, {min(self._cores)})
                running.callback(os.sched_setaffinity, 0, self._cores)
            store = running.enter_context(_process("benchmarks.object_store", str(self._directory)))
            self._store_url = f"http://127.0.0.1:{_line(store)}"
            ledger = running.enter_context(_process("benchmarks.ledger"))
            self._ledger_url = f"http://127.0.0.1:{_line(ledger)}"
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def run(
        self, behaviour: SinkBehaviour, *works: Work, changed: int | None = None, ask_for_keys: bool = False
    ) -> Run:
        """Run ways at the same time, against a new sink; `changed` rows are to be written (None: all of them).

        Raises RowsUnaccountedFor if the sink got other rows.
        """
        self._runs += 1
        with DynamoDbSink(behaviour) as sink, ExitStack() as running:
            ways = []
            for number, work in enumerate(works):
                task = Task(
                    way=work.way,
                    file=str(work.dataset.path),
                    row_groups=work.row_groups,
                    rows=work.row_count,
                    key=work.key,
                    sort_key=work.sort_key,
                    ledger_url=self._ledger_url,
                    load=f"load-{self._runs}",
                    loaders=len(works),
                    in_flight=work.in_flight,
                    piece=f"{number:05}",
                    core=self._way_core,
                    imports=work.imports,
                    known=work.known,
                )
                arguments = [json.dumps(asdict(task)), str(time.monotonic())]
                environment = _environment(sink, self._store_url, f"WAY{number}")
                ways.append(running.enter_context(_process("benchmarks.way", *arguments, environment=environment)))
            for way in ways:
                _line(way)
            for way in ways:
                _begin(way)
            usages = [Usage(**json.loads(_line(way))) for way in ways]
            run = Run(usages, sink.report(), sink.stored() if ask_for_keys else {})
        rows = sum(work.row_count for work in works)
        _check(run, rows, rows if changed is None else changed)
        return run


def _check(run: Run, rows: int, changed: int) -> None:
    sink = run.sink
    if (run.rows, sink.rows_stored) != (rows, changed) or sink.violations or sink.keys_stored_again:
        raise RowsUnaccountedFor(
            f"{rows:,} rows were to be loaded, {run.rows:,} were said to be; {changed:,} to be written, "
            f"{run.sink.rows_stored:,} arrived, "
            f"{run.sink.keys_stored_again:,} keys more than once; violations: {run.sink.violations[:3]}"
        )


def _environment(sink: DynamoDbSink, store_url: str, access_key: str) -> dict[str, str]:
    """Nothing of a developer's AWS settings, so that no request can leave this machine.

    By the access key the sink tells the ways of a run apart.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return inherited | {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_ENDPOINT_URL_DYNAMODB": sink.endpoint_url,
        "AWS_ENDPOINT_URL_S3": store_url,
        "AWS_CA_BUNDLE": sink.ca_bundle or "",
        # As in a stack that isn't told to trace.
        "POWERTOOLS_TRACE_DISABLED": "true",
        "PYTHONPATH": str(_ROOT / "functions"),
    }


@contextmanager
def _process(
    module: str, *arguments: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a module until its standard input ends, which it does with this process too."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.communicate(timeout=_STOP_SECONDS)
    finally:
        process.kill()
        process.wait()


def _begin(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None:
        process.stdin.write("begin\n")
        process.stdin.flush()


def _line(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline() if process.stdout is not None else ""
    if not line:
        raise RowsUnaccountedFor(f"{process.args!r} ended early; its standard error says why")
    return line.strip()
