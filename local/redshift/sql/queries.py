"""What of a statement depends on the types in it: SUPER, whose parts are reached by name, and the decimals of results.

The statement is parsed (sqlglot knows Redshift's grammar), each name is looked up in the tables and queries that it can
come from, and what PostgreSQL would read otherwise is rewritten in the tree: navigation (`s.a.b[0]`), arrays in FROM,
strings beside SUPER, which PostgreSQL would parse as JSON, QUALIFY, and names that stand for another column's
expression. A statement that needs none of this keeps its text.

AWS documentation: "Querying semi-structured data", "QUALIFY clause".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import sqlglot
from sqlglot import exp, transforms

from local.redshift.sql import decimals, paths
from local.redshift.sql.failures import NotImitated
from local.redshift.sql.session import Type

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from local.redshift.sql.session import Session

Columns = list[tuple[str, Type | None]]

_SUPER: Final = Type("super")
_ARITHMETIC: Final[dict[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
_COMPARISONS: Final = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Between)
_CONDITIONS: Final = (exp.Where, exp.Having, exp.If, exp.And, exp.Or, exp.Not)
_OF_TEXT: Final = (exp.DPipe, exp.Lower, exp.Upper, exp.Length, exp.Like, exp.ILike, exp.Substring, exp.Trim)
# What has the type of its first argument (AWS documentation: "Math functions", "Window functions").
_SAME_TYPE: Final = (
    *(exp.Min, exp.Max, exp.AnyValue, exp.FirstValue, exp.LastValue, exp.NthValue, exp.Lag, exp.Lead, exp.Window),
    *(exp.IgnoreNulls, exp.RespectNulls, exp.Paren, exp.Neg, exp.Abs, exp.Round, exp.Trunc, exp.Ceil, exp.Floor),
    *(exp.Sign, exp.Nullif, exp.Alias, exp.Filter),
)
_FLOAT: Final = (exp.Sqrt, exp.Cbrt, exp.Exp, exp.Ln, exp.Log, exp.Pow, exp.Stddev, exp.StddevPop, exp.StddevSamp)
_INT4: Final = (exp.Length, exp.StrPosition)
_INT8: Final = (exp.Count, exp.RowNumber, exp.Rank, exp.DenseRank, exp.TsOrDsDiff, exp.DateDiff)
_CASTS: Final = {
    exp.DataType.Type.SMALLINT: Type("int2"),
    exp.DataType.Type.INT: Type("int4"),
    exp.DataType.Type.BIGINT: Type("int8"),
    exp.DataType.Type.FLOAT: Type("float4"),
    exp.DataType.Type.DOUBLE: Type("float8"),
    exp.DataType.Type.SUPER: _SUPER,
}
_SUPER_FUNCTIONS: Final = frozenset(
    {"JSON_PARSE", "OBJECT", "ARRAY_CONCAT", "SPLIT_TO_ARRAY", "SUBARRAY", "ARRAY_FLATTEN", "MEMBER", "ELEMENT"}
)
# A decimal without a precision has 18 digits and no scale (AWS documentation: "Numeric types").
_PLAIN_DECIMAL: Final = decimals.decimal(18, 0)


@dataclass
class Understood:
    """A statement, and for a query the types of its columns in order, None where one isn't known."""

    text: str
    types: list[Type | None] = field(default_factory=list)


def understood(statement: str, session: Session) -> Understood:
    """The statement with what depends on types rewritten; as it is if sqlglot can't read it: PostgreSQL will judge.

    Raises `NotImitated`.
    """
    try:
        trees = [tree for tree in sqlglot.parse(statement, read="redshift") if tree is not None]
    except sqlglot.errors.SqlglotError:
        return Understood(statement)
    if len(trees) != 1 or isinstance(trees[0], exp.Command):
        return Understood(statement)
    reader = _Reader(session, trees[0])
    types = reader.read()
    return Understood(reader.root.sql("redshift") if reader.has_changed else statement, types)


