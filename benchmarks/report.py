"""docs/performance.md from the figures. Every number in it is computed here from what was measured."""

from __future__ import annotations

from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import fan_out, limits, refresh, table_limit
from benchmarks.bench import IN_FLIGHT
from benchmarks.peers import BASELINE, WAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from benchmarks.performance import Performance

    Runs = list[dict[str, Any]]

NAMES = {
    "put_df": "awswrangler put_df, 8 threads",
    "batch_writer": "boto3 batch_writer, 8 threads",
    "piece_loader": "this loader",
    "replay": "floor: signed requests replayed",
}
LOADER = "piece_loader"

# Targets: how many times less CPU per row than the baseline, wide rows per second, bytes.
LESS_CPU = 25
WIDE_ROWS_PER_SECOND = 80_000
PEAK_BYTES = 400_000_000

# "AWS Lambda Pricing" and "Amazon DynamoDB Pricing, on-demand capacity", us-east-1.
LAMBDA_GB_SECOND_DOLLARS = 0.0000133334
WRITE_UNITS_MILLION_DOLLARS = 0.625
# At this size a function has the equivalent of one vCPU (Lambda Developer Guide, "Configure Lambda function memory").
ONE_VCPU_MB = 1_769
BILLION = 1_000_000_000

_HEAD = """# Performance

What it costs to load rows into DynamoDB, measured by `make bench` (`python -m benchmarks`). This file, its plot and its
figures (`performance.json`) are written by that command: don't edit them.

![CPU seconds per million rows, and rows per second by number of loaders](performance.svg)
"""


def cpu_per_million(run: dict[str, Any]) -> float:
    """CPU seconds that a run would need for a million rows."""
    return float(run["cpu_seconds"] / run["rows"] * 1e6)


def rows_per_second(run: dict[str, Any]) -> float:
    """Rows per second of wall time."""
    return float(run["rows"] / run["wall_seconds"])


def less_cpu(runs: Runs, dataset: str, way: str = LOADER) -> list[float]:
    """How many times less CPU a row costs a way than the baseline, in each repetition."""
    cost = {(run["repetition"], run["way"]): cpu_per_million(run) for run in runs if run["dataset"] == dataset}
    repetitions = sorted({repetition for repetition, _ in cost})
    return [cost[repetition, BASELINE] / cost[repetition, way] for repetition in repetitions]


def markdown(performance: Performance) -> str:
    """Return the whole document; a part that was never measured has no section."""
    parts = performance.parts
    sections = [_HEAD]
    if "peers" in parts and "limits" in parts:
        sections.append(_targets(parts["peers"], parts["limits"]))
    for name, section in _SECTIONS.items():
        if name in parts:
            sections.append(section(parts[name]))
    sections.append(_circumstances(parts))
    return "\n".join(sections)


def _targets(peers: dict[str, Any], limits_part: dict[str, Any]) -> str:
    runs = peers["runs"]
    rows = []
    for dataset in ("wide", "narrow"):
        times = median(less_cpu(runs, dataset))
        rows.append(
            (f"CPU per row, {dataset}", f"at most 1/{LESS_CPU} of the baseline's", f"1/{times:.1f}", times >= LESS_CPU)
        )
    rate = median(map(rows_per_second, _of(runs, dataset="wide", way=LOADER)))
    rows.append(
        (
            f"wide rows/s, one core, {IN_FLIGHT} in flight",
            f"{WIDE_ROWS_PER_SECOND:,}",
            f"{rate:,.0f}",
            rate >= WIDE_ROWS_PER_SECOND,
        )
    )
    largest = max(limits_part["files"], key=lambda run: run["peak_bytes"])
    peak = largest["peak_bytes"]
    rows.append(
        (
            "peak memory, whatever the file",
            f"under {PEAK_BYTES / 1e6:.0f} MB",
            f"{peak / 1e6:.0f} MB",
            peak < PEAK_BYTES,
        )
    )
    lines = [(what, target, measured, "met" if met else "**missed**") for what, target, measured, met in rows]
    unprocessed = limits_part["unprocessed"][0]
    lines.append(
        (
            f"{limits.UNPROCESSED_SHARE:.0%} of items unprocessed",
            "no row lost or duplicated",
            f"{unprocessed['rows']:,} keys, each stored once",
            "met",
        )
    )
    return "## Targets\n\n" + _table(("what", "target", "measured", ""), lines)


