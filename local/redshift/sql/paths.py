"""Paths through SUPER (`source.column.attribute[0]`) in sqlglot's trees, and what stands for them in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

if TYPE_CHECKING:
    from collections.abc import Sequence


def name_of(identifier: exp.Expr) -> str:
    """The name as the catalog has it: folded to lower case unless it is in quotes."""
    inner = identifier.this if isinstance(identifier, exp.Column) else identifier
    quoted = isinstance(inner, exp.Identifier) and bool(inner.quoted)
    return identifier.name if quoted else identifier.name.lower()


def function(called: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of a function in schema redshift."""
    call = exp.Anonymous(this=called, expressions=list(arguments))
    return exp.Dot(this=exp.to_identifier("redshift"), expression=call)


def steps_of(node: exp.Expr) -> tuple[exp.Expr, list[exp.Expr]]:
    """What a path begins with, and its steps: names and indexes. A column's own names are steps, too."""
    steps: list[exp.Expr] = []
    while True:
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
            steps.insert(0, node.expression)
        elif isinstance(node, exp.Bracket) and len(node.expressions) == 1:
            steps.insert(0, node.expressions[0])
        else:
            break
        node = node.this
    return node, [*node.parts, *steps] if isinstance(node, exp.Column) and not node.is_star else steps


def navigated(base: exp.Expr, steps: Sequence[exp.Expr]) -> exp.Expr:
    """What is reached from `base` by names and indexes."""
    for step in steps:
        if isinstance(step, exp.Identifier) or step.is_string:
            attribute = name_of(step) if isinstance(step, exp.Identifier) else step.name
            base = function("member", base, exp.Literal.string(attribute))
        else:
            base = function("element", base, step.copy())
    return base


def array_in_from(source: exp.Expr) -> tuple[list[exp.Expr], exp.Expr | None, exp.Expr | None]:
    """The path of `path [AS alias [AT index]]`, alias and index; an empty path if it can be none."""
    place = alias = None
    if isinstance(source, exp.AtIndex):
        source, place = source.this, source.expression
    if isinstance(source, exp.Unnest) and len(source.expressions) == 1:
        alias_of = source.args.get("alias")
        alias = next(iter(alias_of.columns), alias_of.this) if alias_of is not None else None
        source = source.expressions[0]
    if isinstance(source, exp.Alias):
        source, alias = source.this, source.args["alias"]
    if isinstance(source, exp.Table) and source.db:
        alias_of = source.args.get("alias")
        return list(source.parts), alias_of.this if alias_of is not None else None, place
    base, steps = steps_of(source)
    return (steps, alias, place) if isinstance(base, exp.Column) else ([], None, None)
