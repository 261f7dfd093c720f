"""The texts of items and keys are kept from load to load, as digests or as they are: they have versions."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa

from dynamo_load.encoding import ENCODER_VERSION
from dynamo_load.encoding.items import KEY_VERSION, ItemEncoder
from target.table import KeyAttribute
from tests.unit.dynamo_load.encoding.put_requests import mapping

# A new version gets a line of its own, with the digest that the failing test tells.
ITEMS = {1: "99d34d5ecc145cf883602e401cd959ad487e1807172c905993d89428a32134ad"}
KEYS = {1: "c6cc3c6f3433e9d59f82f22dbe39b61ead50508f5228e7ffa70737ff2627d7bb"}

BATCH = pa.record_batch(
    {
        "pk": pa.array(["a", 'quote " and \\', "é\n"]),
        "sk": pa.array([1.5, -0.0, 1e20]),
        "whole": pa.array([1, -2, None], pa.int64()),
        "exact": pa.array([Decimal("1.10"), None, Decimal("-0.05")], pa.decimal128(10, 2)),
        "real": pa.array([0.1, 1e-7, None], pa.float32()),
        "flag": pa.array([True, False, None]),
        "day": pa.array([date(2026, 1, 2), None, date(1, 1, 1)]),
        "at": pa.array([datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), None, None], pa.timestamp("us", "UTC")),
        "clock": pa.array([time(1, 2, 3), None, None], pa.time64("us")),
        "code": pa.array(["ab  ", "  ", None]),
        "more": pa.array(['{"a": [1, 2.50, null, "x"]}', "[]", None]),
    }
)


def encoder() -> ItemEncoder:
    """For a table with a text and a number as key."""
    key = KeyAttribute("pk", "S"), KeyAttribute("sk", "N")
    return ItemEncoder(BATCH.schema, mapping(*key, super_columns=["more"], char_columns=["code"]))


def test_whoever_changes_the_text_of_items_raises_its_version() -> None:
    text = encoder().encode(BATCH).text
    assert ITEMS[ENCODER_VERSION] == hashlib.sha256(text).hexdigest()


def test_whoever_changes_the_text_of_keys_raises_its_version() -> None:
    texts = encoder().key_texts(BATCH.select(["pk", "sk"])).to_pylist()
    assert KEYS[KEY_VERSION] == hashlib.sha256(b"\n".join(texts)).hexdigest()
