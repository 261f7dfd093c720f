"""`python local/install.py …`: pip install with these arguments, and one line that tells how far it is.

It runs before anything is installed. What pip says is shown only if it fails.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import threading
import time

# How often the line is written anew; where it can't be, as in a log, a line is added instead.
_SECONDS, _SECONDS_IN_A_LOG = 1, 15
_WORDS_OF_A_FAILURE = 30


class _Line:
    """A line with what pip is at and for how many seconds it has been at work, in a thread of its own."""

    def __init__(self) -> None:
        self.text = "starting"
        self._started = time.monotonic()
        self._ended = threading.Event()
        self._is_terminal = sys.stdout.isatty()
        self._thread = threading.Thread(target=self._write_on)

    def __enter__(self) -> _Line:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._write()
        if self._is_terminal:
            sys.stdout.write("\n")

    def _write_on(self) -> None:
        while not self._ended.wait(_SECONDS if self._is_terminal else _SECONDS_IN_A_LOG):
            self._write()

    def _write(self) -> None:
        line = f"  {time.monotonic() - self._started:.0f} s  {self.text}"
        # Back to the beginning of the line, and on to a clean one.
        sys.stdout.write(f"\r\x1b[K{line[:79]}" if self._is_terminal else f"{line}\n")
        sys.stdout.flush()


def main(arguments: list[str]) -> int:
    """Run pip; return its exit code."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar=off", *arguments]
    said = []
    found = itertools.count(1)
    with (
        _Line() as line,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip,
    ):
        for words in pip.stdout or ():
            said.append(words)
            if words.startswith("Collecting "):
                line.text = f"fetching package {next(found)}, {re.split('[^a-zA-Z0-9._-]', words.split()[1])[0]}"
            elif words.startswith("Installing collected packages: "):
                line.text = f"unpacking {words.count(',') + 1} packages"
            elif words.startswith("Successfully installed "):
                line.text = f"{len(words.split()) - 2} packages installed"
    if pip.returncode:
        sys.stderr.writelines(said[-_WORDS_OF_A_FAILURE:])
    return pip.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
