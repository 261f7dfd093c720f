"""A real browser, Chromium without a window, driven by its own ChromeDriver over the protocol of WebDriver."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

INSTALL = "apt-get install chromium chromium-driver"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def _binary() -> str | None:
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def is_installed() -> bool:
    """Whether there is a Chromium, or a Chrome, here with its driver."""
    return bool(_binary() and shutil.which("chromedriver"))


@dataclass
class Browser:
    """One window of the browser whose session is at `url`."""

    url: str

    def open(self, page: Path) -> None:
        """Show a page from a file; messages and requests of before are forgotten."""
        self.messages()
        self.requests()
        self.open_url(page.as_uri())

    def open_url(self, url: str) -> None:
        """Show what is at a URL."""
        self._post("url", {"url": url})

    def run(self, script: str) -> Any:
        """Run JavaScript, whatever the page's own policy, and return what it returns."""
        return self._post("execute/sync", {"script": script, "args": []})

    def look(self, *, width: int = 1_200, dark: bool = False, media: str = "screen") -> None:
        """Show the page as wide as that, in light or dark colours, on a screen or as it is printed."""
        self._devtools(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def picture(self) -> bytes:
        """The whole page as it is shown, as PNG."""
        shot = self._devtools("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def printed(self) -> bytes:
        """The page as PDF, on A4."""
        paper = self._devtools("Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True)
        return base64.b64decode(paper["data"])

    def messages(self) -> list[str]:
        """What the console has said since it was asked last: errors, and what the page's policy has refused."""
        return [entry["message"] for entry in self._post("se/log", {"type": "browser"})]

    def requests(self) -> list[str]:
        """What was asked for since it was asked last."""
        events = [json.loads(entry["message"])["message"] for entry in self._post("se/log", {"type": "performance"})]
        return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]

    def _devtools(self, command: str, **parameters: Any) -> Any:
        return self._post("goog/cdp/execute", {"cmd": command, "params": parameters})

    def _post(self, path: str, body: Any) -> Any:
        return _ask(f"{self.url}/{path}", body)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile in a folder of its own; it is ended with all that it has started."""
    # The driver ends with its standard input, and so with this process, however that ends; the browser is its child.
    command = "chromedriver --port=0 & read -r _; pkill -P $!; kill $!; wait"
    driver = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert driver.stdin
    assert driver.stdout
    try:
        port = next(found[1] for line in driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        options = {"binary": _binary(), "args": [*_FLAGS, f"--user-data-dir={profile}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        session = _ask(f"http://127.0.0.1:{port}/session", {"capabilities": {"alwaysMatch": wanted}})
        url = f"http://127.0.0.1:{port}/session/{session['sessionId']}"
        try:
            window = Browser(url)
            # The page that it begins with goes on asking for things of its own.
            window.open_url("about:blank")
            yield window
        finally:
            _ask(url, None, method="DELETE")
    finally:
        driver.stdin.close()
        driver.wait()
        driver.stdout.close()


def _ask(url: str, body: Any, method: str = "POST") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["value"]
