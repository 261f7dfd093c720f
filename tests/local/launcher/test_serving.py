"""`make local`, as far as it needs no local AWS."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from local.stack import PROJECT

_WAITS = "from local.serve import stop_signalled; stop = stop_signalled(); print('ready', flush=True); stop.wait()"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_that_it_stops_is_said_as_soon_as_it_is_told_to(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _WAITS], cwd=PROJECT, stdout=subprocess.PIPE, encoding="utf-8"
    ) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "ready\n"
        waiting.send_signal(number)
        assert waiting.stdout.read() == "\nstopping …\n"
    assert waiting.returncode == 0
