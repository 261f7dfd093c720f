"""The template's parameters as the table of docs/deploying.md.

`python -m tests.template.parameters_table` writes it there.
"""

from __future__ import annotations

from typing import Any

from tests.template.stack import ROOT, Stack

PAGE = ROOT / "docs/deploying.md"
BEGIN = "<!-- parameters: python -m tests.template.parameters_table writes what follows -->\n"
END = "<!-- end of parameters -->\n"


def table() -> str:
    """A row for each parameter, in the order in which `sam deploy --guided` asks."""
    rows = [_row(name, parameter) for name, parameter in Stack.load().section("Parameters").items()]
    return "".join(["| parameter | default | meaning | it |\n", "|---|---|---|---|\n", *rows])


def with_table(page: str) -> str:
    """The page with the table between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def _row(name: str, parameter: dict[str, Any]) -> str:
    default = f"`{parameter['Default']}`" if parameter["Default"] else "empty"
    return f"| `{name}` | {default} | {parameter['Description']} | {parameter['ConstraintDescription']} |\n"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text()))
