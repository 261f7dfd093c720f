"""What a load would take, held against what loads took."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from moto.dynamodb.models.table import Table

from dynamo_load.plan import LoadLimits
from scripts.pipelines.estimating import Asked, Figure, estimate
from target.table import WriteCapacity
from tests.unit.scripts.conftest import TARGET, call

if TYPE_CHECKING:
    from tests.unit.scripts.conftest import Account

MEASURED = json.loads((Path(__file__).parents[3] / "docs/performance.json").read_text())
AT_ITS_LIMIT = [
    run
    for run in MEASURED["table_limit"]["runs"]
    if run["case"] == "no limit" or (run["case"].startswith(("10 partitions", "40 partitions")))
]
BILLION = ("estimate", "--rows", "1,000,000,000", "--item-bytes", "900")


def figures(*words: str) -> dict[str, Any]:
    return {figure["name"]: figure for figure in call("--json", *words, region=None).document}


def estimated(asked: Asked, limits: LoadLimits, capacity: WriteCapacity) -> dict[str, Figure]:
    return {figure.name: figure for figure in estimate(asked, limits, capacity)}


@pytest.mark.parametrize("run", AT_ITS_LIMIT, ids=lambda run: f"{run['case']} {run['repetition']}")
def test_a_measured_load_took_as_long_as_it_is_estimated(run: dict[str, Any]) -> None:
    # Where no table sets the pace, the core does: there is no network of Lambda's between loader and sink.
    warm, item_bytes = (int(run["steady_limit"]), 900) if run["steady_limit"] else (1_000_000, 700)
    asked = Asked(run["rows"], item_bytes, "upsert", 1.0, 0, 0.625)
    told = estimated(asked, LoadLimits(0, run["loaders"], 0), WriteCapacity(warm=warm))
    assert told["loading"].value == pytest.approx(run["wall_seconds"], rel=0.12)


def test_a_measured_refresh_took_as_long_as_it_is_estimated() -> None:
    runs = [run for run in MEASURED["refresh"]["runs"] if run["case"] == "1% changed"]
    assert runs
    for run in runs:
        asked = Asked(run["rows"], 900, "changes", 0.01, 0, 0.625)
        told = estimated(asked, LoadLimits(0, 1, 0), WriteCapacity(warm=1_000_000))
        assert told["loading"].value == pytest.approx(run["wall_seconds"], rel=0.15)


def test_the_worked_example_of_the_manual_is_what_the_command_says() -> None:
    told = figures(*BILLION)
    assert told["write units"]["value"] == 1_000_000_000
    assert told["pace"]["value"] == 4_000
    assert told["loading"]["value"] == 250_000
    assert told["DynamoDB"]["value"] == 625
    assert told["warmed first"]["value"] == 25_000
    assert "36,000 units" in told["warmed first"]["formula"]
    told = figures(*BILLION, "--mode", "changes", "--warm", "40,000")
    assert told["loading"]["value"] == 25_000
    assert round(told["Lambda"]["value"], 2) == 2.30
    assert round(told["Step Functions"]["value"], 2) == 0.20
    told = figures(*BILLION, "--mode", "changes", "--changed", "1", "--warm", "40,000")
    assert told["DynamoDB"]["value"] == 6.25
    assert told["loading"]["value"] == pytest.approx(4_290 / 4)
    assert "limited by comparing all rows" in told["loading"]["formula"]


def test_what_is_little_and_not_nothing_is_not_told_as_nothing() -> None:
    told = figures("estimate", "--rows", "3,000", "--item-bytes", "900")
    assert told["DynamoDB"]["words"] == "$0.0019"
    assert told["Lambda"]["words"] == "< $0.0001"
    assert told["Step Functions"]["words"] == "$0.0001"


def test_each_index_costs_the_writes_again_and_items_count_by_whole_kilobytes() -> None:
    told = figures("estimate", "--rows", "10", "--item-bytes", "1025", "--indexes", "2")
    assert told["write units"]["value"] == 60
    assert told["write units"]["formula"] == "10 x 2 (1,025 bytes in units of 1 KB) x (1 table + 2 indexes)"


@pytest.mark.parametrize(
    ("words", "limit", "pace"),
    [
        (("--max-write-units", "2_000"), "write budget", 2_000),
        (("--provisioned", "500", "--headroom", "0.5"), "provisioned units", 250),
        (("--maximum", "3000"), "on-demand maximum", 3_000),
        (("--warm", "8000"), "warm throughput", 8_000),
        ((), "a new on-demand table", 4_000),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_least_limit_that_is_known_sets_the_pace(words: tuple[str, ...], limit: str, pace: int) -> None:
    told = figures(*BILLION, *words)
    assert (told["pace"]["value"], told["pace"]["formula"]) == (pace, f"the least that is known: {limit}")


def test_wide_rows_are_limited_by_the_loaders_network() -> None:
    told = figures("estimate", "--rows", "1000000", "--item-bytes", "102400", "--loaders", "1", "--warm", "10000000")
    assert told["loading"]["value"] == pytest.approx(1_000_000 / (85_000 * 900 / 102_400))
    assert "limited by the loaders' cores" in told["loading"]["formula"]


def test_a_table_tells_its_capacity_its_indexes_and_the_size_of_its_items(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.dynamodb.update_table(
        TableName=TARGET,
        AttributeDefinitions=[
            {"AttributeName": "review_id", "AttributeType": "S"},
            {"AttributeName": "stars", "AttributeType": "N"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-stars",
                    "KeySchema": [{"AttributeName": "stars", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    describe = Table.describe

    def described(table: Any, base_key: str = "TableDescription") -> Any:
        """What moto does not count, and AWS does every six hours."""
        description = describe(table, base_key)
        description[base_key] |= {"ItemCount": 10, "TableSizeBytes": 25_000}
        return description

    monkeypatch.setattr(Table, "describe", described)
    called = call("--json", "estimate", "--rows", "5", "--table", TARGET)
    assert called.code == 0, called
    told = {figure["name"]: figure for figure in called.document}
    assert told["write units"]["formula"] == "5 x 3 (2,500 bytes in units of 1 KB) x (1 table + 1 indexes)"
    called = call("estimate", "--rows", "5", "--table", "nowhere")
    assert (called.code, "table nowhere does not exist" in called.refusal) == (3, True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--rows", "many", "--item-bytes", "5"), "'many' is no whole number above 0."),
        (("--rows", "5"), "Give --item-bytes"),
        (("--rows", "5", "--item-bytes", "5", "--changed", "10"), "The mode upsert writes every row"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_can_not_be_estimated_is_refused(words: tuple[str, ...], says: str) -> None:
    called = call("estimate", *words, region=None)
    assert (called.code, says in called.refusal) == (2, True)


def test_each_figure_is_told_with_its_formula_and_its_source() -> None:
    called = call(*BILLION, region=None)
    assert "  DynamoDB        $625.00 = 1,000,000,000 x $0.625 / 1,000,000\n" in called.text
    assert "Where that comes from:\n" in called.text
    assert "  Lambda          docs/performance.md" in called.text
