"""The local AWS: one process that is S3, DynamoDB, Lambda, Step Functions, EventBridge … and Redshift.

MiniStack serves the AWS APIs, with IAM enforced; `local.ministack_patches` mends what would hide a real path
of this application; `local.redshift` adds the Redshift Data API. `local.stack.LocalAws` starts this module and
gives it its settings as environment variables (MiniStack reads them when it is imported), a bound socket to
listen on, and a pipe on standard input. When the pipe closes, because the parent wants it or because it died,
the process stops PostgreSQL and every Lambda worker, removes its files and ends.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import shutil
import signal
import sys
import threading
import traceback
from http import HTTPStatus
from pathlib import Path
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack.app import app
from ministack.core import lambda_runtime

from local import call_watch, ministack_patches
from local.redshift.api import service
from local.redshift.sql.engine import Engine

GRACE_SECONDS = 0.5  # for requests under way when the process is told to stop


def main() -> None:
    """Serve until standard input closes or a signal comes, then leave nothing behind."""
    parser = argparse.ArgumentParser(prog="python -m local.aws")
    parser.add_argument("--listen", type=int, required=True, help="file descriptor of a bound TCP socket")
    parser.add_argument("--directory", type=Path, required=True, help="for all files; removed at the end")
    parser.add_argument("--parameter-group", type=json.loads, default={}, help="of the Redshift cluster, as JSON")
    parser.add_argument("--with-quotas", action="store_true", help="let the Data API throttle as AWS does")
    arguments = parser.parse_args()
    exit_code = 0
    try:
        _run(arguments.listen, arguments.directory, arguments.parameter_group, with_quotas=arguments.with_quotas)
    except BaseException:  # noqa: BLE001 - the last word of this process: whatever it was belongs in the log
        traceback.print_exc()
        exit_code = 1
    shutil.rmtree(arguments.directory, ignore_errors=True)
    sys.stderr.flush()
    # Executions still waiting for a callback hold threads that would keep the interpreter alive.
    os._exit(exit_code)


def _run(listen: int, directory: Path, parameter_group: dict[str, str], *, with_quotas: bool) -> None:
    ministack_patches.apply()
    call_watch.note_in(directory / "calls.jsonl")
    engine = Engine(directory / "redshift", parameter_group)
    engine.start()
    try:
        service.register(engine, os.environ["AWS_ENDPOINT_URL"], with_quotas=with_quotas)
        _look_for_garbage_seldom()
        asyncio.new_event_loop().run_until_complete(_serve(listen))
    finally:
        service.shutdown()
        engine.stop()


def _look_for_garbage_seldom() -> None:
    """Not among what stays, all that is imported by now, and not for each few hundred objects of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _serve(listen: int) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=_wait_for_parent, args=(loop, stop), daemon=True).start()
    config = Config()
    config.bind = [f"fd://{listen}"]
    config.keep_alive_timeout = 75  # longer than botocore keeps an idle connection (60 s)
    config.graceful_timeout = GRACE_SECONDS
    config.loglevel = "WARNING"
    try:
        await serve(_front, config, shutdown_trigger=stop.wait)
    finally:
        # An execution under way would call its next Lambda.
        lambda_runtime.Worker._spawn = _refuse_to_spawn
        lambda_runtime.reset()


async def _front(scope: Any, receive: Any, send: Any) -> None:
    """MiniStack without what it does for requests that nobody has signed: resets, settings, reading of messages."""
    path = scope.get("path", "")
    if scope["type"] != "lifespan" and "/_ministack/" in path and path != "/_ministack/ready":
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN, "headers": []})
            await send({"type": "http.response.body", "body": b"not here"})
        else:
            await send({"type": "websocket.close"})
        return
    await app(scope, receive, send)


def _refuse_to_spawn(_worker: object) -> None:
    raise RuntimeError("the local AWS is stopping")


def _wait_for_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    loop.call_soon_threadsafe(stop.set)


if __name__ == "__main__":
    main()
