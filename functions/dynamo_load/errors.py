"""Failures of a load that a state machine or a person must tell apart."""

from __future__ import annotations

from errors import PipelineError, TransientError


class MissingKeyColumn(PipelineError):
    """No column of the rows becomes a key attribute of the target table."""


class MissingTtlColumn(PipelineError):
    """No column of the rows becomes the target table's TTL attribute, so no item would ever expire."""


class AmbiguousColumns(PipelineError):
    """Two columns of the rows have the same name but for case, or would become one attribute, or one column two."""


class UnknownColumn(PipelineError):
    """The input's `attributes` rename a column that the rows don't have."""


class KeyTypeMismatch(PipelineError):
    """A key column's values are not what the target table's key, or the key of one of its indexes, takes."""


class UnsupportedColumnType(PipelineError):
    """Values of a column's type have no place in a DynamoDB item."""


class UnsupportedColumnName(PipelineError):
    """A column's name can't be the name of a DynamoDB attribute."""


class DynamoDbRefused(PipelineError):
    """DynamoDB will never accept any request: no such table, access denied, another key.

    The message is DynamoDB's own, without the contents of rows.
    """


class EndpointNotTrusted(PipelineError):
    """The TLS certificate of DynamoDB's endpoint could not be verified."""


class CredentialsUnavailable(TransientError):
    """There are no AWS credentials that DynamoDB accepts; a new run gets new ones from its role."""


class WritesStalled(TransientError):
    """Not one batch could be written before the deadline, though some were sent."""


class BudgetUnavailable(TransientError):
    """The write budget, which all loaders share, could not be asked for a minute."""


class MissingFile(PipelineError):
    """An unloaded file that the work list names isn't in S3."""


class FileAccessDenied(PipelineError):
    """An unloaded file may not be read."""


class CorruptParquetFile(PipelineError):
    """An unloaded file isn't Parquet, or holds other rows than are listed, or other columns than its neighbours."""


class FileReadInterrupted(TransientError):
    """S3 failed, or the connection to it broke, while an unloaded file was read."""


class RejectsNotStored(TransientError):
    """Rejected rows could not be stored in S3; nothing is counted as rejected before it is stored."""


class CorrectedRowsMissing(PipelineError):
    """There is no corrected copy of the rejects that the input wants to replay."""


class CorrectedRowsInvalid(PipelineError):
    """The corrected copy of a load's rejects is not one: no JSON, another load's lines, values of another type."""


class LedgerUnavailable(TransientError):
    """The ledger table could not be read or written."""


class PlanOfAnotherVersion(TransientError):
    """The plan of a load was written by another version of this code, as while the stack is being updated."""


class PieceTakenOver(TransientError):
    """The piece is another loader's now; this one has stopped. The other may be one that nobody waits for any more."""


class LoadHasFailed(PipelineError):
    """The load of the piece was found to have failed, so this loader has stopped."""


class ItemsDiffer(PipelineError):
    """Items that were read back from the target are not those that the load has found or made there."""


class RowsUnaccounted(PipelineError):
    """Not every unloaded row is accounted for in one way alone, or others were deleted than had vanished."""


class TooManyRejects(PipelineError):
    """More rows were rejected than the load allows."""


class TooManyDeletions(PipelineError):
    """More rows have vanished from the query's result than the load may delete."""


class KeysNotCompared(PipelineError):
    """Not every bucket of a load that deletes was compared with what the target is known to hold."""
