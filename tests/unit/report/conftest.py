"""Reports written to files, and a browser that shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.pipelines.report.balance import Rejects
from scripts.pipelines.report.contents import contents
from scripts.pipelines.report.page import page
from tests.unit.report.browser import INSTALL, browser, is_installed
from tests.unit.report.made_runs import after

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.pipelines.runs.model import Run
    from tests.unit.report.browser import Browser

NONE_REJECTED = Rejects({}, all_read=True)


def report(run: Run, rejects: Rejects = NONE_REJECTED, *, advice: str = "", looked_at: float = 165) -> str:
    """The page of a run, as it was so many seconds after it began."""
    return page(
        contents(
            run,
            rejects,
            stack="redshift-pipelines",
            looked_at=after(looked_at),
            advice=advice,
        )
    )


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A real browser, if there is one on this machine."""
    if not is_installed():
        pytest.skip(f"no Chromium with its driver here; on Debian as root: {INSTALL}")
    with browser(tmp_path_factory.mktemp("chromium")) as window:
        yield window
