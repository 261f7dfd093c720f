"""Writing: batches of put requests go to DynamoDB, as many at once as the table takes.

`transport` keeps requests in flight, `signing` signs them, `answers` reads what comes back, `concurrency` and `budget`
set the pace. Imports no other room.
"""
