"""`python -m tests.mutants [word …]`: plant each fault in a copy of the tree and see whether its tests notice.

With words, only the faults that have each of them in their words, their file or the name of their list.
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mutants.faults import LISTS, ROOT, Fault, StaleFaultError, read_faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

AT_ONCE = 2
SECONDS = 600  # for the tests of one fault, which may well make them wait for something that never comes
NOT_COPIED = shutil.ignore_patterns(".git", ".venv*", ".aws-sam", ".hypothesis", ".*_cache", "__pycache__")

NOTICED, UNNOTICED, STALE = "noticed", "unnoticed", "stale"


class TestsFailAlreadyError(Exception):
    """The tests of the faults fail, or don't run, without any fault: they would seem to notice all of them."""

    __test__ = False


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: `verdict` is NOTICED, UNNOTICED or STALE, and `reason` says why it is stale."""

    fault: Fault
    verdict: str
    reason: str = ""


def plant_each(faults: Sequence[Fault], root: Path, at_once: int = AT_ONCE) -> Iterator[Outcome]:
    """Plant the faults one by one in copies of the tree, `at_once` beside each other; give outcomes in their order.

    Raises `TestsFailAlreadyError`.
    """
    with ExitStack() as stack:
        copies: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for _ in range(at_once):
            copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))) / "tree"
            shutil.copytree(root, copy, ignore=NOT_COPIED)
            copies.put(copy)
        _pass_without_faults(faults, copy, at_once)

        def outcome(fault: Fault) -> Outcome:
            tree = copies.get()
            try:
                return _outcome(fault, tree)
            finally:
                copies.put(tree)

        pool = stack.enter_context(ThreadPoolExecutor(at_once))
        yield from pool.map(outcome, faults)


def _pass_without_faults(faults: Iterable[Fault], tree: Path, at_once: int) -> None:
    tests = sorted({test for fault in faults for test in fault.tests if (tree / test.partition("::")[0]).exists()})
    if not tests:
        return
    ended = _run(["-n", str(at_once), *tests], tree)
    if ended.returncode != pytest.ExitCode.OK:
        raise TestsFailAlreadyError(f"without any fault, these tests fail or can't run:\n{ended.stdout}{ended.stderr}")


def _outcome(fault: Fault, tree: Path) -> Outcome:
    file = tree / fault.file
    try:
        planted = fault.planted(tree)
    except StaleFaultError as error:
        return Outcome(fault, STALE, str(error))
    before = file.read_text()
    file.write_text(planted)
    try:
        code = _run(fault.tests, tree, SECONDS).returncode
    except subprocess.TimeoutExpired:
        return Outcome(fault, NOTICED)
    finally:
        file.write_text(before)
    return Outcome(fault, UNNOTICED if code == pytest.ExitCode.OK else NOTICED)


def _run(arguments: Iterable[str], tree: Path, seconds: float | None = None) -> subprocess.CompletedProcess[str]:
    # -B: bytecode of a file that is written twice within one second would be taken for current.
    command = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "--no-header", *arguments]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def report(outcomes: Iterable[Outcome]) -> bool:
    """Print each outcome as it comes, then the rates by file; return whether every fault was noticed."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        fault = outcome.fault
        by_file[fault.file].append(outcome.verdict)
        reason = f": {outcome.reason}" if outcome.reason else ""
        print(f"{outcome.verdict:9}  {fault.room}: {fault.fault} ({fault.file}){reason}", flush=True)
    width = max(map(len, by_file), default=0)
    print(f"\n{'file':{width}}  noticed  unnoticed  stale")
    for file, verdicts in sorted(by_file.items()):
        print(f"{file:{width}}  {verdicts.count(NOTICED):7}  {verdicts.count(UNNOTICED):9}  {verdicts.count(STALE):5}")
    verdicts = [verdict for of_file in by_file.values() for verdict in of_file]
    noticed = verdicts.count(NOTICED)
    if verdicts:
        print(f"\n{noticed} of {len(verdicts)} faults were noticed, {noticed / len(verdicts):.0%}.")
    return noticed == len(verdicts)


def main() -> int:
    """Plant the chosen faults; return 1 if any was not noticed or is stale, or if none was chosen."""
    arguments = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    arguments.add_argument("words", nargs="*", help="of the fault, its file or the name of its list")
    arguments.add_argument("--at-once", type=int, default=AT_ONCE, help="faults planted beside each other")
    arguments.add_argument("--root", type=Path, default=ROOT, help="the tree to plant them in")
    arguments.add_argument("--lists", type=Path, default=LISTS, help="the folder of their lists")
    given = arguments.parse_args()
    words = [word.lower() for word in given.words]
    chosen = [
        fault
        for fault in read_faults(given.lists)
        if all(word in f"{fault.room} {fault.fault} {fault.file}".lower() for word in words)
    ]
    if not chosen:
        print("no fault has these words")
        return 1
    try:
        return 0 if report(plant_each(chosen, given.root, given.at_once)) else 1
    except TestsFailAlreadyError as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
