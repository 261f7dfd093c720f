"""What an UNLOAD statement asks for: its query, destination and clauses.

AWS documentation: "UNLOAD".
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from local.redshift.sql import lexer
from local.redshift.sql.failures import NotImitated, SqlFailed
from local.redshift.transfer.clauses import Clauses, name
from local.redshift.transfer.storage import split_url

_MEGABYTE: Final = 1024 * 1024
_FILE_MEGABYTES: Final = (5, 6.2 * 1024)
_ROW_GROUP_MEGABYTES: Final = (32, 128)


@dataclass
class Unload:
    """What an UNLOAD statement asks for. Sizes are bytes; `encryption` holds S3's names for it."""

    query: str
    bucket: str
    prefix: str
    role: str
    file_format: str = ""
    manifest: bool = False
    verbose: bool = False
    max_file_bytes: int = int(6.2 * 1024) * _MEGABYTE
    row_group_bytes: int = 32 * _MEGABYTE
    parallel: bool = True
    allow_overwrite: bool = False
    clean_path: bool = False
    partition_by: list[str] = field(default_factory=list)
    include_partitions: bool = False
    header: bool = False
    delimiter: str = ","
    encryption: dict[str, str] = field(default_factory=lambda: {"ServerSideEncryption": "AES256"})
    extension: str | None = None
    region: str | None = None


def read(statement: str, *, is_case_sensitive: bool = False) -> Unload:
    """The clauses of an UNLOAD statement. Raises `SqlFailed`; `NotImitated` for clauses that this engine hasn't."""
    clauses = Clauses(statement, is_case_sensitive=is_case_sensitive)
    clauses.expect("UNLOAD")
    clauses.expect("(")
    query = _select(clauses.string())
    clauses.expect(")")
    clauses.expect("TO")
    bucket, prefix = split_url(clauses.string())
    unload = Unload(query, bucket, prefix, clauses.role())
    while clauses:
        _read_option(clauses, unload)
    _check(unload)
    return unload


def _select(text: str) -> str:
    """The one SELECT that UNLOAD's string holds."""
    queries = lexer.statements(text)
    if len(queries) != 1:
        raise SqlFailed("UNLOAD takes exactly one query")
    depth = 0
    for index, token in enumerate(lexer.tokens(queries[0])):
        if index == 0 and token.word not in {"SELECT", "WITH"} and token.text != "(":
            raise SqlFailed(f'syntax error at or near "{token.text}": UNLOAD takes a SELECT')
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.word == "LIMIT":
            raise SqlFailed("LIMIT in the outer SELECT of UNLOAD is not supported: nest the query")
    return queries[0]


def _read_option(clauses: Clauses, unload: Unload) -> None:  # noqa: C901, PLR0912 - one case for each clause
    token = clauses.token()
    match token.word:
        case "FORMAT":
            clauses.one_of({"AS"})
            unload.file_format = clauses.one_of({"PARQUET", "CSV", "JSON"})
            if not unload.file_format:
                raise NotImitated(f"FORMAT {clauses.token().text}")
        case "PARQUET" | "CSV" | "JSON":
            unload.file_format = token.word
        case "MANIFEST":
            unload.manifest = True
            unload.verbose = bool(clauses.one_of({"VERBOSE"}))
        case "MAXFILESIZE":
            unload.max_file_bytes = _size("MAXFILESIZE", clauses, _FILE_MEGABYTES)
        case "ROWGROUPSIZE":
            unload.row_group_bytes = _size("ROWGROUPSIZE", clauses, _ROW_GROUP_MEGABYTES)
        case "PARALLEL":
            unload.parallel = clauses.one_of({"ON", "OFF", "TRUE", "FALSE"}) not in {"OFF", "FALSE"}
        case "ALLOWOVERWRITE":
            unload.allow_overwrite = True
        case "CLEANPATH":
            unload.clean_path = True
        case "PARTITION":
            clauses.expect("BY")
            unload.partition_by = [name(part[0]) for part in lexer.split(clauses.group()) if len(part) == 1]
            unload.include_partitions = bool(clauses.one_of({"INCLUDE"}))
        case "HEADER":
            unload.header = True
        case "DELIMITER":
            unload.delimiter = clauses.string()
        case "ENCRYPTED":
            unload.encryption = {} if clauses.one_of({"AUTO"}) else {"ServerSideEncryption": "aws:kms"}
        case "KMS_KEY_ID":
            unload.encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": clauses.string()}
            clauses.one_of({"ENCRYPTED"})
        case "EXTENSION":
            unload.extension = clauses.string()
        case "REGION":
            unload.region = clauses.string()
        case _:
            raise NotImitated(f"{token.word or token.text} in UNLOAD")


def _size(clause: str, clauses: Clauses, megabytes: tuple[float, float]) -> int:
    size = clauses.megabytes()
    if not megabytes[0] <= size <= megabytes[1]:
        raise SqlFailed(f"{clause} must be from {megabytes[0]:g} MB to {megabytes[1]:g} MB, not {size:g} MB")
    return int(size * _MEGABYTE)


def _check(unload: Unload) -> None:
    is_text, is_parquet = unload.file_format == "CSV", unload.file_format == "PARQUET"
    if not unload.file_format:
        raise NotImitated("UNLOAD without FORMAT")
    if unload.clean_path and unload.allow_overwrite:
        raise SqlFailed("ALLOWOVERWRITE and CLEANPATH can't be used together")
    if unload.header and not is_text:
        raise SqlFailed(f"HEADER is not supported for UNLOAD to {unload.file_format}")
    if unload.delimiter != "," and not is_text:
        raise SqlFailed(f"DELIMITER is not supported for UNLOAD to {unload.file_format}")
    if len(unload.delimiter) != 1 or unload.delimiter in '"\r\n':
        raise SqlFailed("DELIMITER must be a single character, and no quote or line break")
    if unload.encryption == {"ServerSideEncryption": "aws:kms"}:
        raise NotImitated("ENCRYPTED without KMS_KEY_ID or AUTO")
    if is_parquet:
        # AWS documentation: the size is rounded down to a multiple of 32 MB.
        unload.max_file_bytes = max(32 * _MEGABYTE, 32 * _MEGABYTE * math.floor(unload.max_file_bytes / 32 / _MEGABYTE))
    if unload.partition_by and not unload.prefix.endswith("/"):
        unload.prefix += "/"
