"""What a load would take, from a sample of its rows: the report of a dry run."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from dynamo_load.duration import Warming, duration
from dynamo_load.prices import write_dollars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from dynamo_load.plan import LoadLimits
    from target.table import WriteCapacity
    from unload.first_rows import SampledRows
    from unload.manifest import Manifest

# The first seconds of the years 2000 and 2201.
_LIKELY_EXPIRY = (946_684_800, 7_289_654_400)
# Beyond this lies no year worth telling, and 64 bits end.
_FURTHEST_SECONDS = 10**18


@dataclass(frozen=True)
class DryRunReport:
    """Files, rows and bytes that were unloaded, and what writing the rows would take.

    `write_units`, `dollars` (null where the price is not known) and `minutes` are estimated from `sampled_rows` rows,
    of which `sampled_rejects` would be rejected; `minutes` at `write_units_per_second`, `limited_by` that, and
    what `warming` the table would change (null: nothing). Writes to secondary indexes come on top. The sampled items
    expire between `expires_from` and `expires_to` (UTC; null if none does). `warnings` are sentences about what can be
    loaded and is hardly meant, and about what is not known.
    """

    files: int
    rows: int
    bytes: int
    write_units: int
    dollars: float | None
    minutes: float
    write_units_per_second: int
    limited_by: str
    warming: Warming | None
    sampled_rows: int
    sampled_rejects: int
    expires_from: str | None
    expires_to: str | None
    warnings: list[str]


def estimate(
    manifest: "Manifest",
    sample: "Iterable[SampledRows]",
    *,
    limits: "LoadLimits",
    capacity: "WriteCapacity",
    region: str,
    warnings: "Sequence[str]",
) -> DryRunReport:
    """Scale the sample's write units to all rows.

    `limits` are the load's, `capacity` is the table's, prices are the region's; `warnings` is what the columns alone
    give cause for.
    """
    accepted = rejected = sampled_units = 0
    expiries = [np.empty(0)]
    for rows in sample:
        accepted += len(rows.encoded.rows)
        rejected += len(rows.encoded.rejects)
        sampled_units += int(rows.encoded.write_units.sum())
        expiries.append(rows.expiries)
    expires = np.concatenate(expiries)
    sampled = accepted + rejected
    write_units = ceil(sampled_units * manifest.rows / sampled) if sampled else 0
    expected, dollars = duration(write_units, limits, capacity), write_dollars(write_units, region)
    return DryRunReport(
        files=len(manifest.files),
        rows=manifest.rows,
        bytes=manifest.bytes,
        write_units=write_units,
        dollars=dollars,
        minutes=expected.minutes,
        write_units_per_second=expected.write_units_per_second,
        limited_by=expected.limited_by,
        warming=expected.warming,
        sampled_rows=sampled,
        sampled_rejects=rejected,
        expires_from=_moment(expires.min()) if expires.size else None,
        expires_to=_moment(expires.max()) if expires.size else None,
        warnings=[*warnings, *_warnings(expires), *([_price_unknown(region)] if dollars is None else [])],
    )


def _warnings(expires: "NDArray[np.float64]") -> list[str]:
    unlikely = np.count_nonzero((expires < _LIKELY_EXPIRY[0]) | (expires >= _LIKELY_EXPIRY[1]))
    if not unlikely:
        return []
    warning = (
        f"{unlikely:,} of {len(expires):,} sampled times to live lie before the year 2000 or after 2200: DynamoDB "
        "takes seconds since 1970 (divide milliseconds by 1,000 in the query), and deletes nothing that expired over "
        "five years ago."
    )
    return [warning]


def _price_unknown(region: str) -> str:
    return (
        f"What writing costs in {region} is not known here: multiply write_units by the price of a write request unit "
        "on AWS's list."
    )


def _moment(seconds: float) -> str:
    """ISO 8601, whatever the year: milliseconds taken for seconds lie tens of thousands of years ahead."""
    within = min(max(seconds, -_FURTHEST_SECONDS), _FURTHEST_SECONDS)
    return f"{np.datetime64(int(within), 's')}Z"
