"""What MiniStack lacks or does otherwise than AWS, where that would hide a real path of this application.

Each patch is the smallest that mends its gap. They reach into private functions, so `apply` refuses every
version of MiniStack but the one they were written for.
"""

from __future__ import annotations

from importlib.metadata import version

MINISTACK_VERSION = "1.5.33"


class UnsupportedMiniStackError(Exception):
    """Another version of MiniStack is installed than the one these patches were written for."""


def apply() -> None:
    """Patch MiniStack in this process, before it serves its first request.

    Raises `UnsupportedMiniStackError`: The installed MiniStack isn't version `MINISTACK_VERSION`.
    """
    installed = version("ministack")
    if installed != MINISTACK_VERSION:
        raise UnsupportedMiniStackError(
            f"the local AWS needs MiniStack {MINISTACK_VERSION}, but {installed} is installed: run "
            f"`pip install 'ministack[full]=={MINISTACK_VERSION}'`, or check every patch here against {installed}"
        )
