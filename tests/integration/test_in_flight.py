"""The stack is updated while procedures and loads run and things around them fail by chance: nothing is lost."""

from __future__ import annotations

import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.stack import PROJECT, delete, deploy_built
from tests.soak import Measure, Soak

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local.data_api import DataApi
    from local.stack import LocalAws

STACK = "shaken"
PARAMETERS = {
    "StackPrefix": STACK,
    "DynamodbMetaTable": "shaken-tokens",
    "DynamodbLedgerTable": "shaken-ledger",
    "DynamodbTargetTable": "shaken-target",
}
PROCEDURES = 50
SEED = 20261126


@pytest.fixture
def outputs(aws: LocalAws, redshift: DataApi, built: None) -> Iterator[dict[str, str]]:
    """The outputs of a stack of this test's own."""
    yield deploy_built(aws, STACK, PARAMETERS)
    delete(aws, STACK)


@pytest.fixture
def next_version(built: None, tmp_path: Path) -> Path:
    """The template of a next version, built: other code, another definition of each machine."""
    for folder in ("functions", "statemachine"):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    with (tmp_path / "functions/errors.py").open("a") as code:
        code.write("\n# A later version.\n")
    for definition in (tmp_path / "statemachine").glob("*.yaml"):
        definition.write_text(definition.read_text().replace("Comment: ", "Comment: Later. ", 1))
    tag = Path(".aws-sam/local") / str(sys.implementation.cache_tag)
    (tmp_path / tag / "build").mkdir(parents=True)
    (tmp_path / tag / "layers").symlink_to(PROJECT / tag / "layers")
    shutil.copy(PROJECT / tag / "build/template.json", tmp_path / tag / "build")
    for file in ("LICENSE", "README.md", "template.yaml"):
        shutil.copy(PROJECT / file, tmp_path)
    return tmp_path / "template.yaml"


def test_what_is_in_flight_while_the_stack_is_updated_and_shaken_ends_as_it_should(
    aws: LocalAws, outputs: dict[str, str], next_version: Path
) -> None:
    functions, states = aws.client("lambda"), aws.client("stepfunctions")
    machine = outputs["StoredProcedureStateMachineArn"]

    def version() -> tuple[Any, Any]:
        function = functions.get_function(FunctionName=outputs["CallbackFunctionName"])
        return (
            function["Configuration"]["CodeSha256"],
            "Later. " in states.describe_state_machine(stateMachineArn=machine)["definition"],
        )

    def running() -> int:
        return len(states.list_executions(stateMachineArn=machine, statusFilter="RUNNING")["executions"])

    def update() -> tuple[int, int]:
        deadline = time.monotonic() + 60
        while (before := running()) < PROCEDURES / 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        changed = PARAMETERS | {"AllowedProcedures": "public.sp_*"}
        with ThreadPoolExecutor(1) as thread:
            updating = thread.submit(deploy_built, aws, STACK, changed, template=next_version)
            # However long the update takes, some run when it is over.
            while not updating.done():
                soak.start_procedures(1)
                time.sleep(1)
            updating.result()
        return before, running()

    code_before, _ = version()
    in_flight: list[int] = []
    soak = Soak(aws, outputs, prefix=STACK, seed=SEED)
    figures = soak.run(
        PROCEDURES,
        tables=1,
        loads=1,
        measure=Measure(kills=1, outages=1, outage_seconds=(2, 3)),
        procedure_seconds="2 + 6 * random()",
        meanwhile=lambda: in_flight.extend(update()),
    )
    code_after, later = version()
    assert code_after != code_before
    assert later
    assert any(fault.startswith("outage") for fault in figures.faults), figures
    assert min(in_flight) > 0, f"of the procedures {in_flight} ran before and after the update"
