"""The process of one way of loading: `python -m benchmarks.way '<task as JSON>' <start on the monotonic clock>`.

Prints a line when it could begin, begins when it is sent one, and prints what it used.
"""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.task import Task, Usage


def main() -> None:
    """Run the task given on the command line."""
    task, started_at = Task(**json.loads(sys.argv[1])), float(sys.argv[2])
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    for module in task.imports:
        import_module(module)
    load = import_module(f"benchmarks.ways.{task.way}").prepare(task)
    # What was imported is looked through once, now: whether that falls into the time of a load is chance otherwise.
    gc.collect()
    start_seconds, start_cpu_seconds = time.monotonic() - started_at, _cpu_seconds()
    print("ready", flush=True)
    sys.stdin.readline()
    began_at, cpu_before = time.monotonic(), _cpu_seconds()
    rows = load()
    usage = Usage(
        rows=rows,
        began_at=began_at,
        ended_at=time.monotonic(),
        cpu_seconds=_cpu_seconds() - cpu_before,
        peak_bytes=_peak_bytes(),
        start_seconds=start_seconds,
        start_cpu_seconds=start_cpu_seconds,
    )
    print(json.dumps(asdict(usage)), flush=True)


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak_bytes() -> int:
    """From the process's own memory map, as `ru_maxrss` may tell of the process that it was forked from."""
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    if peak is None:
        raise RuntimeError("/proc/self/status has no VmHWM: the benchmarks need Linux")
    return int(peak[1]) * 1024


if __name__ == "__main__":
    main()
