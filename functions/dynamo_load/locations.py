"""Where the rejected rows of one load live in the data bucket."""


def rejects_prefix(load_id: str) -> str:
    """The prefix of a load's rejects."""
    return f"rejects/{load_id}/"


def rejects_url(bucket: str, load_id: str) -> str:
    """The same for people."""
    return f"s3://{bucket}/{rejects_prefix(load_id)}"
