"""What functions/ uses of botocore beyond what its documentation promises, with a newer botocore than the pinned one.

AWS updates the botocore of Lambda's runtime without notice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
NEWEST = Path(sys.prefix) / "newest-botocore"
# What comes back, signatures, credentials and certificates: all that botocore_internals is used for.
TESTS = ["tests/unit/dynamo_load/writing", "-k", "test_answers or test_signing or credentials or certificate"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(NEWEST)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_the_transport_works_with_the_newest_botocore() -> None:
    assert NEWEST.is_dir(), f"make installs tests/newest-botocore-requirements.txt into {NEWEST}"
    loaded = run("-c", "import botocore; print(botocore.__version__)").stdout
    assert Version(loaded) > Version(metadata.version("botocore"))
    done = run("-m", "pytest", "-q", "--no-header", *TESTS)
    assert done.returncode == 0, done.stdout + done.stderr
