"""UNLOAD: the way of the rows from the query to S3.

AWS documentation: "UNLOAD", "UNLOAD examples".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local.redshift.sql import dialect
from local.redshift.sql.failures import SqlFailed
from local.redshift.transfer.storage import keys_under
from local.redshift.transfer.unload_files import UnloadedFiles
from local.redshift.transfer.unload_rows import UnloadRows
from local.redshift.transfer.unload_statement import read

if TYPE_CHECKING:
    from local.redshift.transfer.database import Database
    from local.redshift.transfer.storage import Storage


def run(database: Database, statement: str, storage: Storage) -> int:
    """Carries out an UNLOAD and returns how many rows it wrote.

    A failure leaves the files that were written by then, and no manifest: S3 has no rollback.
    Raises `SqlFailed`, `psycopg.Error`, `ClientError`.
    """
    session = database.session
    unload = read(statement, is_case_sensitive=session.is_case_sensitive)
    s3 = storage.as_role(unload.role, unload.region)
    rows = UnloadRows(database, dialect.translate(unload.query, session), unload)
    existing = keys_under(s3, unload.bucket, unload.prefix)
    if unload.clean_path and not unload.partition_by:
        for key in existing:
            s3.delete_object(Bucket=unload.bucket, Key=key)
    elif not (unload.allow_overwrite or unload.clean_path) and next(existing, None) is not None:
        raise SqlFailed(
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually "
            "removing the target files in S3, or using the ALLOWOVERWRITE option."
        )
    with UnloadedFiles(s3, unload, rows.columns) as files:
        for folder, part in rows.read():
            files.write(folder, part)
    files.write_manifest()
    return files.rows