def _peers(part: dict[str, Any]) -> str:
    runs = part["runs"]
    lines = []
    for dataset in ("wide", "narrow"):
        for way in WAYS:
            of_way = _of(runs, dataset=dataset, way=way)
            costs = [cpu_per_million(run) for run in of_way]
            lines.append(
                (
                    dataset,
                    NAMES[way],
                    f"{of_way[0]['rows']:,}",
                    f"{median(costs):.3g}",
                    f"{min(costs):.3g} to {max(costs):.3g}",
                    f"{median(less_cpu(runs, dataset, way)):.1f}",
                    f"{median(map(rows_per_second, of_way)):,.0f}",
                    f"{median(run['peak_bytes'] for run in of_way) / 1e6:.0f}",
                )
            )
    ratios = "; ".join(
        f"{dataset} {median(less_cpu(runs, dataset)):.1f} ({min(less_cpu(runs, dataset)):.1f} to "
        f"{max(less_cpu(runs, dataset)):.1f})"
        for dataset in ("wide", "narrow")
    )
    of_loader = _of(runs, way=LOADER)
    sink = max(run["sink_cpu_seconds"] / run["wall_seconds"] for run in of_loader)
    most_in_flight = max(run["most_in_flight"] for run in of_loader)
    repetitions = 1 + max(run["repetition"] for run in runs)
    table = _table(
        (
            "rows",
            "way",
            "rows loaded",
            "CPU s per million rows",
            "lowest to highest",
            "times less CPU",
            "rows/s",
            "peak MB",
        ),
        lines,
    )
    return f"""## The loader and its peers

The same Parquet file into the same sink, over TLS; the sink answers {part["latency_seconds"] * 1e3:g} ms after it
got a request. Medians of {repetitions} interleaved runs, each way in a process of its own on one core. In every run as
many rows arrived as were sent.

{table}
CPU of batch_writer divided by the loader's within each repetition, median (lowest to highest): {ratios}.

- *Wide* rows are made-up Amazon reviews in 16 columns, *narrow* ones five small columns of these.
- CPU is user and system time of the way's process, reading the Parquet file included, importing and making clients
  not (see "Cold start").
- batch_writer: `Table.batch_writer` in 8 threads, rows by `to_pylist` from the file on disk, one `Table` per thread.
- put_df: `use_threads=8`, a data frame read from the file on disk; DescribeTable is answered within the process.
- This loader: all that LoadDynamoFunction does with a piece, through `PieceLoader`, with up to {IN_FLIGHT} requests in
  flight (the sink saw {most_in_flight} at most): ranged reads over HTTP, the search for duplicate keys, rejects, write
  units, checkpoints in the ledger. S3 and the ledger are answered by a small stand-in.
- The floor: ready-made signed requests, sent by libcurl, answers unread.
- The sink, a process on the other core, was busy {sink:.0%} of the time at most while the loader ran.
"""


