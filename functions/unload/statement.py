"""The UNLOAD statement around a query."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from environment import required
from errors import MissingConfiguration
from statements.data_api import MAX_SQL_BYTES, Statement
from statements.identifiers import Identifier
from target.table import TargetTable
from unload.buckets import BUCKET_COLUMN, HASH_COLUMN
from unload.errors import InvalidQuery

# The largest file that UNLOAD writes: a multiple of 32 MB, the size of a row group ("UNLOAD"), so that a file is a few
# pieces of work and one that has to be read again costs little.
_MAX_FILE_SIZE_MB = 128
_ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
_HASH_BITS = 2**31 - 1
# Chained roles stand in one string, a comma between their ARNs ("Authorizing Redshift to access other AWS services").
_ROLE = re.compile(rf"default|{_ROLE_ARN}(?:,{_ROLE_ARN})*", re.ASCII)


@dataclass(frozen=True)
class UnloadOptions:
    """How Redshift writes: with which role (`default` or ARNs), and where.

    `bucket_region` is set where the bucket is in another region than Redshift.
    """

    role: str
    bucket_region: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read UNLOAD_ROLE, REDSHIFT_REGION (empty: the bucket's) and Lambda's own AWS_REGION.

        Raises MissingConfiguration.
        """
        role = required(environment, "UNLOAD_ROLE")
        if not _ROLE.fullmatch(role):
            raise MissingConfiguration(f"UNLOAD_ROLE is {role!r}: set it to default or to a role's ARN.")
        return cls(role, required(environment, "AWS_REGION") if environment.get("REDSHIFT_REGION") else None)


def selected(query: str, condition: str | None) -> str:
    """What stands after FROM: the query's rows, or those of them for which a condition holds.

    The query is nested, because UNLOAD refuses LIMIT in the outer SELECT; its own lines keep a comment at its end
    harmless.
    """
    return f"(\n{query}\n) AS unloaded" + (f" WHERE {condition}" if condition else "")


def all_rows(source: str) -> str:
    """SELECT rows as they are."""
    return f"SELECT * FROM {source}"  # noqa: S608 - the query is the user's own


def rows_in_buckets(source: str, target: TargetTable, attributes: Mapping[str, str], buckets: int) -> str:
    """SELECT rows with two columns more: a hash of their key, and in which of `buckets`, a power of two, it puts them.

    `attributes` renames columns, as the input's does. FNV_HASH hashes a value's binary form ("FNV_HASH function"), in
    which 0.0 and -0.0 differ, which DynamoDB calls one number: adding 0 makes them one. What it makes of NULL is
    documented nowhere, so that it is never what decides.
    """
    bucket = f"{HASH_COLUMN} & {buckets - 1} AS {BUCKET_COLUMN}"
    hashed = f"CAST({_hash(target, attributes)} & {_HASH_BITS} AS INTEGER) AS {HASH_COLUMN}"
    return f"SELECT *, {bucket} FROM (SELECT *, {hashed} FROM {source}) AS hashed"  # noqa: S608


def count_statement(source: str, column: str | None) -> Statement:
    """Count rows, and find the highest value of a column (its name in SQL) as text, cut to 256 characters.

    A text that was cut is lower than the whole, so nothing beyond it is missed.
    """
    highest = f", CAST(MAX({column}) AS VARCHAR(256)) AS highest" if column else ""
    return _statement(f"SELECT COUNT(*) AS row_count{highest} FROM {source}")  # noqa: S608


def unload_statement(
    rows: str, destination: str, options: UnloadOptions, *, encrypt_with_kms: bool, partition_by: str | None = None
) -> Statement:
    """UNLOAD the rows of a SELECT as Parquet, with a verbose manifest, to `destination` (`s3://bucket/prefix/`).

    Those of one value of the column `partition_by` go to a folder of their own, and the column to none of the files.
    Raises InvalidQuery when the statement is longer than the Data API takes.
    """
    role = "default" if options.role == "default" else quote_literal(options.role)
    lines = [
        f"UNLOAD ({quote_literal(rows)})",
        f"TO {quote_literal(destination)}",
        f"IAM_ROLE {role}",
        "FORMAT PARQUET",
        *([f"PARTITION BY ({partition_by})"] if partition_by else []),
        "MANIFEST VERBOSE",
        f"MAXFILESIZE {_MAX_FILE_SIZE_MB} MB",
    ]
    if options.bucket_region:
        lines.append(f"REGION {quote_literal(options.bucket_region)}")
    if encrypt_with_kms:
        # AUTO takes the key of the bucket's default encryption; without it, Redshift asks S3 for SSE-S3.
        lines.append("ENCRYPTED AUTO")
    return _statement("\n".join(lines))


def _statement(sql: str) -> Statement:
    if (size := len(sql.encode())) > MAX_SQL_BYTES:
        raise InvalidQuery(
            f"the statement around the query has {size:,} bytes, more than the Data API's {MAX_SQL_BYTES:,}: "
            "shorten the query, or make it a view."
        )
    return Statement(sql)


def _hash(target: TargetTable, attributes: Mapping[str, str]) -> str:
    columns = {attribute: column for column, attribute in attributes.items()}
    hashed = ""
    for key in target.key:
        # A name as the query's result has it, and no SQL: it may hold any character.
        name = Identifier((columns.get(key.name, key.name),)).sql
        value = f"{name} + 0" if key.type == "N" else name
        seed = f", {hashed}" if hashed else ""
        hashed = f"COALESCE(FNV_HASH({value}{seed}), 0)"
    return hashed


def quote_literal(text: str) -> str:
    """A text as an SQL string, as Redshift's QUOTE_LITERAL writes it: quotes and backslashes are doubled."""
    doubled = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
