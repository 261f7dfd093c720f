"""COPY: rows from files on S3 into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.redshift.failures import NotImitated

if TYPE_CHECKING:
    import psycopg

    from local.redshift.storage import Storage


def run(_connection: psycopg.Connection[Any], _statement: str, _storage: Storage) -> int:
    """Refused as yet."""
    raise NotImitated("COPY")
