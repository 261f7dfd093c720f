"""One Redshift cluster and one workgroup on this machine: the Data API before an embedded PostgreSQL.

From the top down, each room importing only those below it: `api` (requests and statements of the Data API), `execution`
(one statement, from its text to its result), `dynamic` (what a procedure's dynamic SQL asks meanwhile), `transfer`
(UNLOAD and COPY, to and from S3), `sql` (Redshift's SQL on PostgreSQL).
"""
