"""Locks that executions hold (`execution_lock`), for what only one may do at a time, such as loading a table (`table`).

Imports no other room. A lock is a row of the ledger table, and held for as long as its execution runs.
"""
