"""What the tests of the launcher share."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def temporary_directory() -> Iterator[Path]:
    """An empty directory for TMPDIR: `tmp_path` is too long for the path of PostgreSQL's socket (107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="test-") as directory:
        yield Path(directory)
