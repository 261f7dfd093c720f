"""What the tests of the transport share: a session for the sink, and batches of rows with numbered keys."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import botocore.session
import pytest

from dynamo_load.writing.batches import Batch
from dynamo_load.writing.transport import BatchTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dynamo_load.writing.batches import Delivery
    from local.dynamodb_sink import DynamoDbSink

ROWS_PER_BATCH = 25
PATIENCE_SECONDS = 60.0
"""After this long a test goes on with what is written, and fails for what isn't."""


class Writer:
    """A transport to a sink, the batches it is given, and what it reports as written."""

    def __init__(self, sink: DynamoDbSink, session: botocore.session.Session, **settings: Any) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        arguments: dict[str, Any] = {"max_in_flight": 8, "budget": None, "seconds_left": lambda: end - time.monotonic()}
        self.transport: BatchTransport[Batch] = BatchTransport(table="reviews", session=session, **arguments | settings)
        self.sink = sink
        self.pulled: list[Batch] = []
        self.done: list[Delivery[Batch]] = []

    def send(self, rows: int, *, first: int = 0, text: str = "…") -> None:
        """Write `rows` rows with the keys `row-<number>`."""
        self.transport.send(self._pulled(batches(rows, first=first, text=text)), self.done.append, self.wait)

    def wait(self) -> None:
        """What is done meanwhile: nothing."""

    @property
    def written(self) -> list[Batch]:
        return [delivery.batch for delivery in self.done]

    @property
    def rows_written(self) -> int:
        return sum(delivery.batch.rows - len(delivery.refused) for delivery in self.done)

    @property
    def write_units(self) -> float:
        return sum(delivery.write_units for delivery in self.done)

    @property
    def refused(self) -> dict[str, str]:
        """The refused rows' keys, and why."""
        return {
            json.loads(f"[{delivery.batch.body_items.decode()}]")[row.row]["PutRequest"]["Item"]["pk"]["S"]: row.detail
            for delivery in self.done
            for row in delivery.refused
        }

    def _pulled(self, source: Iterator[Batch]) -> Iterator[Batch]:
        for batch in source:
            self.pulled.append(batch)
            yield batch


def batches(rows: int, *, first: int = 0, text: str = "…") -> Iterator[Batch]:
    for begin in range(first, first + rows, ROWS_PER_BATCH):
        numbers = range(begin, min(begin + ROWS_PER_BATCH, first + rows))
        puts = [
            {"PutRequest": {"Item": {"pk": {"S": f"row-{number}"}, "n": {"N": str(number)}, "text": {"S": text}}}}
            for number in numbers
        ]
        items = json.dumps(puts, separators=(",", ":"), ensure_ascii=False).encode()[1:-1]
        yield Batch(items, len(puts), len(puts), numbers[-1], deletes=False, few_keys=False)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> botocore.session.Session:
    """A session with credentials, and none of the machine's settings."""
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    for name in ("AWS_PROFILE", "AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    session = botocore.session.Session()
    session.set_config_variable("region", "eu-central-1")
    session.set_credentials("AKIDEXAMPLE", "secret", "token")
    return session


@pytest.fixture
def write_to(session: botocore.session.Session, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Writer]:
    """Make a `Writer` to a sink; the keywords are the transport's."""

    def connect(sink: DynamoDbSink, **settings: Any) -> Writer:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", sink.endpoint_url)
        if sink.ca_bundle:
            monkeypatch.setenv("AWS_CA_BUNDLE", sink.ca_bundle)
        return Writer(sink, settings.pop("session", session), **settings)

    return connect
