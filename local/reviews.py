"""Made-up Amazon customer reviews: the data set that the pipelines are shown and measured with.

The published data set has been withdrawn; these rows have its schema and its character: skewed products,
customers and ratings, bodies from one word to thousands, nulls, quotes, markup and several scripts. The same
seed gives the same rows, and fewer rows are the first of more.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from numpy.typing import NDArray

SCHEMA = pa.schema(
    [
        pa.field("marketplace", pa.string()),
        pa.field("customer_id", pa.string()),
        pa.field("review_id", pa.string()),
        pa.field("product_id", pa.string()),
        pa.field("product_parent", pa.string()),
        pa.field("product_title", pa.string()),
        pa.field("star_rating", pa.int32()),
        pa.field("helpful_votes", pa.int32()),
        pa.field("total_votes", pa.int32()),
        pa.field("vine", pa.string()),
        pa.field("verified_purchase", pa.string()),
        pa.field("review_headline", pa.string()),
        pa.field("review_body", pa.string()),
        pa.field("review_date", pa.date32()),
        pa.field("year", pa.int32()),
        pa.field("product_category", pa.string()),
    ]
)

_BLOCK_ROWS = 20_000
"""Rows are drawn in blocks of this size, each from its own random stream, so that fewer rows are a prefix."""

_PRODUCTS = 20_000
_CUSTOMERS = 30_000_000
_FIRST_DAY, _LAST_DAY = np.datetime64("1999-01-01"), np.datetime64("2015-08-31")
_BASE36 = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)

_COMMON_WORDS = """
    the a and to it I of is this for in that was my with not have but on as you so they are be we had
    great good one very at would like all just from product use love can when or has will me if more get
    what out up than
"""
_WORDS = """
    the a and to it I of is this for in that was my with not have but on as you so they are be we had
    great good one very at would like all just from product use love can when or has will me if more get
    what out up than
"""
_SENTENCE_ENDS = ("it. The", "well. I", "product. It", "this! My", "again. If", "great, but", "all. Would")
_ODD_WORDS = (
    "it's|don't|\"perfect\"|5'10\"|don\u2019t|\u201cworth every penny\u201d|line\nbreak|tab\there|C:\\new|50%|$$"
    "|<br />|<br /><br />|&amp;|&#34;new&#34;|--|...|{or}|[sic]|caf\u00e9|e\u0301tui|Gr\u00f6\u00dfe"
    "|\u20ac20|\u00a315|\u7d20\u6674\u3089\u3057\u3044|\u0437\u0434\u043e\u0440\u043e\u0432\u043e|\u03b8\u03ae"
    "|\u0645\u0645\u062a\u0627\u0632|\U0001f44d|\U0001f600\U0001f600|\U0001f468\u200d\U0001f469\u200d\U0001f467"
)
_CATEGORIES = """
    Books Wireless Apparel Electronics Toys Video_Games Kitchen Music Home Shoes Camera Grocery Watches
    Outdoors Digital_Ebook_Purchase Gift_Card Musical_Instruments Personal_Care_Appliances
