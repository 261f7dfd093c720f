"""What the target tables hold, as far as loads have noted it, so that a load can write only what has changed.

`table_state` is a row of the ledger for each table: which load's records are the current ones, and which loads have
begun to change the table since. `locks` says who may write it; no other room is imported. `bucket_record` reads and
writes the records, an object of S3 for each load and bucket; `generations` makes and removes all of a load's at once.
"""
