"""Where the objects of one load live in the data bucket. The template's rules and policies name the same folders."""


def load_id(execution_arn: str, statement_name: str) -> str:
    """The name of one load, for people and in the ledger: the execution's name and a part of its statement's digest.

    An execution's name is unique only within its state machine and for 90 days; with the digest, no load ever meets
    the files or the ledger of another. A retried attempt has the same statement, and so the same load.
    """
    execution_name = execution_arn.rsplit(":", 1)[-1]
    digest = statement_name.rsplit("|", 1)[-1]
    return f"{execution_name}-{digest[:8]}"


def unload_prefix(load_id: str) -> str:
    """What UNLOAD writes; only one UNLOAD ever does, or a replay in its place.

    So UNLOAD can stay at its default, to refuse a prefix that is not empty, and nothing needs the right to delete.
    """
    return f"unload/{load_id}/"


def pieces_key(load_id: str) -> str:
    """The list of pieces that the Distributed Map reads."""
    return f"loads/{load_id}/pieces.json"


def plan_key(load_id: str) -> str:
    """The plan of a load, with which another execution can go on with it."""
    return f"loads/{load_id}/plan.json"


def rejects_prefix(load_id: str) -> str:
    """The rejected rows."""
    return f"rejects/{load_id}/"


def rejects_url(bucket: str, load_id: str) -> str:
    """Where the rejected rows are, for people."""
    return f"s3://{bucket}/{rejects_prefix(load_id)}"


def corrected_prefix(load_id: str) -> str:
    """Where a person puts what he has made of the rejected rows, for a replay."""
    return f"corrected/{load_id}/"


def records_prefix(table: str, made: str) -> str:
    """What is known of the contents of the table that was made at `made`: the records of all loads."""
    return f"records/{table}/{made}/"


def record_key(table: str, made: str, load_id: str, bucket: int) -> str:
    """The record that a load has left of one bucket."""
    return f"{records_prefix(table, made)}{load_id}/{bucket:05d}.parquet"
