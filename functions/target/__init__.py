"""The target table: what it is (`table`), and how that is read from DynamoDB and held against the stack (`describing`).

Imports no other room; everything that writes to the table, or checks rows against it, imports this one.
"""