@dataclass
class _Source:
    """What a name in FROM stands for: `columns` is None if they aren't known; an element is one of an array."""

    columns: dict[str, Type | None] | None
    is_element: bool = False


@dataclass
class _Scope:
    """The sources of a query by name, its WITH queries, the expressions that its columns name, and the query around."""

    outer: _Scope | None
    queries: dict[str, Columns]
    sources: dict[str, _Source] = field(default_factory=dict)
    named: dict[str, exp.Expr] = field(default_factory=dict)

    def chain(self) -> Iterator[_Scope]:
        scope: _Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.outer


class _Reader:
    """Walks through a statement, query by query, and rewrites it."""

    def __init__(self, session: Session, root: exp.Expr) -> None:
        self.root = root
        self.has_changed = False
        self._session = session
        self._knows_columns = True

    def read(self) -> list[Type | None]:
        match self.root:
            case exp.Query():
                kinds = [kind for _, kind in self._query(self.root, None, {})]
                return kinds if self._knows_columns else []
            case exp.Insert():
                self._insert(self.root)
            case exp.Update() | exp.Delete() | exp.Merge():
                self._change(self.root)
            case exp.Create() if isinstance(self.root.expression, exp.Query):
                kinds = [kind for _, kind in self._query(self.root.expression, None, {})]
                for select in _selects(self.root.expression):
                    self._limit(select, kinds)
        return []

    # --- statements that write ---------------------------------------------------------------------------------------

    def _insert(self, insert: exp.Insert) -> None:
        if not isinstance(insert.expression, exp.Query) or isinstance(insert.expression, exp.Values):
            return
        kinds = self._target_types(insert.this)
        for select in _selects(insert.expression):
            for value, kind in zip(select.expressions, kinds, strict=False):
                self._assign(value.unalias(), kind)
        self._query(insert.expression, None, {})

    def _target_types(self, target: exp.Expr) -> list[Type | None]:
        """The types of the columns that an INSERT names, or of all."""
        table = target.this if isinstance(target, exp.Schema) else target
        columns = self._table(table) or {}
        if isinstance(target, exp.Schema):
            return [columns.get(paths.name_of(column)) for column in target.expressions]
        return list(columns.values())

    def _change(self, tree: exp.Expr) -> None:
        """UPDATE, DELETE and MERGE: names come from the target and from what is joined to it."""
        scope = _Scope(None, {})
        from_ = tree.args.get("from_")
        sources = [tree.this, from_.this if from_ else None, *_listed(tree.args.get("using"))]
        for source in filter(None, sources):
            self._source(source, scope)
        target = (self._table(tree.this) or {}) if isinstance(tree.this, exp.Table) else {}
        for update in tree.find_all(exp.Update):
            for assignment in update.expressions:
                self._assign(assignment.expression, target.get(paths.name_of(assignment.this)))
        for insert in tree.find_all(exp.Insert):
            only = insert.this.expressions[0] if isinstance(insert.this, exp.Tuple) else None
            if isinstance(only, exp.Anonymous) and only.name.upper() == "VALUES" and target:
                # sqlglot takes VALUES without names before it for a function.
                insert.set("expression", exp.Tuple(expressions=only.expressions))
                insert.set("this", exp.Tuple(expressions=[exp.column(name, quoted=True) for name in target]))
            values = insert.expression.expressions if isinstance(insert.expression, exp.Tuple) else []
            named = [paths.name_of(column) for column in insert.this.expressions] if insert.this else []
            for name, value in zip(named, values, strict=False):
                self._assign(value, target.get(name))
        for part in list(tree.iter_expressions()):
            if part not in sources and not isinstance(part, exp.From):
                self._expression(part, scope)

    def _assign(self, value: exp.Expr, kind: Type | None) -> None:
        if kind is not None and kind.is_super:
            self._string(value)

    def _limit(self, select: exp.Select, kinds: Sequence[Type | None]) -> None:
        """Gives a new table's computed decimals their precision and scale, of which PostgreSQL would keep none."""
        if any(projection.is_star for projection in select.expressions):
            return
        for projection, kind in zip(list(select.expressions), kinds, strict=False):
            value = projection.unalias()
            if kind is None or kind.name != "numeric" or kind.precision is None or isinstance(value, exp.Column):
                continue
            decimal = exp.DataType.build(f"DECIMAL({kind.precision}, {kind.scale})", dialect="redshift")
            name = projection.args.get("alias") or exp.to_identifier(projection.output_name or value.key)
            projection.replace(exp.Alias(this=exp.Cast(this=value.copy(), to=decimal), alias=name.copy()))
            self.has_changed = True

    # --- queries -----------------------------------------------------------------------------------------------------

    def _query(self, tree: exp.Expr, outer: _Scope | None, queries: dict[str, Columns]) -> Columns:
        queries = dict(queries)
        with_ = tree.args.get("with_")
        for table in with_.expressions if with_ is not None else []:
            queries[paths.name_of(table.args["alias"].this)] = _renamed(self._query(table.this, outer, queries), table)
        match tree:
            case exp.Select():
                return self._select(tree, _Scope(outer, queries))
            case exp.SetOperation():
                pairs = zip(
                    self._query(tree.left, outer, queries), self._query(tree.right, outer, queries), strict=False
                )
                return [(name, decimals.common([one, other])) for (name, one), (_, other) in pairs]
            case exp.Subquery():
                return self._query(tree.this, outer, queries)
            case _:
                return []

    def _select(self, select: exp.Select, scope: _Scope) -> Columns:
        from_ = select.args.get("from_")
        joins = [*(from_.this.args.get("joins") or []), *_joins(select)] if from_ is not None else []
        if from_ is not None:
            elements = self._elements(from_.this, scope)
            if elements is None:
                self._source(from_.this, scope)
            else:
                from_.set("this", elements)
        for join in joins:
            self._join(join, scope)
        if select.args.get("qualify") is not None:
            _write_out_stars(select, scope)
        for projection in list(select.expressions):
            self._expression(projection, scope)
        scope.named.clear()  # the names hold in the list of columns alone
        for argument in ("where", "group", "having", "qualify", "order", "windows", "distinct", "limit"):
            for part in _listed(select.args.get(argument)):
                self._expression(part, scope)
        columns = list(self._outputs(select, scope))
        if select.args.get("qualify") is not None:
            self._filter(select)
        return columns

    def _outputs(self, select: exp.Select, scope: _Scope) -> Iterator[tuple[str, Type | None]]:
        for projection in select.expressions:
            if projection.is_star:
                wanted = projection.table if isinstance(projection, exp.Column) else ""
                self._knows_columns &= not any(join.args.get("using") for join in _joins(select))
                for name, source in scope.sources.items():
                    if wanted.lower() in {"", name}:
                        self._knows_columns &= source.columns is not None
                        yield from (source.columns or {}).items()
            else:
                alias = projection.args.get("alias") or projection
                yield paths.name_of(alias) or projection.output_name, self._type(projection, scope)

    def _filter(self, select: exp.Select) -> None:
        """`QUALIFY condition` as a query around this one."""
        inner = select.copy()
        limit, distinct = inner.args.pop("limit", None), inner.args.pop("distinct", None)
        outer = transforms.eliminate_qualify(inner)
        outer.set("limit", limit)
        outer.set("distinct", distinct)
        if select is self.root:
            self.root = outer
        else:
            select.replace(outer)
        self.has_changed = True

    # --- FROM --------------------------------------------------------------------------------------------------------

    def _source(self, source: exp.Expr, scope: _Scope) -> None:
        name = source.alias_or_name.lower() if not _is_quoted(source) else source.alias_or_name
        match source:
            case exp.Table() if isinstance(source.this, exp.Identifier):
                query = scope.queries.get(paths.name_of(source.this)) if not source.db else None
                columns = self._table(source) if query is None else dict(query)
                scope.sources[name] = _Source(columns or None)
            case exp.Subquery():
                columns = dict(_renamed(self._query(source.this, scope, scope.queries), source))
                scope.sources[name] = _Source(columns or None)
            case exp.Lateral() | exp.Table() | exp.Values() | exp.Unnest():
                scope.sources[name] = _Source(None)

    def _join(self, join: exp.Join, scope: _Scope) -> None:
        elements = self._elements(join.this, scope)
        if elements is None:
            self._source(join.this, scope)
        else:
            join.set("this", elements)
            if not join.args.get("on") and not join.side:
                join.set("kind", "CROSS")
        if join.args.get("on") is not None:
            self._expression(join.args["on"], scope)

    def _elements(self, source: exp.Expr, scope: _Scope) -> exp.Expr | None:
        """What stands in FROM for an array in SUPER, reached from a source; None if `source` is none."""
        path, alias, place = paths.array_in_from(source)
        is_known = path and any(paths.name_of(path[0]) in around.sources for around in scope.chain())
        found = self._resolve(path, scope) if is_known else None
        if found is None or found[1] is None or not found[1].is_super:
            return None
        column, _, used = found
        element = alias or path[-1].copy()
        index = place or exp.to_identifier(f"{element.name} place", quoted=True)
        columns: dict[str, Type | None] = {paths.name_of(element): _SUPER, paths.name_of(index): Type("int8")}
        scope.sources[paths.name_of(element)] = _Source(columns, is_element=True)
        self.has_changed = True
        named = exp.TableAlias(this=element.copy(), columns=[element.copy(), index.copy()])
        return exp.Lateral(this=paths.function("elements", paths.navigated(column, path[used:])), alias=named)

    def _table(self, table: exp.Expr) -> dict[str, Type | None] | None:
        parts = (
            [part for part in table.parts if isinstance(part, exp.Identifier)] if isinstance(table, exp.Table) else []
        )
        return dict(self._session.columns([paths.name_of(part) for part in parts])) or None if parts else None

    # --- expressions -------------------------------------------------------------------------------------------------

    def _expression(self, node: exp.Expr, scope: _Scope) -> None:
        if isinstance(node, exp.Query):
            self._query(node, scope, scope.queries)
            return
        if isinstance(node, exp.Column | exp.Dot | exp.Bracket):
            replacement = self._navigation(node, scope)
            if replacement is not None:
                is_output = isinstance(node.parent, exp.Select) and node.arg_key == "expressions"
                name = next(
                    (step for step in reversed(paths.steps_of(node)[1]) if isinstance(step, exp.Identifier)), None
                )
                node.replace(exp.Alias(this=replacement, alias=name.copy()) if is_output and name else replacement)
                self.has_changed = True
                return
        for child in list(node.iter_expressions()):
            self._expression(child, scope)
        if isinstance(node, exp.Alias) and isinstance(node.parent, exp.Select):
            scope.named.setdefault(paths.name_of(node.args["alias"]), node.this)
        self._beside_super(node, scope)

    def _navigation(self, node: exp.Expr, scope: _Scope) -> exp.Expr | None:
        """What stands for a path through SUPER, or for a name of another column's expression; None if it is neither."""
        base, steps = paths.steps_of(node)
        if base.is_star:
            return None
        if isinstance(base, exp.Column):
            path = [part for part in steps if isinstance(part, exp.Identifier)][: len(base.parts)]
            found = self._resolve(path, scope)
            if found is None:
                is_named = len(steps) == 1 and all(source.columns is not None for source in scope.sources.values())
                named = (
                    scope.named.get(paths.name_of(path[0]))
                    if is_named and path and not node.find_ancestor(exp.Group, exp.Order)
                    else None
                )
                return exp.Paren(this=named.copy()) if named is not None else None
            column, kind, used = found
            if kind is None or not kind.is_super or len(steps) == used:
                return None
            return paths.navigated(column, steps[used:])
        if not steps or not isinstance(base, exp.Func | exp.Paren | exp.Cast):
            return None
        self._expression(base, scope)
        kind = self._type(base, scope)
        return paths.navigated(base.copy(), steps) if kind is not None and kind.is_super else None

    def _resolve(self, path: Sequence[exp.Expr], scope: _Scope) -> tuple[exp.Expr, Type | None, int] | None:
        """The column that a path begins with, its type, and how many parts of the path name it."""
        names = [paths.name_of(part) for part in path]
        for around in scope.chain():
            for first in range(min(2, len(names))):  # a schema may stand before the source
                source = around.sources.get(names[first])
                if source is None or (first == 1 and len(names) < 3):  # noqa: PLR2004 - schema, source, column
                    continue
                if source.is_element:
                    column = exp.Column(this=path[first].copy(), table=path[first].copy())
                    return column, _SUPER, first + 1
                if len(names) > first + 1 and names[first + 1] in (source.columns or {}):
                    column = exp.Column(this=path[first + 1].copy(), table=path[first].copy())
                    return column, (source.columns or {})[names[first + 1]], first + 2
            for source in around.sources.values():
                if names[0] in (source.columns or {}):
                    return exp.Column(this=path[0].copy()), (source.columns or {})[names[0]], 1
        return None

    def _beside_super(self, node: exp.Expr, scope: _Scope) -> None:  # noqa: C901, PLR0912 - four kinds of nodes
        """Makes strings of the literals that stand beside SUPER, and text of SUPER where text is wanted."""
        if isinstance(node, _COMPARISONS):
            operands = list(node.iter_expressions())
            if any(self._is_super(operand, scope) for operand in operands):
                for operand in operands:
                    self._string(operand)
        elif isinstance(node, exp.Coalesce | exp.Case):
            results = _results(node)
            if any(self._is_super(result, scope) for result in results):
                for result in results:
                    if not self._string(result) and not self._is_super(result, scope):
                        result.replace(paths.function("scalar", result.copy()))
                        self.has_changed = True
        elif isinstance(node, _CONDITIONS):
            for operand in [node.this, *_listed(node.args.get("expression"))]:
                if self._is_super(operand, scope):
                    operand.replace(exp.Paren(this=exp.EQ(this=operand.copy(), expression=exp.true())))
                    self.has_changed = True
        elif isinstance(node, _OF_TEXT):
            for argument in list(node.iter_expressions()):
                if self._is_super(argument, scope):
                    argument.replace(exp.Cast(this=argument.copy(), to=exp.DataType.build("varchar")))
                    self.has_changed = True

    def _string(self, value: exp.Expr) -> bool:
        """Makes a literal, or a parameter, that PostgreSQL would parse as JSON a string. Returns whether it is one."""
        if not (value.is_string or isinstance(value, exp.Parameter | exp.Placeholder)):
            return False
        value.replace(paths.function("super_string", value.copy()))
        self.has_changed = True
        return True

    def _is_super(self, node: exp.Expr, scope: _Scope) -> bool:
        kind = self._type(node, scope)
        return kind is not None and kind.is_super

    # --- types -------------------------------------------------------------------------------------------------------

    def _type(self, node: exp.Expr, scope: _Scope) -> Type | None:  # noqa: C901, PLR0911, PLR0912 - a case for each kind
        match node:
            case exp.Column():
                found = self._resolve(node.parts, scope)
                return found[1] if found and found[2] == len(node.parts) else None
            case exp.Null():
                return decimals.NULL
            case exp.Literal():
                return Type("text") if node.is_string else decimals.literal(node.this)
            case exp.Cast():
                return _cast(node.to)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div() | exp.Mod():
                left, right = self._type(node.left, scope), self._type(node.right, scope)
                if _SUPER in {left, right}:
                    return _SUPER
                return decimals.computed(_ARITHMETIC[type(node)], left, right)
            case exp.Sum():
                summed = self._type(node.this, scope)
                return summed if summed == _SUPER else decimals.total(summed)
            case exp.Avg():
                return decimals.average(self._type(node.this, scope))
            case exp.Coalesce() | exp.Case() | exp.If() | exp.DecodeCase() | exp.Greatest() | exp.Least():
                return decimals.common([self._type(result, scope) for result in _results(node)])
            case exp.Subquery():
                columns = self._query(node.copy(), scope, scope.queries)
                return columns[0][1] if len(columns) == 1 else None
            case exp.Dot():
                return self._type(node.expression, scope) if isinstance(node.expression, exp.Func) else None
            case exp.Anonymous():
                return _SUPER if node.name.upper() in _SUPER_FUNCTIONS else None
            case exp.ParseJSON() | exp.Array():
                return _SUPER
            case exp.Distinct():
                return self._type(node.expressions[0], scope)
        if isinstance(node, _SAME_TYPE):
            return self._type(node.this, scope)
        for kinds, name in ((_FLOAT, "float8"), (_INT4, "int4"), (_INT8, "int8")):
            if isinstance(node, kinds):
                return Type(name)
        return None


