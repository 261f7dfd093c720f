"""Redshift's SQL and PL/pgSQL, run by an embedded PostgreSQL: what both say alike is left alone, the rest translated.

It imports no other room, neither AWS nor Arrow. In reading order: `engine` (the PostgreSQL, with what is in
`compatibility/`), `lexer`, `names`, `dialect` (one statement translated), `expressions`, `tables`, `procedures` and
`supers` (by its words), `queries`, `paths` and `decimals` (by types), `session`, `failures`.
"""
