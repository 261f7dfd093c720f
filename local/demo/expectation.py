"""What the demo promises: anything else ends it."""

from __future__ import annotations


class DemoFailedError(Exception):
    """Something was not as it should be; the message says what."""


def expect(kept: bool, broken_promise: str) -> None:
    """Raise `DemoFailedError` with the message if a promise isn't kept."""
    if not kept:
        raise DemoFailedError(broken_promise)
