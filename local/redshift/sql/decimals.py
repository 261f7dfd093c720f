"""The types of computed numbers, by Redshift's rules for precision and scale.

AWS documentation: "Computations with numeric values", "SUM function", "AVG function", "Math functions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from local.redshift.sql.session import Type

if TYPE_CHECKING:
    from collections.abc import Sequence

NULL: Final = Type("null")
MAX_PRECISION: Final = 38
_INTEGERS: Final = {"int2": 5, "int4": 10, "int8": 19}
_FLOATS: Final = frozenset({"float4", "float8"})
_INT4_MAX: Final = 2**31 - 1
_INT8_MAX: Final = 2**63 - 1
_LEAST_SCALE_OF_A_QUOTIENT: Final = 4


def literal(text: str) -> Type:
    """The type of a number as it is written."""
    if "e" in text.lower():
        return Type("float8")
    whole, point, fraction = text.partition(".")
    if point or int(whole) > _INT8_MAX:
        digits = len(whole.lstrip("0")) + len(fraction)
        return decimal(max(digits, 1), len(fraction))
    return Type("int4" if int(whole) <= _INT4_MAX else "int8")


def decimal(precision: int, scale: int) -> Type:
    """A decimal within Redshift's limits."""
    return Type("numeric", min(precision, MAX_PRECISION), min(scale, MAX_PRECISION))


def computed(operator: str, left: Type | None, right: Type | None) -> Type | None:  # noqa: PLR0911
    """The type of `left operator right`, with an operator of + - * / %; None if it isn't known."""
    if left is None or right is None:
        return None
    if {left.name, right.name} & _FLOATS:
        return Type("float8")
    if left.name in _INTEGERS and right.name in _INTEGERS:
        return max(left, right, key=lambda one: _INTEGERS[one.name])
    one, other = _as_decimal(left), _as_decimal(right)
    if one is None or other is None:
        return None
    (p1, s1), (p2, s2) = one, other
    match operator:
        case "+" | "-":
            scale = max(s1, s2)
            return decimal(max(p1 - s1, p2 - s2) + 1 + scale, scale)
        case "*":
            return decimal(p1 + p2 + 1, s1 + s2)
        case "/":
            scale = max(_LEAST_SCALE_OF_A_QUOTIENT, s1 + p2 - s2 + 1)
            return decimal(p1 - s1 + s2 + scale, scale)
        case _:
            return None


def common(types: Sequence[Type | None]) -> Type | None:
    """The type that COALESCE, CASE, UNION and their like give to values of several types; None if it isn't known."""
    known = [one for one in types if one not in (None, NULL)]
    if None in types or not known:
        return None
    if len(set(known)) == 1:
        return known[0]
    if {one.name for one in known} & _FLOATS:
        return Type("float8")
    if all(one.name in _INTEGERS for one in known):
        return max(known, key=lambda one: _INTEGERS[one.name])
    decimals = [_as_decimal(one) for one in known]
    if None in decimals:
        return None
    scale = max(s for _, s in filter(None, decimals))
    return decimal(max(p - s for p, s in filter(None, decimals)) + scale, scale)


def total(summed: Type | None) -> Type | None:
    """The type of SUM."""
    match summed:
        case Type("int2" | "int4"):
            return Type("int8")
        case Type("int8"):
            return decimal(MAX_PRECISION, 0)
        case Type("float4" | "float8"):
            return Type("float8")
        case Type("numeric", int(), scale):
            return decimal(MAX_PRECISION, scale)
        case _:
            return None


def average(averaged: Type | None) -> Type | None:
    """The type of AVG."""
    return Type("int8") if averaged is not None and averaged.name in _INTEGERS else total(averaged)


def _as_decimal(one: Type) -> tuple[int, int] | None:
    if one.name in _INTEGERS:
        return _INTEGERS[one.name], 0
    return (one.precision, one.scale) if one.name == "numeric" and one.precision is not None else None
