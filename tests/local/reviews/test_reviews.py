"""The made-up reviews: the same for everybody, and as awkward as real ones."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from local import reviews


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pa.Table.from_batches(reviews.batches(45_000, seed=7))


def test_the_same_seed_gives_the_same_rows_and_another_seed_gives_others(table: pa.Table) -> None:
    again = pa.Table.from_batches(reviews.batches(45_000, seed=7))
    other = pa.Table.from_batches(reviews.batches(45_000, seed=8))

    assert again.equals(table)
    assert not other.equals(table)
    assert not set(other["review_id"].to_pylist()) & set(table["review_id"].to_pylist())


@pytest.mark.parametrize("rows", [0, 1, 19_999, 20_000, 20_001])
def test_fewer_rows_are_the_first_of_more(table: pa.Table, rows: int) -> None:
    fewer = pa.Table.from_batches(reviews.batches(rows, seed=7), schema=reviews.SCHEMA)

    assert fewer.equals(table.slice(0, rows))


def test_review_ids_are_never_null_and_never_repeat(table: pa.Table) -> None:
    assert table["review_id"].null_count == 0
    assert pc.count_distinct(table["review_id"]).as_py() == len(table)


def test_the_values_obey_the_schema_of_the_table(table: pa.Table) -> None:
    assert table.schema.equals(reviews.SCHEMA)
    assert pc.min_max(table["star_rating"]).as_py() == {"min": 1, "max": 5}
    assert pc.all(pc.less_equal(table["helpful_votes"], table["total_votes"])).as_py()
    assert pc.equal(table["year"], pc.year(table["review_date"])).to_pylist().count(False) == 0
    widths = {"marketplace": 2, "customer_id": 16, "review_id": 16, "product_id": 16, "product_parent": 16}
    widths |= {"product_title": 1024, "review_headline": 1024, "review_body": 65_535, "product_category": 64}
    for column, width in widths.items():
        assert pc.max(pc.binary_length(table[column])).as_py() <= width, column


def test_products_repeat_and_keep_their_title(table: pa.Table) -> None:
    products = table.group_by("product_id").aggregate([("product_title", "count_distinct"), ([], "count_all")])

    assert set(products["product_title_count_distinct"].to_pylist()) <= {0, 1}
    assert pc.max(products["count_all"]).as_py() > 100


def test_the_text_holds_what_breaks_loaders(table: pa.Table) -> None:
    text = " ".join(table["review_body"].drop_null().to_pylist())

    for awkward in ('"', "'", "\\", "\n", "\t", "$$", "<br />", "\u20ac", "\U0001f44d"):
        assert awkward in text, repr(awkward)
    for column in ("product_title", "review_headline", "review_body", "review_date"):
        assert 0 < table[column].null_count < 0.02 * len(table), column


def test_bodies_are_short_as_a_rule_and_long_now_and_then(table: pa.Table) -> None:
    lengths = pc.binary_length(table["review_body"])

    assert 100 < pc.approximate_median(lengths).as_py() < 400
    assert pc.max(lengths).as_py() > 3_000


def test_a_file_holds_the_rows_in_row_groups_of_the_given_size(table: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "reviews.parquet"
    reviews.write_parquet(path, reviews.batches(45_000, seed=7), row_group_rows=12_000)

    file = pq.ParquetFile(path)
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert file.read().equals(table)
    assert groups == [12_000, 12_000, 12_000, 9_000]
