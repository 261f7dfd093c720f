"""MiniStack as it comes, and the same with our patches: where tests show a gap and its mend."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from local.stack import LocalAws
from tests.local.launcher.emulator import DEADLINE_SECONDS, Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """MiniStack without our patches."""
    directory: Path = tmp_path_factory.mktemp("ministack")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "TMPDIR": str(directory),
        "HOME": str(directory),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "LOG_LEVEL": "WARNING",
        "IOT_MTLS_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
    }
    process = subprocess.Popen([sys.executable, "-B", "-m", "ministack"], env=environment)
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/ready", timeout=5):
                    break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("plain MiniStack didn't start")
                time.sleep(0.05)
        session = botocore.session.Session()
        session.set_credentials("test", "test")
        endpoint: Any = {"region_name": "us-east-1", "endpoint_url": f"http://127.0.0.1:{port}"}
        yield Emulator(lambda service: session.create_client(service, **endpoint))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture(scope="session")
def mended() -> Iterator[Emulator]:
    """The local AWS, which is MiniStack with our patches."""
    with LocalAws() as aws:
        yield Emulator(aws.client)
