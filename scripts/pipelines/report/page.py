"""From the contents of a report to its HTML."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.pipelines.wording import dollars

if TYPE_CHECKING:
    from scripts.pipelines.report.contents import Contents

_HERE = Path(__file__).parent


def page(contents: Contents) -> str:
    """The report as one HTML document, which loads nothing and runs nothing.

    Whatever comes from the run is escaped, and the page's policy lets no style but its own be used.
    """
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # As it stands in the page, which is what a browser takes the hash of.
    css = (_HERE / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    return environment.get_template("page.html.j2").render(
        page=contents, dollars=dollars, css=css, css_hash=f"sha256-{digest}"
    )
