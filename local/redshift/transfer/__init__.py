"""UNLOAD and COPY: rows between PostgreSQL and files on S3.

It may import `local.redshift.sql`, Arrow and S3's client. In reading order: `unload` (a statement carried out), which
uses `unload_statement` (its clauses), `unload_rows` and `unload_files`; `copy_from`; `clauses`; `database`; `storage`.
"""
