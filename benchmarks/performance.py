"""The figures of docs/performance.md, kept as JSON beside it with when, where and with what they were measured."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed import DataclassInstance

_PACKAGES = ("pyarrow", "pycurl", "numpy", "botocore", "boto3", "awswrangler", "pandas", "ministack")


@dataclass(frozen=True)
class Circumstances:
    """When, where and with what something was measured."""

    date: str
    processor: str
    cores: int
    load_average: float
    """Processes that wanted a core in the minute before; more than a few tenths distort wall time."""
    system: str
    python: str
    versions: dict[str, str]

    @classmethod
    def here_and_now(cls) -> Circumstances:
        """Those of this machine."""
        model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            processor=f"{model[1] if model else 'processor'} ({platform.machine()})",
            cores=os.cpu_count() or 1,
            load_average=os.getloadavg()[0],
            system=platform.system(),
            python=platform.python_version(),
            versions={name: version(name) for name in _PACKAGES},
        )


class Performance:
    """All figures, by part and then by name; `part` has a `circumstances` entry too."""

    def __init__(self, parts: dict[str, dict[str, Any]] | None = None) -> None:
        self.parts = parts or {}

    @classmethod
    def read(cls, path: Path) -> Performance:
        """Read those of a file, none if it isn't there."""
        return cls(json.loads(path.read_text()) if path.exists() else None)

    def write(self, path: Path) -> None:
        """Write them to a file."""
        path.write_text(json.dumps(self.parts, indent=1) + "\n")

    def put(self, part: str, circumstances: Circumstances, **figures: Sequence[DataclassInstance] | float) -> None:
        """Replace a part."""
        self.parts[part] = {"circumstances": asdict(circumstances)} | {
            name: value if isinstance(value, int | float) else [asdict(figure) for figure in value]
            for name, value in figures.items()
        }
