"""The samples in events/ are what state machines take as input, and what the template's rule lets through."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from moto.events.models import EventPattern

from errors import InvalidInput
from execution_input import parse_input
from statements.procedure_call import ProcedureRequest, procedure_call
from tests.template.stack import ROOT, Stack
from unload.query import requested_query
from unload.request import LoadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

SAMPLES = sorted((ROOT / "events").glob("*.json"))
RULE = Stack.load().resources("AWS::Events::Rule")["EventBridgeRedshiftEventRule"]


def run_procedure(payload: Any) -> None:
    procedure_call(parse_input(ProcedureRequest, payload), ["*"])


def run_load(payload: Any) -> None:
    requested_query(parse_input(LoadRequest, payload), "SELECT 1 AS review_id")


def pass_rule(event: Any) -> None:
    assert EventPattern.load(json.dumps(RULE["EventPattern"])).matches_event(event)


# By how a sample's name begins.
TAKERS: dict[str, Callable[[Any], None]] = {
    "redshift_run_sps": run_procedure,
    "redshift_to_dynamo": run_load,
    "redshift_data_statement_status_change": pass_rule,
}


def taker(name: str) -> Callable[[Any], None]:
    return next(take for beginning, take in TAKERS.items() if name.startswith(beginning))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_a_sample_is_taken(sample: Any) -> None:
    taker(sample.stem)(json.loads(sample.read_text()))


def test_there_is_a_sample_for_each_taker() -> None:
    assert {taker(sample.stem) for sample in SAMPLES} == set(TAKERS.values())


@pytest.mark.parametrize(
    ("name", "payload", "refusal"),
    [
        ("redshift_run_sps", {"sp_name": "public.p"}, InvalidInput),
        ("redshift_to_dynamo", {"querry": "SELECT 1"}, InvalidInput),
        ("redshift_data_statement_status_change", {"source": "aws.redshift-data", "detail": {}}, AssertionError),
    ],
)
def test_a_faulty_sample_is_not_taken(name: str, payload: Any, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        taker(name)(payload)
