"""How many write units per second a loader sends once its table throttles: what the table takes, and hardly more.

A table at its limit takes what it can of whatever it is offered. So the share of it that is stored tells, from one look
at it, how much to offer; a little more is offered to find out whether the table takes more. See docs/throttling.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

LOOK_SECONDS = 0.25
LOOK_REQUESTS = 4
LONGEST_LOOK_SECONDS = 2.0
"""A look lasts until so many requests were answered, but no longer than that."""
MUCH = 0.1
"""Share of a look's units of which the loss is reason enough to look at once, unless as much was lost before."""
LEAST_RATE = 100.0
"""Units per second: from there a loader is at a large table's limit again within seconds, however long it took none."""
MOST_STEP = 0.025
"""Of a rate: the square root of a small one would be too much."""
QUIET_LOOKS = 8
"""So many looks in a row without a throttled row say that the table takes more than before: steps become longer."""
USED = 0.8
"""Share of the rate that has to be sent for the rate to be what limits the loader."""
AHEAD_SECONDS = 0.05
"""What the rate makes in that time is sent at once, so that a loader wakes up for several requests and not for each."""
TRIED = 0.4
"""When a rate has been cut to this share of what it was, that has to have helped."""
EVIDENCE = 8
"""Requests answered, from which on the share that was lost is no chance."""
EVIDENCE_SECONDS = 1.0
"""For so long a loss may come from what was sent before."""
SAVED_UP_SECONDS = 1.0
"""So long after the first throttled row the loss says little: it grows while capacity that was saved up is spent."""
SAME = 1.5
"""Two shares are the same if neither is that many times the other."""
SECONDS_UNCUT = 2.0
SEARCH_SECONDS = 2.0
"""So long a loader that leaves headroom looks what the table takes of it, from the first throttled row of a minute on.

All loaders do at that time: one that did it alone would find what the others leave.
"""


@dataclass(slots=True)
class _Loss:
    """What was lost of the units that were answered, from the rate `rate` on."""

    rate: float = 0.0
    answered: float = 0.0
    lost: float = 0.0
    seconds: float = 0.0

    def add(self, answered: float, lost: float, seconds: float) -> None:
        self.answered += answered
        self.lost += lost
        self.seconds += seconds

    @property
    def share(self) -> float:
        return self.lost / self.answered if self.answered else 0.0

    def is_as(self, other: _Loss) -> bool:
        """Whether the same share was lost, and the same one stored."""
        return _same(self.share, other.share) and _same(1 - self.share, 1 - other.share)