def _on_lambda(part: dict[str, Any]) -> str:
    gb = ONE_VCPU_MB / 1024
    per_second = gb * LAMBDA_GB_SECOND_DOLLARS
    lines = []
    for dataset in ("wide", "narrow"):
        for way in (BASELINE, LOADER):
            cost = median(map(cpu_per_million, _of(part["runs"], dataset=dataset, way=way)))
            seconds = cost * BILLION / 1e6
            lines.append(
                (dataset, NAMES[way], f"{1e6 / cost:,.0f}", f"{seconds:,.0f}", f"${seconds * per_second:,.2f}")
            )
    writes = BILLION / 1e6 * WRITE_UNITS_MILLION_DOLLARS
    table = _table(
        ("rows", "way", "rows/s per vCPU", "vCPU seconds per billion rows", "Lambda, per billion rows"), lines
    )
    return f"""## What this means on Lambda

A function of {ONE_VCPU_MB:,} MB has one vCPU and costs {ONE_VCPU_MB:,} / 1,024 GB x ${LAMBDA_GB_SECOND_DOLLARS:.10f}
per GB-second (arm64) = ${per_second:.9f} per second. Were its vCPU as fast as a core of this machine, and kept busy:

{table}
Dollars = CPU seconds per million rows x 1,000 x ${per_second:.9f}. Beside it DynamoDB charges
1,000 million write units x ${WRITE_UNITS_MILLION_DOLLARS} per million = ${writes:,.0f} for a billion items of up to
1 KB each (on-demand).
"""


def _fan_out(part: dict[str, Any]) -> str:
    lines = []
    for table in ("far", "limited"):
        of_table = _of(part["runs"], table=table)
        for loaders in sorted({run["loaders"] for run in of_table}):
            runs = _of(of_table, loaders=loaders)
            lines.append(
                (
                    "takes everything" if table == "far" else f"takes {fan_out.LIMITED.rows_per_second:,.0f} rows/s",
                    str(loaders),
                    f"{runs[0]['rows']:,}",
                    f"{median(map(rows_per_second, runs)):,.0f}",
                    f"{median(map(cpu_per_million, runs)):.3g}",
                    f"{1 - median(run['requests_stored'] / run['requests'] for run in runs):.1%}",
                    f"{median(run['slowest_to_fastest'] for run in runs):.2f}",
                    f"{max(run['peak_bytes'] for run in runs) / 1e6:.0f}",
                )
            )
    columns = (
        "table", "loaders", "rows", "rows/s, all", "CPU s per million rows", "requests not stored at once",
        "slowest to fastest loader", "peak MB of one",
    )  # fmt: skip
    repetitions = 1 + max(run["repetition"] for run in part["runs"])
    return f"""## Fan-out

Loaders with a piece each (wide rows), all on one core, medians of {repetitions} runs. The first table answers after
{fan_out.FAR_LATENCY_SECONDS * 1e3:g} ms and each loader keeps {fan_out.FAR_IN_FLIGHT} requests in flight, so that the
answers, not the core, set the pace. The second answers after {fan_out.LIMITED_LATENCY_SECONDS * 1e3:g} ms, throttles
what is beyond its limit, and each loader may keep {IN_FLIGHT} in flight.

{_table(columns, lines)}"""


def _limits(part: dict[str, Any]) -> str:
    run = part["unprocessed"][0]
    files = [
        (
            f"{file['rows']:,}",
            f"{file['row_groups']} of {file['row_group_rows']:,} rows",
            f"{file['file_bytes'] / 1e6:.0f}",
            f"{cpu_per_million(file):.3g}",
            f"{rows_per_second(file):,.0f}",
            f"{file['peak_bytes'] / 1e6:.0f}",
        )
        for file in part["files"]
    ]
    starts = []
    for way in limits.COLD_STARTS:
        runs = _of(part["cold_starts"], way=way)
        starts.append(
            (
                way,
                f"{median(start['ready_seconds'] for start in runs):.2f}",
                f"{median(start['ready_cpu_seconds'] for start in runs):.2f}",
                f"{median(start['first_write_seconds'] for start in runs):.2f}",
                f"{median(start['peak_bytes'] for start in runs) / 1e6:.0f}",
            )
        )
    file_columns = ("rows", "row groups", "MB of file", "CPU s per million rows", "rows/s", "peak MB")
    repetitions = len(part["cold_starts"]) // len(limits.COLD_STARTS)
    start_columns = ("way", "ready, s", "CPU s until ready", "first request answered, s", "peak MB")
    return f"""## A table that leaves items unprocessed

{run["rows"]:,} wide rows into a sink that leaves each item unprocessed with a probability of
{limits.UNPROCESSED_SHARE:.0%}: {run["requests"]:,} requests brought {run["rows_received"]:,} rows, and every key of the
file was stored exactly once. It cost {cpu_per_million(run):.3g} CPU s per million rows, at {rows_per_second(run):,.0f}
rows/s.

## Memory and large files

The whole process, with interpreter and libraries:

{_table(file_columns, files)}
## Cold start

From the start of a process until it could begin (imports done, clients made) and until its first request was answered;
medians of {repetitions} runs, files in the page cache. This loader's own modules are compiled at each start, as in
Lambda.

{_table(start_columns, starts)}"""


