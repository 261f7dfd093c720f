"""How a statement fails: the classes that leave the SQL engine, whichever of its rooms noticed."""

from __future__ import annotations


class SqlFailed(Exception):
    """The statement failed; the message is what Redshift would report, its leading `ERROR: ` included."""

    def __init__(self, message: str) -> None:
        super().__init__(f"ERROR: {message}")


class SqlCancelled(Exception):
    """The statement was cancelled while it ran."""

    def __init__(self) -> None:
        super().__init__("ERROR: Query (cancelled) on user's request")


class NotImitated(SqlFailed):
    """A construct of Redshift that this engine can't run as Redshift would; the message names it."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not imitated by the local Redshift")