class Pace:
    """The rate of one loader, None until something was throttled; `headroom` is the share of it that it leaves free.

    Has no clock: each `now` is in seconds, none before an earlier one; at `minute_began` a minute of UTC did. Units are
    write units.
    """

    def __init__(self, now: float, *, headroom: float = 0.0, minute_began: float = 0.0) -> None:
        self.rate: float | None = None
        """Units per second that the table is thought to take from this loader."""
        self.used = False
        """Whether the rate was what limited the loader, when it was last looked at."""
        self.throttled_seconds = 0.0
        """For so long something was throttled."""
        self._headroom, self._minute_began = headroom, minute_began
        self._next_at = self._found_at = self._uncut_until = self._rests_until = now
        self._waits = False
        self._look_began = now
        self._spent = self._answered = self._lost = self._grain = 0.0
        self._quiet_looks = 0.0
        self._uncut, self._cut = _Loss(), _Loss()
        self._search: _Loss | None = None

    def join(self, rate: float, now: float) -> None:
        """Begin with the rate of another loader at work: with what it has found, so that there is no need to search."""
        self.set_rate(rate, now)
        if self._headroom:
            self._rest(now)

    def set_rate(self, rate: float, now: float) -> None:
        """Take a rate over, LEAST_RATE at least: from another loader of the same table, or what they all begin with."""
        if self.rate is None:
            self._begin_look(now)
        self.rate = max(LEAST_RATE, rate)

    def wait(self, now: float) -> float:
        """Return in how many seconds requests may be sent again, 0 for now."""
        if self._next_at <= now:
            self._waits = False
        elif self._next_at > now + AHEAD_SECONDS:
            self._waits = True
        return self._next_at - now if self._waits else 0.0

    def spend(self, units: float, now: float) -> None:
        """Take note of a request that is being sent."""
        if not self._spent and now > self._next_at + AHEAD_SECONDS:
            # Time in which there was nothing to send is no part of a look.
            self._look_began = now
        self._spent += units
        if self.rate is not None:
            self._next_at = max(self._next_at, now) + units / self._offered(self.rate, now)

    def answered(self, units: float, stored: float, *, sent_at: float, now: float) -> None:
        """Learn from a request that some of its units were stored, and the others throttled."""
        if sent_at < self._look_began:
            return
        self._answered += units
        self._lost += units - stored
        self._grain = max(self._grain, units)
        seconds = now - self._look_began
        if self.rate is None:
            self._find_rate(seconds, now)
        elif self._has_seen_enough(seconds) or self._loses_much(self.rate):
            self._change_rate(self.rate, seconds, now)

    def _find_rate(self, seconds: float, now: float) -> None:
        if self._lost:
            # By what was sent, not by what was stored: the capacity that the table had saved up is not its limit.
            self.set_rate(self._spent / max(seconds, AHEAD_SECONDS), now)
            self._found_at = now
        elif seconds > 2 * LOOK_SECONDS:
            # Forget half of it.
            self._look_began, self._spent = now - seconds / 2, self._spent / 2

    def _has_seen_enough(self, seconds: float) -> bool:
        enough = self._answered >= LOOK_REQUESTS * self._grain
        return seconds >= (LOOK_SECONDS if enough else LONGEST_LOOK_SECONDS)

    def _loses_much(self, rate: float) -> bool:
        """Whether so much is lost that it is time to look, unless about as much was lost before."""
        known = self._uncut.share if self._uncut.answered >= EVIDENCE * self._grain else 0.0
        return self._lost > max(MUCH, SAME * known) * rate * LOOK_SECONDS + LOOK_REQUESTS * self._grain

    def _change_rate(self, rate: float, seconds: float, now: float) -> None:
        looks = seconds / LOOK_SECONDS
        step = 0.0
        if self._searches(now):
            # The same for all who share a table, and the less for who has more of it: so their shares become equal.
            step = min(sqrt(rate), MOST_STEP * rate) * looks
        self.used = self._lost > 0 or self._spent >= USED * self._offered(rate, now) * seconds
        if self._lost:
            self.throttled_seconds += seconds
            self._quiet_looks = 0.0
            # A rate that was not reached, for want of answers or rows, is no rate that something was lost at.
            rate = min(rate, self._spent / (USED * seconds))
            rate = max(LEAST_RATE, self._without_loss(rate, seconds, now) + min(step, MOST_STEP * rate))
        else:
            self._uncut, self._cut = _Loss(), _Loss()
            if self.used and self._searches(now):
                self._quiet_looks += looks
                rate += step * max(1.0, self._quiet_looks - QUIET_LOOKS)
        self.rate = self._searched(rate, seconds, now) if self._headroom and self._searches(now) else rate
        self._begin_look(now)

    def _searched(self, rate: float, seconds: float, now: float) -> float:
        """Return what was stored per second, and rest, when a search is over; until then the rate."""
        if self._search is None:
            # What is stored before that may be capacity that was saved up.
            if self._lost and now >= self._found_at + SAVED_UP_SECONDS:
                self._search = _Loss()
            return rate
        self._search.add(self._spent, self._spent * self._lost / self._answered, seconds)
        if self._search.seconds < SEARCH_SECONDS:
            return rate
        found = (self._search.answered - self._search.lost) / self._search.seconds
        self._rest(now)
        return max(LEAST_RATE, found)

    def _rest(self, now: float) -> None:
        """Send the rate without the headroom, whatever happens to it, until the next minute begins."""
        self._search, self._quiet_looks = None, 0.0
        self._rests_until = now + 60 - (now - self._minute_began) % 60

    def _without_loss(self, rate: float, seconds: float, now: float) -> float:
        """Return the rate less the share that was lost, unless the loss has turned out not to come from the rate."""
        if now < self._uncut_until:
            return rate
        # One request more counts as stored than was answered, so that one alone can't say that nothing is taken.
        loss = self._lost / (self._answered + self._grain)
        if rate >= TRIED * self._uncut.rate or now < self._found_at + SAVED_UP_SECONDS:
            worse = loss > max(MUCH, SAME * self._uncut.share) and self._answered >= EVIDENCE * self._grain
            if worse or not self._uncut.answered:
                self._uncut = _Loss(rate)
            self._uncut.add(self._answered, self._lost, seconds)
            return rate * (1 - loss)
        self._cut.add(self._answered, self._lost, seconds)
        if self._cut.answered < EVIDENCE * self._grain or self._cut.seconds < EVIDENCE_SECONDS:
            return rate
        before, in_vain = self._uncut.rate, self._cut.is_as(self._uncut)
        self._uncut, self._cut = _Loss(), _Loss()
        if in_vain:
            self._uncut_until = now + SECONDS_UNCUT
            return before
        return rate * (1 - loss)

    def _begin_look(self, now: float) -> None:
        self._look_began = now
        self._spent = self._answered = self._lost = self._grain = 0.0

    def _offered(self, rate: float, now: float) -> float:
        return rate if self._searches(now) else rate * (1 - self._headroom)

    def _searches(self, now: float) -> bool:
        return not self._headroom or now >= self._rests_until


def _same(share: float, other: float) -> bool:
    return share < SAME * other and other < SAME * share
