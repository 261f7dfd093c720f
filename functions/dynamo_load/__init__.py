"""Loading unloaded rows into a DynamoDB table, whole columns at a time, and accounting for every one of them.

A row goes through the rooms in this order: `reading`, `encoding`, `writing`, `accounting`; `loading` takes one piece
through all of them, from its checkpoint to the next. `plan` is what a load is told. Each room says in its first lines
what it may import.
"""
