"""What the report says of a run: figures that hang together, whatever the run has come to."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dynamo_load.accounting.course import Leg
from scripts.pipelines import prices
from scripts.pipelines.report import costs, words
from scripts.pipelines.report.balance import Rejects
from scripts.pipelines.report.contents import Contents, contents
from scripts.pipelines.runs.model import Failure, Load, Run
from scripts.pipelines.wording import dollars
from target.table import WriteCapacity
from tests.unit.report import made_runs
from tests.unit.report.conftest import NONE_REJECTED, report
from tests.unit.report.made_runs import after

ROOT = Path(__file__).parents[3]
NINE_REJECTED = Rejects({"number_out_of_range": 2, "key_empty": 7}, all_read=True)


def told(run: Run, rejects: Rejects = NONE_REJECTED, looked_at: float = 165) -> Contents:
    return contents(run, rejects, stack="redshift-pipelines", looked_at=after(looked_at))


def figures(found: Contents) -> dict[str, str]:
    return {figure.label: figure.value for figure in found.figures}


def with_plan(run: Run, **fields: Any) -> Run:
    assert run.load
    return replace(run, load=Load(replace(run.load.plan, **fields), run.load.pieces))


def on_table(run: Run, capacity: WriteCapacity) -> Run:
    assert run.load
    mapping = run.load.plan.mapping
    return with_plan(run, mapping=replace(mapping, target=replace(mapping.target, capacity=capacity)))


class TestLoad:
    def test_every_row_is_in_the_balance_once(self) -> None:
        found = told(made_runs.finished_load(), NINE_REJECTED)
        assert [(part.label, part.rows) for part in found.balance] == [
            ("Written", "1,299,991"),
            ("Unchanged, left alone", "700,000"),
            ("Rejected", "9"),
        ]
        assert sum(part.width for part in found.balance) == pytest.approx(1_000, abs=0.2)
        assert found.balance[1].begin == pytest.approx(found.balance[0].width, abs=0.2)
        assert figures(found)["Rows written"] == "1,299,991"

    def test_rejects_stand_by_reason_the_most_first(self) -> None:
        found = told(made_runs.finished_load(), NINE_REJECTED)
        assert [(part.label, part.rows) for part in found.rejects] == [("key_empty", "7"), ("number_out_of_range", "2")]
        assert found.rejects_at == "s3://redshift-pipelines-data/rejects/nightly-2026-11-26-0f1e2d3c/"
        assert "Only these were read" not in found.rejects_told
        assert "Only these were read" in told(made_runs.finished_load(), Rejects({"x": 1}, all_read=False)).rejects_told

    def test_states_stand_in_their_order_with_their_time(self) -> None:
        found = told(made_runs.finished_load())
        assert [(state.name, state.took) for state in found.states][:3] == [
            ("Prepare Load", "3.1 s"),
            ("Unload Redshift Table", "1 min 24 s"),
            ("List Unloaded Files", "5.1 s"),
        ]
        assert "Is The Table Free?" not in {state.name for state in found.states}

    def test_a_state_that_was_entered_again_has_one_row_and_its_failures_are_told(self) -> None:
        visited = made_runs.stages(("Prepare Load", 2), ("Wait For The Table", 60), ("Prepare Load", 3), ("Loaded", 0))
        failures = (Failure("AwsUnavailable", "", after(1)), Failure("AwsUnavailable", "", after(1)))
        run = made_runs.run(None, (replace(visited[0], failures=failures), *visited[1:]))
        prepare, wait = told(run).states
        assert (prepare.took, prepare.note, prepare.failed) == ("5.0 s", "2 times; 2 failed: AwsUnavailable", False)
        assert (wait.name, wait.note) == ("Wait For The Table", "")

    def test_what_took_next_to_no_time_is_named_below(self) -> None:
        found = told(made_runs.large_load(pieces=400), looked_at=1e6)
        assert [state.name for state in found.states] == ["Unload Redshift Table", "Load Pieces"]
        assert "Prepare Load, List Unloaded Files, Begin Load, Verify Load" in found.states_left_out

    def test_slowest_pieces_come_first_and_no_more_than_ten(self) -> None:
        run = made_runs.finished_load()
        assert run.load
        slowest = sorted(run.load.pieces, key=lambda piece: -piece.tally.seconds)
        assert [piece.name for piece in told(run).slowest] == [piece.piece for piece in slowest[:10]]

    def test_rows_sent_in_vain_stand_above_those_that_were_settled(self) -> None:
        curve, loaders = told(made_runs.finished_load()).curve, told(made_runs.finished_load()).loaders
        assert curve
        assert loaders
        assert curve.in_vain
        assert loaders.throttled
        assert "times a row was sent in vain" in curve.told
        calm = told(made_runs.paced_load())
        assert calm.curve
        assert calm.loaders
        assert (calm.curve.in_vain, calm.loaders.throttled) == ("", "")
        assert "The table never throttled" in calm.curve.told

    def test_rows_sent_in_vain_are_none_of_those_that_were_settled(self) -> None:
        load = made_runs.finished_load().load
        assert load
        one = replace(
            load.pieces[0], legs=(Leg(4.0, 1_000, 900), Leg(6.0, 600, 0)), updated_at=load.pieces[0].started_at + 10
        )
        found = told(replace(made_runs.finished_load(), load=Load(load.plan, (one,)))).curve
        assert found
        assert found.told.startswith("At most 250 rows per second were settled")
        assert found.most == "500"

    def test_the_limit_is_drawn_where_there_is_one_and_rows_tell_what_it_means(self) -> None:
        paced = told(made_runs.paced_load()).curve
        assert paced
        assert paced.limit is not None
        assert paced.limit_label == "write budget, 5,000 write units per second"
        assert "limit" not in report(made_runs.finished_load()).split("</style>")[1]
        free = with_plan(made_runs.paced_load(), limits=replace(made_runs.plan(1, 1).limits))
        for capacity, label in (
            (WriteCapacity(provisioned=4_500), "the capacity of the table, 4,500 write units per second"),
            (WriteCapacity(on_demand_maximum=400_000), ""),
            (WriteCapacity(warm=4_500), ""),
        ):
            found = told(on_table(free, capacity)).curve
            assert found
            assert found.limit_label == label

    def test_a_load_from_before_there_were_legs_has_no_curve_but_all_else(self) -> None:
        run = made_runs.paced_load()
        assert run.load
        bare = tuple(replace(piece, legs=()) for piece in run.load.pieces)
        found = told(replace(run, load=Load(run.load.plan, bare)))
        assert found.curve is None
        assert found.slowest[0].spark == ""
        assert found.loaders

    def test_a_failed_load_says_why_and_where(self) -> None:
        found = told(made_runs.failed_load())
        assert (found.tone, found.outcome, found.error) == ("bad", "Failed", "RowsUnaccounted")
        assert [state.name for state in found.states if state.failed] == ["Verify Load"]
        assert found.failed_pieces == []
        assert {piece.state for piece in found.slowest} >= {"failed at row 18,750", "loaded"}
        assert found.balance[-1].label == "Unaccounted for"
        quiet = replace(made_runs.failed_load(), cause="2 pieces were not finished.")
        assert [name for name, _ in told(quiet).failed_pieces] == ["00005", "00006"]

    def test_a_running_load_says_how_far_it_is_and_how_long_it_will_take(self) -> None:
        found = told(made_runs.running_load())
        assert found.outcome == "Running"
        assert figures(found)["Settled"] == "29.4 %"
        assert "To go" in figures(found)
        assert found.balance[-1].label == "Not settled yet"
        assert found.ended == ""
        assert {piece.state.split()[0] for piece in found.slowest} >= {"loaded", "loading"}

    def test_a_load_that_has_no_plan_yet_is_shown_as_far_as_it_is(self) -> None:
        visited = made_runs.stages(("Prepare Load", 3), ("Unload Redshift Table", 60))
        run = made_runs.run(None, (visited[0], replace(visited[1], left_at=None)), "RUNNING", input=None)
        found = told(run)
        assert found.title == "nightly-2026-11-26"
        assert found.states[-1].took == "2 min 42 s"
        assert report(run)

    def test_one_that_ends_without_a_plan_is_named_by_the_table_that_it_has_found(self) -> None:
        visited = made_runs.stages(("Prepare Load", 3), ("Unload Redshift Table", 60))
        prepared = replace(visited[0], output={"target": {"name": "orders", "key": []}, "held_by": None})
        dry = made_runs.run(None, (prepared, visited[1]), input={"dry_run": True})
        assert told(dry).title == "orders"
        assert told(dry).subtitle == "Dry run of a load from Redshift to DynamoDB"
        named = made_runs.run(None, visited, input={"target_table": "sales"})
        assert (told(named).title, told(named).subtitle) == ("sales", "Load from Redshift to DynamoDB")

    def test_what_is_said_of_all_pieces_is_said_of_those_that_are_loaded(self) -> None:
        assert told(made_runs.running_load()).pieces_told.startswith("8 of 32 pieces loaded: half of these took")
        load = made_runs.running_load().load
        assert load
        begun = replace(made_runs.running_load(), load=Load(load.plan, load.pieces[8:]))
        assert told(begun).pieces_told == "0 of 32 pieces loaded."
        only = replace(made_runs.running_load(), load=Load(replace(load.plan, pieces=1), load.pieces[:1]))
        assert told(only).pieces_told.startswith("1 of 1 piece loaded, in 2")

    def test_one_without_rows_and_one_whose_ledger_has_expired_are_shown(self) -> None:
        empty = made_runs.run(Load(made_runs.plan(0, 0), ()), made_runs.stages(("Load Pieces", 1), ("Loaded", 0)))
        assert [(part.label, part.rows, part.share) for part in told(empty).balance] == [("Written", "0", "none")]
        assert report(empty)
        gone = made_runs.run(Load(made_runs.plan(50, 1), ()), made_runs.stages(("Load Pieces", 1), ("Loaded", 0)))
        assert "30 days" in told(gone).balance_note
        assert told(gone).balance == []


class TestProcedure:
    def test_it_is_named_and_what_redshift_said_is_there(self) -> None:
        found = told(made_runs.procedure())
        assert found.title == "public.sp_etl_log_etl_event"
        assert figures(found)["At Redshift"] == "41 s"
        assert [(row.kind, row.status) for row in found.statements] == [("CALL of the procedure", "FINISHED")]
        assert (found.balance, found.curve, found.loaders) == ([], None, None)

    def test_where_redshift_tells_only_the_role_the_history_is_asked(self) -> None:
        run = made_runs.procedure()
        untold = replace(run.statements[0], is_told=False, seconds=None)
        output = {"statement_id": untold.statement_id, "duration_seconds": 40.8}
        stage = replace(run.stages[0], output=output)
        assert told(replace(run, statements=(untold,), stages=(stage,))).statements[0].took == "41 s"
        assert told(replace(run, statements=(untold,))).statements[0].took == "not told"

    def test_a_failed_one_shows_the_error_and_the_advice(self) -> None:
        page = report(made_runs.procedure(status="FAILED"), advice="Look at Redshift.\nThen start it again.")
        assert "<p>Look at Redshift.</p>" in page
        assert "StatementFailed" in page

    def test_a_stopped_one_says_why_though_it_has_no_error(self) -> None:
        page = report(replace(made_runs.procedure(), status="ABORTED", cause="stopped by command line"))
        assert "Why it was stopped" in page
        assert '<p class="cause">stopped by command line</p>' in page
        assert "Why it" not in report(made_runs.procedure())


class TestBill:
    def test_writes_are_what_dynamodb_counted_and_the_rest_follows_its_formula(self) -> None:
        found = told(made_runs.finished_load())
        run = made_runs.finished_load()
        assert run.load
        cost = {line.what: line for line in found.bill.cost}
        total = run.load.total
        assert cost["Writes to the target table"].dollars == pytest.approx(total.write_units * 0.625 / 1e6)
        assert cost["Loaders"].dollars == pytest.approx(total.seconds * 1_769 / 1_024 * 0.0000133334)
        assert cost["Step Functions"].arithmetic == "137 state transitions x $0.025 per 1,000"
        assert cost["Unloaded files"].dollars == pytest.approx(310 * 2_000_000 / 1024**3 * 0.5 * 0.023)
        assert found.bill.total == pytest.approx(sum(line.dollars for line in found.bill.cost))
        assert figures(found)["Cost"] == dollars(found.bill.total)
        assert all(line.source.partition("https://")[2] for line in (*found.bill.cost, *found.bill.saved))

    def test_what_unchanged_rows_would_have_cost_is_saved(self) -> None:
        saved = told(made_runs.finished_load()).bill.saved
        assert saved[0].what == "700,000 rows that had not changed"
        assert saved[0].dollars == pytest.approx(700_000 * 0.625 / 1e6)
        assert "Saved" not in figures(told(made_runs.paced_load()))

    def test_nobody_waited_for_redshift(self) -> None:
        (line,) = told(made_runs.procedure()).bill.saved
        assert line.dollars == pytest.approx(41.6 * 0.25 * 0.0000133334)
        hours = replace(made_runs.procedure(), stages=made_runs.stages(("Run Stored Procedure", 7_200)))
        assert "900 s" in told(hours).bill.saved[0].what

    def test_prices_are_those_of_one_region_and_it_is_said_where_others_may_hold(self) -> None:
        assert told(made_runs.finished_load()).bill.notes[-1].startswith("Prices are those of us-east-1, on demand,")
        abroad = replace(made_runs.finished_load(), arn=made_runs.EXECUTION.replace("us-east-1", "eu-north-1"))
        assert "eu-north-1 may have others" in told(abroad).bill.notes[-1]

    def test_states_that_wait_for_redshift_are_those_of_the_machines(self) -> None:
        waiting = set()
        for file in (ROOT / "statemachine").glob("*.asl.yaml"):
            states = yaml.safe_load(file.read_text(encoding="utf-8"))["States"]
            waiting |= {name for name, state in states.items() if "waitForTaskToken" in state.get("Resource", "")}
        assert waiting == costs.WAITING_STATES

    def test_the_memory_of_functions_and_the_days_of_files_are_the_template_s(self) -> None:
        template = (ROOT / "template.yaml").read_text(encoding="utf-8")
        assert f"Prefix: unload/\n            ExpirationInDays: {costs.UNLOADED_DAYS}\n" in template
        loader = template.partition("\n  LoadDynamoFunction:\n")[2].partition("\n\n")[0]
        assert f"MemorySize: {prices.LOADER_MEMORY_MB}\n" in loader
        everywhere = template.partition("\nGlobals:\n")[2].partition("\nResources:\n")[0]
        assert f"MemorySize: {costs.SUBMITTER_MEMORY_MB}\n" in everywhere
        assert "MemorySize" not in template.partition("\n  RedshiftRunSpsFunction:\n")[2].partition("\n  #")[0]

    def test_a_dry_run_writes_nothing_and_provisioned_units_are_paid_anyway(self) -> None:
        dry = told(with_plan(made_runs.finished_load(), dry_run=True))
        assert "Writes to the target table" not in {line.what for line in dry.bill.cost}
        assert figures(dry)["To be written"] == "1,299,991"
        hourly = told(on_table(made_runs.finished_load(), WriteCapacity(provisioned=5_000)))
        assert "Writes to the target table" not in {line.what for line in hourly.bill.cost}
        assert "5,000 provisioned write units are paid by the hour" in hourly.bill.notes[0]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (words.share(1, 10_000_000), "< 0.1 %"),
        (words.share(9_999_999, 10_000_000), "> 99.9 %"),
        (words.share(3, 3), "100 %"),
        (dollars(0), "$0.00"),
        (dollars(0.000001), "< $0.0001"),
        (dollars(0.0004321), "$0.00043"),
        (dollars(1234.5), "$1,234.50"),
        (words.short(950), "950"),
        (words.short(12_500), "12.5k"),
        (words.short(3_000_000_000), "3G"),
        (words.size(620_000_000), "620 MB"),
    ],
)
def test_figures_are_rounded_so_that_they_stay_true(said: str, expected: str) -> None:
    assert said == expected
