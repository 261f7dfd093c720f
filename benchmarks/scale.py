"""How much is measured: enough for figures that hold, or just enough to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """Sizes in rows. Slow ways load fewer, as their cost per row doesn't depend on it."""

    repetitions: int
    row_group_rows: int
    wide_row_groups: int
    narrow_row_groups: int
    single_row_group_rows: int
    peer_rows: dict[tuple[str, str], int]
    """By way and data set."""
    fan_out_repetitions: int
    fan_out: tuple[int, ...]
    unprocessed_rows: int
    file_rows: tuple[int, ...]
    cold_starts: int
    refresh_rows: int
    limit_units: int
    """Write units per second of each partition in part table_limit."""
    limit_second: float
    """How long that part's seconds last: what is measured of a table that changes needs real ones."""
    pipeline_rows: tuple[int, ...]


FULL = Scale(
    repetitions=5,
    row_group_rows=50_000,
    wide_row_groups=40,
    narrow_row_groups=16,
    single_row_group_rows=1_000_000,
    peer_rows={
        ("batch_writer", "wide"): 30_000,
        ("batch_writer", "narrow"): 50_000,
        ("put_df", "wide"): 20_000,
        ("put_df", "narrow"): 30_000,
        ("piece_loader", "wide"): 400_000,
        ("piece_loader", "narrow"): 800_000,
        ("replay", "wide"): 400_000,
        ("replay", "narrow"): 800_000,
    },
    fan_out_repetitions=3,
    fan_out=(1, 2, 4, 8),
    unprocessed_rows=200_000,
    file_rows=(100_000, 500_000, 2_000_000),
    cold_starts=5,
    refresh_rows=1_000_000,
    limit_units=1_000,
    limit_second=1.0,
    pipeline_rows=(10_000, 100_000, 1_000_000),
)

QUICK = Scale(
    repetitions=1,
    row_group_rows=2_500,
    wide_row_groups=4,
    narrow_row_groups=4,
    single_row_group_rows=10_000,
    peer_rows={
        ("batch_writer", "wide"): 500,
        ("batch_writer", "narrow"): 500,
        ("put_df", "wide"): 500,
        ("put_df", "narrow"): 500,
        ("piece_loader", "wide"): 10_000,
        ("piece_loader", "narrow"): 10_000,
        ("replay", "wide"): 10_000,
        ("replay", "narrow"): 10_000,
    },
    fan_out_repetitions=1,
    fan_out=(2,),
    unprocessed_rows=5_000,
    file_rows=(10_000,),
    cold_starts=1,
    refresh_rows=5_000,
    limit_units=400,
    limit_second=0.02,
    pipeline_rows=(1_000,),
)