def _table_limit(part: dict[str, Any]) -> str:
    runs = part["runs"]
    lines = []
    for case in dict.fromkeys(run["case"] for run in runs):
        of_case = _of(runs, case=case)
        limit = of_case[0]["steady_limit"]
        lines.append(
            (
                case,
                f"{of_case[0]['rows']:,}",
                f"{median(run['steady_rows_per_second'] for run in of_case):,.0f}",
                f"{_share_of_limit(of_case):.1%}" if limit else "-",
                f"{_sends(of_case):.2f}",
                f"{median(run['requests_throttled'] / run['requests'] for run in of_case):.1%}",
                f"{median(map(cpu_per_million, of_case)):.3g}",
                f"{_fairness(of_case):.2f}" if of_case[0]["loaders"] > 1 else "-",
            )
        )
    columns = (
        "load", "rows", "rows/s", "of the limit", "sends per row", "requests of which nothing fitted",
        "CPU s per million rows", "slowest to fastest loader",
    )  # fmt: skip
    repetitions = 1 + max(run["repetition"] for run in runs)
    return f"""## At the table's limit

![Rows per second over time, and the table's limit](table-limit.svg)

Loads into a model of a table (`local/dynamodb_sink/capacity.py`): each partition takes 1,000 rows a second and saves up
one second's; what does not fit is unprocessed, and a request of which nothing fits is throttled. It answers after
{table_limit.LATENCY_SECONDS * 1e3:g} ms. Medians of {repetitions} interleaved runs; rows/s, also of the slowest and the
fastest loader, from {table_limit.WARM_UP} s after all loaders had begun until the first was done; loaders of one load
have equal parts, one ledger and one core. In every run each row was stored exactly once.

{_table(columns, lines)}
- Up to {table_limit.WARM} partitions: wide rows in random order, each with a partition key of its own.
- *1,000 rows a key*: narrow rows on {table_limit.WARM} partitions, with a partition key and a sort key. Keys are few
  enough that partitions have unequal numbers of them: the fullest ends last, whatever the order.
- *The hot key*: on {table_limit.HOT_PARTITIONS} partitions; its rows take as long as its one partition needs.
- *{table_limit.GROWS}*: from {table_limit.NEW} partitions to {2 * table_limit.NEW}, in second {table_limit.DOUBLES_AT}.
- *{table_limit.SHARED}*, of {table_limit.NEW} partitions, from second {table_limit.OTHERS_BEGIN} to
  {table_limit.OTHERS_END}.

{_table(("what", "target", "measured", ""), _limit_targets(runs))}"""


