"""Locks that executions hold (`execution_lock`), for what only one may do at a time.

That is loading a table (`table`), or what inputs name (`singleton`).

Imports no other room. A lock is a row of the ledger table, and held for as long as its execution runs.
"""
