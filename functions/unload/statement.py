"""The UNLOAD statement around a query."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from environment import required, whole_number
from errors import MissingConfiguration
from statements.data_api import Statement
from unload.errors import InvalidQuery

# The Data API's older, lower limit for one query string ("Using the Amazon Redshift Data API"); newer pages say 200 KB.
_MAX_SQL_BYTES = 100_000
# UNLOAD rounds a Parquet file's size down to a multiple of 32 MB and takes at most 6.2 GB ("UNLOAD").
_FILE_SIZES_MB = range(32, 6_201)
_ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
# Chained roles stand in one string, a comma between their ARNs ("Authorizing Redshift to access other AWS services").
_ROLE = re.compile(rf"default|{_ROLE_ARN}(?:,{_ROLE_ARN})*", re.ASCII)


@dataclass(frozen=True)
class UnloadOptions:
    """How Redshift writes: with which role (`default` or ARNs), and files of about how many megabytes.

    `bucket_region` is set where the bucket is in another region than Redshift.
    """

    role: str
    max_file_size_mb: int
    bucket_region: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read UNLOAD_ROLE, UNLOAD_MAX_FILE_SIZE_MB, REDSHIFT_REGION (empty: the bucket's) and Lambda's own AWS_REGION.

        Raises MissingConfiguration.
        """
        role = required(environment, "UNLOAD_ROLE")
        if not _ROLE.fullmatch(role):
            raise MissingConfiguration(f"UNLOAD_ROLE is {role!r}: set it to default or to a role's ARN.")
        size = whole_number(environment, "UNLOAD_MAX_FILE_SIZE_MB")
        if size not in _FILE_SIZES_MB:
            raise MissingConfiguration(
                f"UNLOAD_MAX_FILE_SIZE_MB is {size}: set it to a whole number from "
                f"{_FILE_SIZES_MB[0]} to {_FILE_SIZES_MB[-1]}."
            )
        return cls(role, size, required(environment, "AWS_REGION") if environment.get("REDSHIFT_REGION") else None)


def unload_statement(query: str, destination: str, options: UnloadOptions, *, encrypt_with_kms: bool) -> Statement:
    """UNLOAD the query's rows as Parquet, with a verbose manifest, to `destination` (`s3://bucket/prefix/`).

    The query is nested, because UNLOAD refuses LIMIT in the outer SELECT; its own lines keep a comment at its end
    harmless. Raises InvalidQuery when the statement is longer than the Data API takes.
    """
    role = "default" if options.role == "default" else quote_literal(options.role)
    nested = f"SELECT * FROM (\n{query}\n) AS unloaded"  # noqa: S608 - the query is the user's own
    lines = [
        f"UNLOAD ({quote_literal(nested)})",
        f"TO {quote_literal(destination)}",
        f"IAM_ROLE {role}",
        "FORMAT PARQUET",
        "MANIFEST VERBOSE",
        f"MAXFILESIZE {options.max_file_size_mb} MB",
    ]
    if options.bucket_region:
        lines.append(f"REGION {quote_literal(options.bucket_region)}")
    if encrypt_with_kms:
        # AUTO takes the key of the bucket's default encryption; without it, Redshift asks S3 for SSE-S3.
        lines.append("ENCRYPTED AUTO")
    sql = "\n".join(lines)
    if (size := len(sql.encode())) > _MAX_SQL_BYTES:
        raise InvalidQuery(
            f"the UNLOAD statement has {size:,} bytes, more than the Data API's {_MAX_SQL_BYTES:,}: "
            "shorten the query, or make it a view."
        )
    return Statement(sql)


def quote_literal(text: str) -> str:
    """A text as an SQL string, as Redshift's QUOTE_LITERAL writes it: quotes and backslashes are doubled."""
    doubled = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{doubled}'"
