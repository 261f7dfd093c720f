"""Accounting: what has become of every row.

`duplicates` tells which rows a later one replaces, `watermark` up to where a piece is settled, `ledger` keeps that in
DynamoDB, and how fast it went (`course`), `rejects` keeps refused rows in S3, `verifying` holds all pieces against the
plan. Of a whole load, `vanishing` adds up what it would delete, `beginning` notes that it will change its table,
`committing` what it left.
Imports `reading` and `encoding`.
"""