def _limit_targets(runs: Runs) -> list[tuple[str, str, str, str]]:
    def of(case: str) -> Runs:
        return _of(runs, case=case)

    def beside(case: str, other: str, figure: Callable[[dict[str, Any]], float]) -> float:
        pairs = zip(of(case), of(other), strict=True)
        return median(figure(run) / figure(beside) for run, beside in pairs)

    def steady(run: dict[str, Any]) -> float:
        return float(run["steady_rows_per_second"])

    unlimited = median(map(steady, of(table_limit.NO_LIMIT)))
    targets = []
    for partitions, share, sends in ((table_limit.NEW, 0.95, 1.1), (table_limit.WARM, 0.9, 1.15)):
        for loaders in sorted({run["loaders"] for run in runs}):
            case = table_limit.on_partitions(partitions, loaders)
            if not of(case):
                continue
            reachable = max(_share_of_limit(of(case)), median(map(steady, of(case))) / unlimited)
            targets += [
                _target(f"{case}: of the limit, or of what the core can send", share, reachable, "at least"),
                _target(f"{case}: sends per row", sends, _sends(of(case)), "at most"),
            ]
            if partitions == table_limit.NEW and loaders > 1:
                targets.append(_target(f"{case}: slowest to fastest", 1.15, _fairness(of(case)), "at most"))
    first = next(run["case"] for run in runs if run["case"].startswith(f"{table_limit.NEW} partitions"))
    in_order = beside(table_limit.SORTED, table_limit.RANDOM, steady)
    finished = beside(table_limit.HOT, table_limit.COLD, lambda run: float(run["others_finished_seconds"]))
    grown = _seconds(of(table_limit.GROWS), "grown_seconds")
    others = median(run["others_throttled_share"] for run in of(table_limit.SHARED))
    recovered = _seconds(of(table_limit.SHARED), "recovered_seconds")
    cpu = beside(first, table_limit.NO_LIMIT, cpu_per_million)
    return [
        *targets,
        _target("sorted by key: rows/s beside random order", 0.85, in_order, "at least"),
        _target("one hot key: when the others are finished, beside without it", 1.1, finished, "at most"),
        _target("the table doubles: seconds until 90 % of the new limit", 20, grown, "at most"),
        _target("others' writes that are throttled, after 3 s", 0.05, others, "at most"),
        _target("others end: seconds until 95 % of the limit", 10, recovered, "at most"),
        _target(f"{first}: CPU per row beside no limit", 1.3, cpu, "at most"),
    ]


def _share_of_limit(runs: Runs) -> float:
    return float(median(run["steady_rows_per_second"] / run["steady_limit"] for run in runs))


def _sends(runs: Runs) -> float:
    return float(median(run["rows_received"] / run["rows"] for run in runs))


def _fairness(runs: Runs) -> float:
    return float(median(run["slowest_to_fastest"] for run in runs))


def _seconds(runs: Runs, name: str) -> float:
    """The median of what may never have happened."""
    return median(inf if run[name] is None else run[name] for run in runs)


def _refresh(part: dict[str, Any]) -> str:
    runs = part["runs"]
    last = max(run["repetition"] for run in runs)
    repeated = [run for run in runs if run["repetition"] < last]
    full = {run["repetition"]: cpu_per_million(run) for run in _of(runs, case=refresh.FULL_LOAD)}
    lines = []
    for case in dict.fromkeys(run["case"] for run in runs):
        of_case = _of(repeated, case=case)
        (large,) = _of(runs, case=case, repetition=last)
        lines.append(
            (
                case,
                f"{median(map(cpu_per_million, of_case)):.3g}",
                f"{median(cpu_per_million(run) / full[run['repetition']] for run in of_case):.2f}",
                f"{of_case[0]['changed']:,}",
                f"{max(run['requests'] for run in of_case):,}",
                f"{median(map(rows_per_second, of_case)):,.0f}",
                f"{max(run['peak_bytes'] for run in of_case) / 1e6:.0f}",
                f"{large['peak_bytes'] / 1e6:.0f}",
            )
        )
    largest = max(run["rows"] for run in runs)
    columns = (
        "load", "CPU s per million rows", "beside a full load", "rows written", "requests", "rows/s", "peak MB",
        f"peak MB of {largest:,} rows",
    )  # fmt: skip
    targets = [
        _target("1 % changed: CPU per row beside a full load", 0.6, _beside(repeated, full, "1% changed"), "at most"),
        _target("100 % changed: the same", 1.25, _beside(repeated, full, "100% changed"), "at most"),
        _target("0 % changed: write requests", 0, max(r["requests"] for r in _of(runs, case="0% changed")), "none:"),
        _target(f"peak MB, a bucket of {largest:,} rows", 600, max(r["peak_bytes"] for r in runs) / 1e6, "under"),
    ]
    return f"""## Refreshing

{repeated[0]["rows"]:,} wide rows, one bucket, loaded again after a first load; medians of {last} interleaved runs on
one core, the sink answers after {refresh.LATENCY_SECONDS * 1e3:g} ms. "Beside a full load" is CPU per row divided by
that of the full load in the same repetition.

{_table(columns, lines)}
{_table(("what", "target", "measured", ""), targets)}"""


