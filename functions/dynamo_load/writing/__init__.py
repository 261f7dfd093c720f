"""Writing: batches of put requests go to DynamoDB, as many at once as the table takes.

`transport` decides what is sent when, `batches` is what, `connections` carry it, `signing` signs it, `answers` reads
what comes back, `concurrency` and `budget` set the pace, `botocore_internals` asks botocore. Imports no other room.
"""
