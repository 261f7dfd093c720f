"""How many requests a loader keeps in flight: as many as are answered as fast as few are, found by trying."""

from __future__ import annotations

START = 4
SLOWER_THAN_BEST = 2.0
"""Mean latency of a round, as a multiple of the best, from which more requests in flight would only queue."""
BEST_FADES = 1.0005
"""Per round; lets the best latency of a quiet minute be forgotten when the service has become slower."""


class AdaptiveConcurrency:
    """The number of requests that may be in flight, between 1 and `most`, adapted by every answer.

    It doubles per round trip until latency suffers, then grows by one per round trip while latency holds.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(START, most))
        self._careful = False
        self._best_latency = float("inf")
        self._round_seconds = 0.0
        self._round_answers = 0
        self._round_length = self.allowed
        self._latency_holds = True

    @property
    def allowed(self) -> int:
        """The number of requests that may be in flight now."""
        return int(self._limit)

    def stored(self, latency: float, *, limit_used: bool) -> None:
        """Learn from a request that was stored wholly after `latency` seconds.

        `limit_used` says whether as many requests were in flight as may be: a limit that isn't used was not tried, so
        that it may not grow.
        """
        self._round_seconds += latency
        self._round_answers += 1
        if self._round_answers >= self._round_length:
            mean = self._round_seconds / self._round_answers
            self._best_latency = min(self._best_latency * BEST_FADES, mean)
            self._latency_holds = mean <= self._best_latency * SLOWER_THAN_BEST
            self._careful = self._careful or not self._latency_holds
            self._round_seconds, self._round_answers, self._round_length = 0.0, 0, self.allowed
        if limit_used and self._latency_holds:
            self._limit = min(self._most, self._limit + 1 / (self._limit if self._careful else 1.0))