def _beside(runs: Runs, full: dict[int, float], case: str) -> float:
    return median(cpu_per_million(run) / full[run["repetition"]] for run in _of(runs, case=case))


def _target(what: str, limit: float, measured: float, words: str) -> tuple[str, str, str, str]:
    met = measured >= limit if words == "at least" else measured <= limit
    return what, f"{words} {limit:g}", f"{measured:.3g}", "met" if met else "**missed**"


def _pipeline(part: dict[str, Any]) -> str:
    kinds = ("loader", "other functions", "local AWS", "local Redshift")
    lines = [
        (
            f"{run['rows']:,}",
            f"{run['wall_seconds']:.1f}",
            f"{run['state_seconds']['Unload Redshift Table']:.1f}",
            f"{run['state_seconds']['Load Pieces']:.1f}",
            *(f"{run['cpu_seconds'].get(kind, 0.0):.2f}" for kind in kinds),
            f"{run['cpu_seconds']['loader'] / run['rows'] * 1e6:.0f}",
            f"{run['cpu_seconds']['local AWS'] / run['rows'] * 1e6:.0f}",
            f"{run['loader_peak_bytes'] / 1e6:.0f}",
        )
        for run in part["executions"]
    ]
    columns = (
        "rows", "execution, s", "unload, s", "load, s", *(f"CPU s: {kind}" for kind in kinds),
        "loaders' CPU s per million", "local AWS's CPU s per million", "peak MB of a loader",
    )  # fmt: skip
    return f"""## The whole pipeline on the local AWS

`RedshiftToDynamoProcesStateMachine` as deployed by `sam`, wide rows, from table to table; afterwards the target had as
many items as the source had rows. A loader's CPU includes its start.

{_table(columns, lines)}"""


def _circumstances(parts: dict[str, dict[str, Any]]) -> str:
    lines = []
    for name, part in parts.items():
        here = part["circumstances"]
        versions = ", ".join(f"{package} {number}" for package, number in here["versions"].items())
        lines.append(
            (
                name,
                here["date"],
                f"{here['cores']} cores of {here['processor']}, {here['system']}",
                f"{here['load_average']:.1f}",
                f"Python {here['python']}, {versions}",
            )
        )
    return f"""## Circumstances, and how to repeat this

{_table(("part", "measured", "machine", "load before", "versions"), lines)}
`make bench` measures all parts in about three quarters of an hour. `python -m benchmarks peers` measures one part and
leaves the others as they are, `--latency 0.02` changes the sink's, `--case doubles` only says what cases of that name
measure, `--quick` only shows that all of it runs. "Load before" is the machine's load average when a part began: other
processes lengthen wall times, and CPU times a little.
"""


_SECTIONS: dict[str, Callable[[dict[str, Any]], str]] = {
    "peers": lambda part: _peers(part) + "\n" + _on_lambda(part),
    "fan_out": _fan_out,
    "limits": _limits,
    "table_limit": _table_limit,
    "refresh": _refresh,
    "pipeline": _pipeline,
}


def _of(runs: Runs, **wanted: object) -> Runs:
    return [run for run in runs if all(run[name] == value for name, value in wanted.items())]


def _table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; columns of numbers are set to the right."""
    lines = list(lines)
    rules = ["---:" if all(line[place][:1].isdigit() for line in lines) else "---" for place in range(len(columns))]
    return "".join(f"| {' | '.join(line)} |\n" for line in [columns, rules, *lines])
