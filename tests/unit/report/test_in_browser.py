"""The report as a real browser shows it: whole, readable, at any width, in light and dark and on paper; and inert."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.pipelines.report.balance import Rejects
from tests.unit.report import made_runs
from tests.unit.report.conftest import report

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.report.browser import Browser

HOSTILE = "\"'><script>document.title='owned'</script><img src=x onerror=alert(1)>{{ 7*7 }}</style></pre>"
REJECTS = Rejects({"key_empty": 6, "number_out_of_range": 2, "refused_by_dynamodb": 1}, all_read=True)
ADVICE = "Some loaders failed.\nMend what the cause names and load again, or go on with `resume`."
PAGES = {
    "finished": lambda: report(made_runs.finished_load(), REJECTS),
    "paced": lambda: report(made_runs.paced_load()),
    "failed": lambda: report(made_runs.failed_load(), advice=ADVICE),
    "running": lambda: report(made_runs.running_load()),
    "procedure": lambda: report(made_runs.procedure()),
    "failed procedure": lambda: report(made_runs.procedure(HOSTILE, "FAILED")),
    "large": lambda: report(made_runs.large_load()),
}
LOOKS = {
    "light": {"width": 1_200},
    "dark": {"width": 1_200, "dark": True},
    "phone": {"width": 360},
    "phone at night": {"width": 360, "dark": True},
    "paper": {"width": 720, "media": "print"},
}

# Elements that stand out of the page at its right, but for those that are only for screen readers.
OVERFLOWING = """
const width = document.documentElement.clientWidth;
const wide = [...document.querySelectorAll('body *')].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width > 1 && box.right > width + 1 && !element.closest('.unseen');
});
return [document.documentElement.scrollWidth > width, ...wide.map(element => element.outerHTML.slice(0, 80))]
  .filter(Boolean);
"""

# Texts whose colour stands out from what is behind it by less than WCAG 2.2 asks for (1.4.3, level AA).
PALE = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const linear = value => (value /= 255) <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const pale = [];
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || element.closest('.unseen')) continue;
  const style = getComputedStyle(element);
  const ink = channels(element.closest('svg') ? style.fill : style.color);
  const [dark, light] = [luminance(ink), luminance(behind(element))].sort((a, b) => a - b);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < 4.5) pale.push(`${contrast.toFixed(2)}: ${walker.currentNode.data.trim().slice(0, 60)}`);
}
return [walker.currentNode === document.body ? 'no text' : '', ...pale].filter(Boolean);
"""

# What a reader who does not see the page would miss.
UNTOLD = """
const untold = [];
for (const picture of document.querySelectorAll('svg'))
  if (picture.getAttribute('aria-hidden') !== 'true'
      && !(picture.getAttribute('role') === 'img' && picture.getAttribute('aria-label')))
    untold.push(picture.outerHTML.slice(0, 80));
for (const table of document.querySelectorAll('table'))
  if (!table.caption || !table.caption.textContent.trim() || table.querySelector('th:not([scope])'))
    untold.push(table.outerHTML.slice(0, 80));
for (const section of document.querySelectorAll('section')) {
  const name = section.getAttribute('aria-labelledby');
  if (!section.getAttribute('aria-label') && !(name && document.getElementById(name)))
    untold.push(section.outerHTML.slice(0, 80));
}
if (document.querySelectorAll('h1').length !== 1 || !document.documentElement.lang) untold.push('no title or language');
return untold;
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_report_is_readable_however_it_is_looked_at_and_asks_for_nothing(
    name: str, chromium: Browser, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGES[name](), encoding="utf-8")
    chromium.open(page)
    for look, options in LOOKS.items():
        chromium.look(**options)  # type: ignore[arg-type]
        assert chromium.run(OVERFLOWING) == [], look
        assert chromium.run(PALE) == [], look
    assert chromium.run(UNTOLD) == []
    assert chromium.printed().startswith(b"%PDF")
    assert chromium.messages() == []
    assert chromium.requests() == [page.as_uri()]


def test_dark_is_dark_and_paper_is_white_even_at_night(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(PAGES["finished"](), encoding="utf-8")
    chromium.open(page)
    grounds = []
    for dark, media in ((False, "screen"), (True, "screen"), (True, "print")):
        chromium.look(dark=dark, media=media)
        grounds.append(chromium.run("return getComputedStyle(document.documentElement).backgroundColor"))
    assert grounds == ["rgb(244, 245, 247)", "rgb(15, 19, 25)", "rgb(255, 255, 255)"]


def test_what_comes_from_the_run_is_text_wherever_it_stands(chromium: Browser, tmp_path: Path) -> None:
    run = made_runs.hostile_load(HOSTILE)
    page = tmp_path / "report.html"
    page.write_text(report(run, Rejects({HOSTILE: 1}, all_read=True), advice=HOSTILE), encoding="utf-8")
    chromium.open(page)
    assert chromium.run("return document.querySelectorAll('script, img, [onerror]').length") == 0
    assert chromium.run("return document.title") == f"Failed: {HOSTILE}"
    assert chromium.run("return document.querySelector('h1').textContent") == HOSTILE
    assert chromium.run("return document.querySelector('.cause').textContent") == HOSTILE
    assert chromium.run("return document.querySelectorAll('main').length") == 1
    assert chromium.messages() == []
    assert chromium.requests() == [page.as_uri()]


def test_the_policy_of_the_page_refuses_what_would_not_be_its_own(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    strange = "<style>main { display: none }</style><script>document.title='owned'</script><img src=x.png></main>"
    page.write_text(PAGES["procedure"]().replace("</main>", strange), encoding="utf-8")
    chromium.open(page)
    assert chromium.run("return document.title") != "owned"
    assert chromium.run("return getComputedStyle(document.querySelector('main')).display") != "none"
    refused = chromium.messages()
    assert len([message for message in refused if "Content Security Policy" in message]) == 3
