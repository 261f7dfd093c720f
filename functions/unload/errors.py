"""What can go wrong between an execution's input and the loaders' work. The class names reach the state machine."""

from errors import PipelineError


class InvalidQuery(PipelineError):
    """The query is not exactly one complete SELECT or WITH, or is too long for the Data API."""


class BucketNotFound(PipelineError):
    """The data bucket does not exist."""


class BucketRefused(PipelineError):
    """The data bucket exists, but this function may not look at it."""


class InvalidManifest(PipelineError):
    """The manifest that UNLOAD wrote can't be read as one."""


class ManifestMismatch(PipelineError):
    """The unloaded files are not those that the manifest lists: missing, foreign, of another size or row count."""


class RowsNotCounted(PipelineError):
    """It is not known how many rows there are, though the number of buckets depends on it."""


class UnsuitableIncrementalColumn(PipelineError):
    """The column of an incremental load has values that can't tell, or not less an overlap, which rows are newer."""


class BucketTooLarge(PipelineError):
    """A bucket has more rows or files than one loader takes."""


class EmptyResult(PipelineError):
    """The query of a load that mirrors it returned no rows, so that every item would be deleted."""


class FullLoadNeeded(PipelineError):
    """Only newer rows were unloaded, but nothing is known of the others any more."""


class LoadNotReplayable(PipelineError):
    """The rejects of a load can't be replayed: it is gone, or not done, or its table was changed since."""


class LoadNotResumable(PipelineError):
    """The load that the input wants to go on with is not there any more, or its table was changed since."""
