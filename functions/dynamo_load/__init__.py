"""Loading unloaded rows into a DynamoDB table, whole columns at a time, and accounting for every one of them.

In reading order: `target` and `mapping` (which table, and what it asks of the rows), `reading` (row groups of a piece,
in bounded memory), `duplicates` (which rows a later one replaces), `encoding` (rows to request text: `attributes` says
what each column becomes, with `json_strings`, `numbers`, `times` and `nested` for the kinds of values, `item_size` for
write units, `row_faults` for what DynamoDB can never accept), `transport` (requests in flight: `signing` signs them,
`answers` reads what comes back, `concurrency` and `budget` set the pace), `watermark`, `rejects` (kept where
`locations` says) and `ledger` (what is settled), `loading` (one piece from start to checkpoint) and `verifying` (do the
numbers of all pieces add up?).
"""
