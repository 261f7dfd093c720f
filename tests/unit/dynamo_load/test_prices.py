"""A price that is not known is not guessed."""

from dynamo_load.prices import write_dollars


def test_what_is_written_has_the_price_of_its_region_to_the_cent() -> None:
    assert write_dollars(1_000_000_000, "us-east-1") == 625
    assert write_dollars(123_456, "us-east-1") == 0.08
    assert write_dollars(0, "us-east-1") == 0


def test_where_the_price_is_not_known_nothing_is_said() -> None:
    assert write_dollars(1_000_000, "eu-north-1") is None
