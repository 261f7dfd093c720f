"""What an execution has done, read from its history, the ledger, the token table, Redshift and the rejects in S3.

`reading.RunReader` finds and reads runs, as `model` describes them; `rejects` reads the rows that a load rejected.
Nothing here changes anything, and no task token is ever read.
"""
