"""Where the objects of one execution live in the data bucket."""


def execution_name(execution_arn: str) -> str:
    """The execution's own name, the last part of its ARN."""
    return execution_arn.rsplit(":", 1)[-1]


def unload_prefix(execution_arn: str, statement_name: str) -> str:
    """`unload/<execution name>/<digest of the statement>/`: a prefix that only one UNLOAD ever writes to.

    A retried attempt has the same statement name and runs the same UNLOAD once. An execution that takes up an old
    name has another, so it never meets the files that a failed UNLOAD left behind; UNLOAD itself can stay
    at its default, to refuse a prefix that is not empty, and nothing needs the right to delete.
    """
    digest = statement_name.rsplit("|", 1)[-1]
    return f"unload/{execution_name(execution_arn)}/{digest}/"


def pieces_key(execution_arn: str) -> str:
    """The list of pieces that the Distributed Map reads."""
    return f"loads/{execution_name(execution_arn)}/pieces.json"
