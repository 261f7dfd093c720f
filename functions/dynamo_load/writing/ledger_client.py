"""How the ledger is asked by the thread that sends: quickly, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.config import Config

if TYPE_CHECKING:
    from botocore.session import Session
    from mypy_boto3_dynamodb import DynamoDBClient

# Asking blocks that thread, so whoever asks pauses in the SDK's place, without blocking.
_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=1)


def ledger_client(session: Session) -> DynamoDBClient:
    """Make a client with the region, endpoint and credentials of `session` that gives up after a second or two."""
    client: Any = session.create_client("dynamodb", config=_CONFIG)
    return client  # type: ignore[no-any-return]
