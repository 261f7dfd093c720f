"""Redshift's dialect of SQL and PL/pgSQL, translated to PostgreSQL's."""

from __future__ import annotations


class NotImitated(Exception):
    """A construct of Redshift that this engine can't run as Redshift would; the message names it."""


def translate(statement: str) -> str:
    """One Redshift statement, its placeholders written `$1`, `$2` …, as PostgreSQL runs it. Raises `NotImitated`."""
    return statement
