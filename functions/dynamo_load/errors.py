"""Failures of a load that a state machine or a person must tell apart."""

from __future__ import annotations

from errors import PipelineError


class MissingKeyColumn(PipelineError):
    """The rows have no column of the name of a key attribute of the target table."""


class AmbiguousColumns(PipelineError):
    """Two columns of the rows have the same name but for case."""


class KeyTypeMismatch(PipelineError):
    """A key column is written as another DynamoDB type than the one the target table's key has."""


class UnsupportedColumnType(PipelineError):
    """Values of a column's type have no place in a DynamoDB item."""


class UnsupportedColumnName(PipelineError):
    """A column's name can't be the name of a DynamoDB attribute."""
