"""Figures as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_MANY_SECONDS = 10
_CENT = 0.01
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


def seconds(number: float) -> str:
    """How long something took: in two units at most."""
    if round(number, 1) < _MANY_SECONDS:
        return f"{number:.1f} s"
    whole = round(number)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return _of_two(whole, _MINUTE, "min", 1, "s")
    if whole < _DAY:
        return _of_two(whole, _HOUR, "h", _MINUTE, "min")
    return _of_two(whole, _DAY, "d", _HOUR, "h")


def _of_two(number: int, large: int, large_name: str, small: int, small_name: str) -> str:
    many, rest = divmod(number, large)
    few = rest // small
    return f"{many} {large_name} {few} {small_name}" if few else f"{many} {large_name}"


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


def dollars(amount: float) -> str:
    """An amount of US dollars; of less than a cent two digits that aren't 0."""
    if 0 < amount < _CENT:
        return f"${amount:.2g}" if amount >= 0.0001 else "< $0.0001"  # noqa: PLR2004
    return f"${amount:,.2f}"


def size(number: float) -> str:
    """Bytes, in the unit that suits."""
    for unit in ("bytes", "KB", "MB", "GB", "TB"):
        if number < _KILO or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= _KILO
    raise AssertionError


def moment(at: datetime) -> str:
    """A date and a time of day, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
