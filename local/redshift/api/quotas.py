"""How often a second an account may call the operations: beyond it they are throttled, as the Data API does.

"Amazon Redshift quotas and limits" in the Redshift management guide: by account and Region, whoever calls, and not
adjustable. How many calls may come at once after a pause is documented nowhere: here as many as in a second.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from local.redshift.api.errors import ThrottlingError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CALLS_PER_SECOND: Mapping[str, int] = {
    "ExecuteStatement": 30,
    "BatchExecuteStatement": 20,
    "DescribeStatement": 100,
    "GetStatementResult": 20,
    "CancelStatement": 3,
    "ListStatements": 3,
    "ListDatabases": 3,
    "ListSchemas": 3,
    "ListTables": 3,
    "DescribeTable": 3,
}


class Quotas:
    """Counts calls; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[tuple[str, str, str], tuple[float, float]] = {}

    def spend(self, operation: str, account: str, region: str) -> None:
        """Count a call. Raises `ThrottlingError` if it is one too many."""
        rate = CALLS_PER_SECOND.get(operation)
        if rate is None:
            return
        with self._lock:
            now, key = self._clock(), (operation, account, region)
            left, since = self._left.get(key, (float(rate), now))
            left = min(float(rate), left + (now - since) * rate)
            if left < 1:
                raise ThrottlingError("Rate exceeded")
            self._left[key] = left - 1, now
