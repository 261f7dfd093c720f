"""Redshift's SQL and PL/pgSQL, run by an embedded PostgreSQL: what both say alike is left alone, the rest translated.

It imports no other room, neither AWS nor Arrow. In reading order: `engine` (the PostgreSQL, with `compatibility.sql` in
it), `lexer`, `dialect` (one statement translated), `expressions`, `tables`, `procedures`, `supers`, `failures`.
"""