"""


@dataclass(frozen=True)
class _Catalogue:
    """The products that reviews are about, and the words they are written with; both fixed by the seed."""

    words: pa.StringArray
    product_ids: pa.StringArray
    product_parents: pa.StringArray
    product_titles: pa.StringArray
    product_categories: pa.StringArray


def batches(rows: int, *, seed: int = 0) -> Iterator[pa.RecordBatch]:
    """Yield the first `rows` reviews of `seed` in batches of at most 20,000 rows, with `SCHEMA`."""
    catalogue = _catalogue(seed)
    for block, first_row in enumerate(range(0, rows, _BLOCK_ROWS)):
        yield _block(catalogue, seed, block).slice(0, rows - first_row)


def write_parquet(
    path: Path, source: Iterable[pa.RecordBatch], *, schema: pa.Schema = SCHEMA, row_group_rows: int = 100_000
) -> None:
    """Write batches of this schema to one Parquet file, version 1.0, Snappy, as UNLOAD does."""
    with pq.ParquetWriter(path, schema, version="1.0", compression="snappy") as writer:
        pending = schema.empty_table()
        for batch in source:
            pending = pa.concat_tables([pending, pa.Table.from_batches([batch])])
            while len(pending) >= row_group_rows:
                writer.write_table(pending.slice(0, row_group_rows), row_group_size=row_group_rows)
                pending = pending.slice(row_group_rows)
        if len(pending):
            writer.write_table(pending)


def _catalogue(seed: int) -> _Catalogue:
    stream = np.random.default_rng([seed, 0])
    # A word's share of this table is its share of the text, so drawing a word is one uniform integer.
    words = pa.array([*_COMMON_WORDS.split() * 40, *_WORDS.split() * 8, *_SENTENCE_ENDS * 25, *_ODD_WORDS.split("|")])
    categories = _CATEGORIES.split()
    product = np.arange(_PRODUCTS, dtype=np.uint64)
    return _Catalogue(
        words=words,
        product_ids=_identifiers(b"B0", _mixed(product, seed), digits=8),
        product_parents=pc.cast(pa.array(100_000_000 + _mixed(product, seed + 1) % 900_000_000), pa.string()),
        product_titles=_text(stream, words, _PRODUCTS, median=7, spread=0.5, most=40, nulls=0.002),
        product_categories=pc.take(
            pa.array(categories), pa.array(_skewed(stream, _PRODUCTS, len(categories), power=2.0))
        ),
    )


def _block(catalogue: _Catalogue, seed: int, block: int) -> pa.RecordBatch:
    stream = np.random.default_rng([seed, 1, block])
    rows = _BLOCK_ROWS
    number = np.arange(block * rows, (block + 1) * rows, dtype=np.uint64)
    product = pa.array(_skewed(stream, rows, _PRODUCTS, power=3.0))
    stars = stream.choice(5, rows, p=(0.08, 0.05, 0.08, 0.17, 0.62)) + 1
    total_votes = np.minimum(stream.geometric(0.35, rows) - 1, 3) * (stream.pareto(1.1, rows) + 1)
    total_votes = np.minimum(total_votes, 50_000).astype(np.int32)
    helpful_votes = (total_votes * stream.beta(2, 1, rows)).astype(np.int32)
    days = int((_LAST_DAY - _FIRST_DAY).astype(int))
    dates = _FIRST_DAY + (days * stream.power(4, rows)).astype(np.int64)
    years = dates.astype("datetime64[Y]").astype(np.int64) + 1970
    no_date = stream.choice([True, False], rows, p=[0.002, 0.998])
    columns = {
        "marketplace": _choices(stream, rows, {"US": 0.9, "UK": 0.06, "DE": 0.02, "JP": 0.01, "FR": 0.01}),
        "customer_id": pc.cast(pa.array(10_000_000 + _skewed(stream, rows, _CUSTOMERS, power=2.0)), pa.string()),
        "review_id": _identifiers(b"R", _mixed(number, seed), digits=13),
        "product_id": pc.take(catalogue.product_ids, product),
        "product_parent": pc.take(catalogue.product_parents, product),
        "product_title": pc.take(catalogue.product_titles, product),
        "star_rating": pa.array(stars, pa.int32()),
        "helpful_votes": pa.array(helpful_votes, pa.int32()),
        "total_votes": pa.array(total_votes, pa.int32()),
        "vine": _choices(stream, rows, {"N": 0.995, "Y": 0.005}),
        "verified_purchase": _choices(stream, rows, {"Y": 0.77, "N": 0.23}),
        "review_headline": _text(stream, catalogue.words, rows, median=4, spread=0.6, most=25, nulls=0.01),
        "review_body": _text(stream, catalogue.words, rows, median=36, spread=0.9, most=5_000, nulls=0.004),
        "review_date": pa.array(dates.astype("datetime64[D]"), pa.date32(), mask=no_date),
        "year": pa.array(years, pa.int32(), mask=no_date),
        "product_category": pc.take(catalogue.product_categories, product),
    }
    return pa.RecordBatch.from_pydict(columns, schema=SCHEMA)


def _mixed(number: "NDArray[np.uint64]", seed: int) -> "NDArray[np.uint64]":
    """Scatter numbers over 64 bits, one to one: an odd multiplier and a shifted xor are each reversible."""
    scattered = (number + np.uint64(1 + (seed << 40))) * np.uint64(0x9E3779B97F4A7C15)
    return scattered ^ (scattered >> np.uint64(31))


def _identifiers(prefix: bytes, number: "NDArray[np.uint64]", digits: int) -> pa.StringArray:
    """Write numbers in base 36 behind a prefix; 13 digits keep all of 64 bits apart."""
    letters = np.empty((len(number), len(prefix) + digits), dtype=np.uint8)
    letters[:, : len(prefix)] = np.frombuffer(prefix, dtype=np.uint8)
    for position in range(len(prefix) + digits - 1, len(prefix) - 1, -1):
        number, digit = np.divmod(number, np.uint64(36))
        letters[:, position] = _BASE36[digit]
    return pa.array(letters.view(f"S{letters.shape[1]}").ravel()).cast(pa.string())


def _skewed(stream: np.random.Generator, rows: int, distinct: int, power: float) -> "NDArray[np.int64]":
    return (distinct * stream.random(rows) ** power).astype(np.int64)


def _choices(stream: np.random.Generator, rows: int, shares: dict[str, float]) -> pa.StringArray:
    picked = stream.choice(len(shares), rows, p=list(shares.values()))
    return pc.take(pa.array(list(shares)), pa.array(picked))


def _text(
    stream: np.random.Generator,
    words: pa.StringArray,
    rows: int,
    *,
    median: int,
    spread: float,
    most: int,
    nulls: float,
) -> pa.StringArray:
    lengths = np.clip(median * stream.lognormal(0.0, spread, rows), 1, most).astype(np.int64)
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    drawn = words.take(pa.array(stream.integers(0, len(words), int(ends[-1]), dtype=np.int32)))
    text = pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), drawn), " ")
    return pc.if_else(pa.array(stream.random(rows) < nulls), pa.scalar(None, pa.string()), text)
