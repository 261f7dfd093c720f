"""What DynamoDB charges for writing on demand, as far as that is known here."""

DOLLARS_PER_MILLION = {"us-east-1": 0.625}
"""US dollars for a million write request units of the table class Standard, since November 2024, by region.

From "Amazon DynamoDB pricing". A region is here only if its price was read somewhere: one that is guessed is worse than
none.
"""


def write_dollars(write_units: float, region: str) -> float | None:
    """US dollars for so many write units, to the cent; None if the region's price is not known here."""
    price = DOLLARS_PER_MILLION.get(region)
    return None if price is None else round(write_units * price / 1_000_000, 2)