def _selects(query: exp.Expr) -> Iterator[exp.Select]:
    """The SELECTs whose rows a query returns."""
    match query:
        case exp.Select():
            yield query
        case exp.SetOperation():
            yield from _selects(query.left)
            yield from _selects(query.right)
        case exp.Subquery():
            yield from _selects(query.this)


def _results(node: exp.Expr) -> list[exp.Expr]:
    """The expressions of which a COALESCE, CASE, DECODE, GREATEST or LEAST returns one."""
    match node:
        case exp.Case():
            return [*(choice.args["true"] for choice in node.args["ifs"]), *_listed(node.args.get("default"))]
        case exp.If():
            return [node.args["true"], *_listed(node.args.get("false"))]
        case exp.DecodeCase():
            _, *choices = node.expressions
            return [*choices[1::2], *([choices[-1]] if len(choices) % 2 else [])]
        case _:
            return [node.this, *node.expressions]


def _write_out_stars(select: exp.Select, scope: _Scope) -> None:
    """Names the columns behind each star: a condition's own column must not be among them."""
    written: list[exp.Expr] = []
    for projection in select.expressions:
        if not projection.is_star:
            written.append(projection)
            continue
        wanted = projection.table.lower() if isinstance(projection, exp.Column) else ""
        for name, source in scope.sources.items():
            if wanted in {"", name}:
                if source.columns is None:
                    raise NotImitated("QUALIFY in a query of * from what is no table")
                written += [exp.column(column, table=name, quoted=True) for column in source.columns]
    select.set("expressions", written)


def _cast(to: exp.DataType) -> Type | None:
    if to.this in {exp.DataType.Type.DECIMAL}:
        sizes = [int(size.name) for size in to.expressions]
        return decimals.decimal(sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else _PLAIN_DECIMAL
    return _CASTS.get(to.this)


def _renamed(columns: Columns, table: exp.Expr) -> Columns:
    alias = table.args.get("alias")
    names = [paths.name_of(column) for column in alias.args.get("columns") or []] if alias is not None else []
    return [(names[index] if index < len(names) else name, kind) for index, (name, kind) in enumerate(columns)]


def _joins(select: exp.Select) -> list[exp.Join]:
    return list(select.args.get("joins") or [])


def _listed(argument: exp.Expr | list[exp.Expr] | None) -> list[exp.Expr]:
    if isinstance(argument, list):
        return argument
    return [argument] if isinstance(argument, exp.Expr) else []


def _is_quoted(source: exp.Expr) -> bool:
    alias = source.args.get("alias")
    identifier = alias.this if isinstance(alias, exp.TableAlias) else source.this
    return isinstance(identifier, exp.Identifier) and bool(identifier.quoted)
