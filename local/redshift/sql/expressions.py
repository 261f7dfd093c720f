"""Redshift's own expressions, query clauses and types, rewritten as PostgreSQL's wherever they stand in a text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from local.redshift.sql.failures import NotImitated, SqlFailed
from local.redshift.sql.lexer import Kind, Token, closing, split, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    # A rule looks at the word at an index. It answers None if the word means nothing special there, else what to
    # write instead, and the index to go on from.
    Rule = Callable[[Sequence[Token], int], tuple[list[Token], int] | None]


def rewrite(pieces: Sequence[Token]) -> list[Token]:
    """The same text for PostgreSQL. Raises `NotImitated`."""
    written: list[Token] = []
    index = 0
    while index < len(pieces):
        token = pieces[index]
        is_qualified = index > 0 and pieces[index - 1].text == "."
        rule = None if is_qualified else _RULES.get(token.word)
        replaced = rule(pieces, index) if rule else None
        if replaced:
            replacement, index = replaced
            written += spaced(replacement, token.before)
        else:
            written += _literal(pieces, index)
            index += 1
    return written


# Types whose input PostgreSQL would parse: a string that is cast to one of them is text first.
_PARSED_TYPES: Final = frozenset({"SUPER", "VARBYTE", "VARBINARY"})
_LITERALS: Final = frozenset({Kind.STRING, Kind.DOLLAR_STRING})


def _literal(pieces: Sequence[Token], index: int) -> list[Token]:
    """The token, made text if it is a literal or a parameter that is cast to SUPER or VARBYTE."""
    token = pieces[index]
    if token.kind not in _LITERALS and not (token.kind is Kind.SYMBOL and token.text.startswith("$")):
        return [token]
    is_cast = _text(pieces, index + 1) == "::" or (
        _word(pieces, index + 1) == "AS" and [_word(pieces, index - 2), _text(pieces, index - 1)] == ["CAST", "("]
    )
    return [token, *sql("::text")] if is_cast and _word(pieces, index + 2) in _PARSED_TYPES else [token]


def sql(text: str) -> list[Token]:
    """Tokens of SQL text that this engine adds."""
    return list(tokens(text))


def spaced(pieces: Sequence[Token], before: str = " ") -> list[Token]:
    """The tokens with other white space before the first."""
    return [pieces[0]._replace(before=before), *pieces[1:]] if pieces else []


def _word(pieces: Sequence[Token], index: int) -> str:
    return pieces[index].word if 0 <= index < len(pieces) else ""


def _text(pieces: Sequence[Token], index: int) -> str:
    return pieces[index].text if 0 <= index < len(pieces) else ""


# --- functions whose arguments PostgreSQL can't take as they are -----------------------------------------------------


def _call(write: Callable[[list[str]], str]) -> Rule:
    """The rule for a function that is written anew from the texts of its arguments."""

    def rule(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
        if _text(pieces, index + 1) != "(":
            return None
        end = closing(pieces, index + 1)
        arguments = [text_of(rewrite(argument)).strip() for argument in split(pieces[index + 2 : end])]
        return sql(write(arguments)), end + 1

    return rule


def _arity(name: str, arguments: list[str], *counts: int) -> None:
    if len(arguments) not in counts:
        raise NotImitated(f"{name} with {len(arguments)} arguments")


_DATE_PARTS: Final = {
    spelling: part
    for part, spellings in {
        "millennium": "millennium millennia mil mils",
        "century": "century centuries c cent cents",
        "decade": "decade decades dec decs",
        "year": "year years y yr yrs",
        "quarter": "quarter quarters qtr qtrs",
        "month": "month months mon mons",
        "week": "week weeks w",
        "day": "day days d",
        "hour": "hour hours h hr hrs",
        "minute": "minute minutes m min mins",
        "second": "second seconds s sec secs",
        "millisecond": "millisecond milliseconds ms msec msecs msecond mseconds millisec millisecs",
        "microsecond": "microsecond microseconds us usec usecs usecond useconds microsec microsecs",
        "dow": "dow dayofweek dw weekday",
        "doy": "doy dayofyear dy yearday",
        "epoch": "epoch",
    }.items()
    for spelling in spellings.split()
}


def _date_part(written: str) -> str:
    part = _DATE_PARTS.get(written.strip("'\"").lower())
    if part is None:
        raise NotImitated(f"the date part {written}")
    return part


def _date_add(arguments: list[str]) -> str:
    _arity("DATEADD", arguments, 3)
    return f"redshift.dateadd('{_date_part(arguments[0])}', {arguments[1]}, {arguments[2]})"


def _date_diff(arguments: list[str]) -> str:
    _arity("DATEDIFF", arguments, 3)
    part = _date_part(arguments[0])
    if part == "week":
        return f"redshift.weeks_between({arguments[1]}, {arguments[2]})"
    return f"redshift.datediff('{part}', {arguments[1]}, {arguments[2]})"


def _whole_date_part(written: str) -> str:
    part = _date_part(written)
    if part in {"millisecond", "microsecond"}:
        raise NotImitated(f"the {part} of a time")  # whether it includes the seconds, the two disagree
    return part


def _date_part_of(arguments: list[str]) -> str:
    _arity("DATE_PART", arguments, 2)
    return f"pg_catalog.date_part('{_whole_date_part(arguments[0])}', {arguments[1]})"


def _decode(arguments: list[str]) -> str:
    if len(arguments) < 3:  # noqa: PLR2004 - the expression, one value to find, its result
        raise NotImitated(f"DECODE with {len(arguments)} arguments")
    expression, *choices = arguments
    otherwise = choices.pop() if len(choices) % 2 else "NULL"
    cases = " ".join(
        f"WHEN ({expression}) IS NOT DISTINCT FROM ({value}) THEN {result}"
        for value, result in zip(choices[::2], choices[1::2], strict=True)
    )
    return f"CASE {cases} ELSE {otherwise} END"


def _nvl2(arguments: list[str]) -> str:
    _arity("NVL2", arguments, 3)
    return f"CASE WHEN ({arguments[0]}) IS NOT NULL THEN {arguments[1]} ELSE {arguments[2]} END"


def _concat(arguments: list[str]) -> str:
    _arity("CONCAT", arguments, 2)
    return f"(({arguments[0]}) || ({arguments[1]}))"


def _convert(arguments: list[str]) -> str:
    _arity("CONVERT", arguments, 2)
    return f"CAST({arguments[1]} AS {arguments[0]})"


def _extract(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    if _text(pieces, index + 1) != "(" or _word(pieces, index + 3) != "FROM":
        return None
    end = closing(pieces, index + 1)
    source = text_of(rewrite(pieces[index + 4 : end])).strip()
    return sql(f"redshift.extract('{_date_part(pieces[index + 2].text)}', {source})"), end + 1


def _listagg(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    if _text(pieces, index + 1) != "(":
        return None
    end = closing(pieces, index + 1)
    distinct = "DISTINCT " if _word(pieces, index + 2) == "DISTINCT" else ""
    arguments = [text_of(rewrite(part)) for part in split(pieces[index + (3 if distinct else 2) : end])]
    _arity("LISTAGG", arguments, 1, 2)
    value, separator = (*arguments, "''")[:2]
    order = ""
    if (_word(pieces, end + 1), _word(pieces, end + 2)) == ("WITHIN", "GROUP"):
        opening, end = end + 3, closing(pieces, end + 3)
        order = text_of(rewrite(pieces[opening + 1 : end]))
    if _word(pieces, end + 1) == "OVER":
        if distinct:
            raise NotImitated("LISTAGG(DISTINCT ...) as a window function")
        # PostgreSQL orders no aggregate within a window; LISTAGG's own window has no order, and is the whole partition.
        closed = closing(pieces, end + 2)
        partition = text_of(rewrite(pieces[end + 3 : closed]))
        frame = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
        return sql(f"string_agg(CAST({value} AS varchar), {separator}) OVER ({partition} {order} {frame})"), closed + 1
    if distinct and order:
        # PostgreSQL sorts distinct values only by themselves, so as what they are rather than as text.
        by = order.split(maxsplit=2)[-1].strip()
        if " ".join(re.sub(r"\s+(ASC|DESC)$", "", by, flags=re.IGNORECASE).split()) != " ".join(value.split()):
            raise NotImitated("LISTAGG(DISTINCT ...) WITHIN GROUP ordered by anything else")
        return sql(f"array_to_string(array_agg(DISTINCT {value} {order}), {separator})"), end + 1
    return sql(f"string_agg({distinct}CAST({value} AS varchar), {separator} {order})"), end + 1


def _value_of_window(aggregate: str, frame: str = "") -> Rule:
    """The rule for a window function with IGNORE NULLS: an aggregate over its frame, or over `frame`."""

    def rule(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
        if _text(pieces, index + 1) != "(":
            return None
        end = closing(pieces, index + 1)
        inner = list(pieces[index + 2 : end])
        if [token.word for token in inner[-2:]] in (["IGNORE", "NULLS"], ["RESPECT", "NULLS"]):
            treatment, inner = inner[-2].word, inner[:-2]
        elif (_word(pieces, end + 1), _word(pieces, end + 2)) in {("IGNORE", "NULLS"), ("RESPECT", "NULLS")}:
            treatment, end = _word(pieces, end + 1), end + 2
        else:
            return None
        arguments = [text_of(rewrite(argument)).strip() for argument in split(inner)]
        name = pieces[index].text
        if treatment == "RESPECT":
            return sql(f"{name}({', '.join(arguments)})"), end + 1
        if not aggregate or arguments[1:] not in ([], ["1"]):
            raise NotImitated(f"{name.upper()} with IGNORE NULLS" + (" beyond the next value" if aggregate else ""))
        call = f"redshift.{aggregate}({arguments[0]})"
        if not frame or _word(pieces, end + 1) != "OVER":
            return sql(call), end + 1
        closed = closing(pieces, end + 2)
        window = text_of(rewrite(pieces[end + 3 : closed]))
        return sql(f"{call} OVER ({window} ROWS BETWEEN {frame})"), closed + 1

    return rule


def _ratio_to_report(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """`RATIO_TO_REPORT(value) OVER (window)`."""
    end = closing(pieces, index + 1)
    if _text(pieces, index + 1) != "(" or _word(pieces, end + 1) != "OVER":
        return None
    closed = closing(pieces, end + 2)
    value, window = text_of(rewrite(pieces[index + 2 : end])), text_of(rewrite(pieces[end + 3 : closed]))
    total = f"NULLIF(CAST(sum({value}) OVER ({window}) AS float8), 0)"
    return sql(f"(CAST({value} AS float8) / {total})"), closed + 1


def _json_path(arguments: list[str]) -> str:
    value, *path = arguments
    null_if_invalid = path.pop() if path and path[-1].upper() in {"TRUE", "FALSE"} else "false"
    return f"redshift.json_extract_path_text({value}, {null_if_invalid}, {', '.join(path)})"


def _is_null(arguments: list[str]) -> str:
    _arity("ISNULL", arguments, 2)
    return f"COALESCE({', '.join(arguments)})"


def _array(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    if _text(pieces, index + 1) != "(" or _word(pieces, index + 2) in {"SELECT", "WITH"}:
        return None
    return sql("jsonb_build_array"), index + 1


def _percentile(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    end = closing(pieces, index + 1)
    if (_word(pieces, end + 1), _word(pieces, end + 2)) == ("WITHIN", "GROUP"):
        end = closing(pieces, end + 3)
    if _word(pieces, end + 1) == "OVER":
        raise NotImitated(f"{pieces[index].word} as a window function")
    return None


def _delete(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """`DELETE table`, without FROM."""
    return (sql("DELETE FROM"), 1) if index == 0 and _word(pieces, 1) not in {"FROM", ""} else None


# --- words and clauses -----------------------------------------------------------------------------------------------


def _sysdate(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    return None if _text(pieces, index + 1) in {"(", "."} else (sql("LOCALTIMESTAMP"), index + 1)


def _minus(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    if _word(pieces, index + 1) in {"SELECT", "WITH"} or _text(pieces, index + 1) == "(":
        return sql("EXCEPT"), index + 1
    return None


_SET_OPERATORS: Final = frozenset({"UNION", "INTERSECT", "EXCEPT", "MINUS"})


def _select(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """`SELECT TOP n …`, whose `LIMIT n` goes to the end of the query block."""
    top = index + 2 if _word(pieces, index + 1) in {"ALL", "DISTINCT"} else index + 1
    if _word(pieces, top) != "TOP":
        return None
    after = closing(pieces, top + 1) + 1 if _text(pieces, top + 1) == "(" else top + 2
    end, depth = after, 0
    while end < len(pieces) and depth >= 0:
        token = pieces[end]
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth < 0 or (depth == 0 and (token.kind is Kind.SEMICOLON or token.word == "LOOP")):
            break
        if depth == 0 and token.word in _SET_OPERATORS | {"LIMIT"}:
            raise NotImitated(f"SELECT TOP with {token.word}")
        end += 1
    if _word(pieces, index - 1) in _SET_OPERATORS | {"ALL"}:
        raise NotImitated(f"SELECT TOP after {_word(pieces, index - 1)}")
    limit = [*sql(" LIMIT"), *spaced(pieces[top + 1 : after])]
    block = [*pieces[index:top], *rewrite(pieces[after:end]), *spaced(limit)]
    return block, end


def _password(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """`PASSWORD DISABLE` of CREATE and ALTER USER."""
    return (sql("PASSWORD NULL"), index + 2) if _word(pieces, index + 1) == "DISABLE" else None


def _function_becomes(name: str) -> Rule:
    return lambda pieces, index: (sql(name), index + 1) if _text(pieces, index + 1) == "(" else None


def _refused(what: str) -> Rule:
    def rule(_pieces: Sequence[Token], _index: int) -> tuple[list[Token], int] | None:
        raise NotImitated(what)

    return rule


# --- types -----------------------------------------------------------------------------------------------------------


_MAX_VARCHAR: Final = 65_535


def _varchar(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    if _text(pieces, index + 1) == "(" and _word(pieces, index + 2) == "MAX":
        return sql(f"varchar({_MAX_VARCHAR})"), index + 4
    length = _text(pieces, index + 2) if _text(pieces, index + 1) == "(" else ""
    if length.isdigit() and int(length) > _MAX_VARCHAR:
        raise SqlFailed(f"length for type varchar cannot exceed {_MAX_VARCHAR}")
    return (sql("varchar"), index + 1) if pieces[index].word == "NVARCHAR" else None


def _varying(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """CHARACTER VARYING, of which this is the second word."""
    replaced = _varchar(pieces, index)
    return ([*sql("VARYING"), *replaced[0][1:]], replaced[1]) if replaced else None


def _decimal(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    """A decimal without a precision has 18 digits and no scale (AWS documentation: "Numeric types")."""
    return None if _text(pieces, index + 1) == "(" else (sql("numeric(18,0)"), index + 1)


def _varbyte(pieces: Sequence[Token], index: int) -> tuple[list[Token], int] | None:
    return sql("bytea"), closing(pieces, index + 1) + 1 if _text(pieces, index + 1) == "(" else index + 1


_RULES: Final[dict[str, Rule]] = {
    "APPROXIMATE": lambda _pieces, index: ([], index + 1),  # exact is near enough
    "ARRAY": _array,
    "CONCAT": _call(_concat),
    "CONVERT": _call(_convert),
    "DATEADD": _call(_date_add),
    "DATEDIFF": _call(_date_diff),
    "DATE_PART": _call(_date_part_of),
    "DECIMAL": _decimal,
    "DECODE": _call(_decode),
    "DELETE": _delete,
    "EXTRACT": _extract,
    "FIRST_VALUE": _value_of_window("first_not_null"),
    "GEOGRAPHY": _refused("the type GEOGRAPHY"),
    "GEOMETRY": _refused("the type GEOMETRY"),
    "HLLSKETCH": _refused("the type HLLSKETCH"),
    "ISNULL": _call(_is_null),
    "JSON_EXTRACT_PATH_TEXT": _call(_json_path),
    "JSON_SERIALIZE": _function_becomes("redshift.json_serialize"),  # PostgreSQL has a keyword of this name
    "LAG": _value_of_window("last_not_null", "UNBOUNDED PRECEDING AND 1 PRECEDING"),
    "LAST_VALUE": _value_of_window("last_not_null"),
    "LEAD": _value_of_window("first_not_null", "1 FOLLOWING AND UNBOUNDED FOLLOWING"),
    "LISTAGG": _listagg,
    "MINUS": _minus,
    "NTH_VALUE": _value_of_window(""),
    "NUMERIC": _decimal,
    "NVARCHAR": _varchar,
    "NVL": _function_becomes("COALESCE"),
    "NVL2": _call(_nvl2),
    "OBJECT": _function_becomes("jsonb_build_object"),
    "PASSWORD": _password,
    "PERCENTILE_CONT": _percentile,
    "PERCENTILE_DISC": _percentile,
    "PGDATE_PART": _call(_date_part_of),
    "PIVOT": _refused("PIVOT"),
    "QUALIFY": _refused("QUALIFY"),
    "RATIO_TO_REPORT": _ratio_to_report,
    "SELECT": _select,
    "SYSDATE": _sysdate,
    "UNPIVOT": _refused("UNPIVOT"),
    "VARBINARY": _varbyte,
    "VARBYTE": _varbyte,
    "VARCHAR": _varchar,
    "VARYING": _varying,
}
