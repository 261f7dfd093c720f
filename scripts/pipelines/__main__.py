"""`python -m scripts.pipelines`, or `python scripts/pipelines` from anywhere."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    # The functions' packages are imported as Lambda has them; this folder's own modules only by their full names.
    sys.path[:] = [
        str(_ROOT),
        str(_ROOT / "functions"),
        *(path for path in sys.path if Path(path) != _ROOT / "scripts/pipelines"),
    ]
    from scripts.pipelines.command_line import main

    main()
