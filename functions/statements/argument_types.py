"""The types that a procedure's argument may name, which decide how its value reaches SQL.

Redshift resolves which procedure is called from the types of the arguments; a bound value alone has none.
"""

import re

_MAX_PRECISION, _MAX_SCALE = 38, 37  # "Numeric types" in the Amazon Redshift developer guide
_MAX_LENGTHS = {"char": 4096, "varchar": 65_535}  # "Character types"

_PLAIN = (
    *("smallint", "integer", "bigint", "decimal", "numeric", "real", "double precision", "boolean"),
    *("char", "varchar", "date", "time", "timetz", "timestamp", "timestamptz", "super"),
)
_WITH_LENGTH = re.compile(r"(char|varchar) ?\( ?([0-9]{1,5}) ?\)")
_WITH_PRECISION = re.compile(r"(decimal|numeric) ?\( ?([0-9]{1,2}) ?(?:, ?([0-9]{1,2}) ?)?\)")

SUPER = "super"
OFFERED = f"{', '.join(_PLAIN)}, decimal(p,s), char(n) or varchar(n)"
"""What an error offers."""


def parse_type(text: str) -> str:
    """Return a type as it stands in SQL; raises ValueError, whose message says what may be named."""
    folded = " ".join(text.lower().split())
    if folded in _PLAIN:
        return folded
    if (found := _WITH_LENGTH.fullmatch(folded)) and 1 <= int(found[2]) <= _MAX_LENGTHS[found[1]]:
        return f"{found[1]}({int(found[2])})"
    if found := _WITH_PRECISION.fullmatch(folded):
        precision, scale = int(found[2]), int(found[3] or 0)
        if 1 <= precision <= _MAX_PRECISION and scale <= min(precision, _MAX_SCALE):
            return f"{found[1]}({precision},{scale})"
    raise ValueError(f"is not a type that an argument may have: give {OFFERED}")
