"""Figures as the report has them, beside those that all commands have."""

from __future__ import annotations

_KILO = 1_000


def count(number: float) -> str:
    """A whole number, its thousands apart."""
    return f"{number:,.0f}"


def short(number: float) -> str:
    """A number in a few characters, for an axis: 950, 1.5k, 20k, 3M."""
    for unit in ("", "k", "M", "G"):
        if abs(number) < _KILO or unit == "G":
            return f"{number:.3g}{unit}"
        number /= _KILO
    raise AssertionError


def share(part: float, whole: float) -> str:
    """A part of a whole in per cent; never 0 % or 100 % of what is not nothing or all."""
    if not whole:
        return "none"
    percent = 100 * part / whole
    if part and percent < 0.1:  # noqa: PLR2004
        return "< 0.1 %"
    if part < whole and percent > 99.9:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{percent:.3g} %"


def size(number: float) -> str:
    """Bytes, in the unit that suits."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if number < _KILO or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= _KILO
    raise AssertionError
