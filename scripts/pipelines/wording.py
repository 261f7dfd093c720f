"""Figures in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_TENTHS_BELOW = 10
_CENT = 0.01


def duration(seconds: float) -> str:
    """Such as `0.4 s`, `12 s`, `4 min 05 s`, `7 h 12 min`, `3 d 04 h`."""
    if seconds < _TENTHS_BELOW:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02} s"
    if whole < _DAY:
        return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02} min"
    return f"{whole // _DAY} d {whole % _DAY // _HOUR:02} h"


def moment(at: datetime) -> str:
    """Such as `2026-11-22 03:00:05`, in UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}"


def count(number: float, noun: str) -> str:
    """Such as `1 row`, `20,000 rows`."""
    return f"{number:,.0f} {noun}" + ("" if number == 1 else "s")


def dollars(amount: float) -> str:
    """An amount of US dollars; of less than a cent two digits that aren't 0."""
    if 0 < amount < _CENT:
        return f"${amount:.2g}" if amount >= 0.0001 else "< $0.0001"  # noqa: PLR2004
    return f"${amount:,.2f}"
