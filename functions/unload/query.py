"""The query that is unloaded: checked by its tokens, so that no valid Redshift is refused for a parser's sake.

The tokenizer knows what hides a semicolon or a parenthesis: comments, strings with doubled quotes or backslashes,
`$$` strings and quoted identifiers. Whether the query makes sense is for Redshift to say.
"""

from sqlglot import Token, TokenError, TokenType, tokenize
from sqlglot.dialects import Redshift

from statements.errors import InvalidInput
from statements.identifiers import parse_identifier
from unload.errors import InvalidQuery
from unload.request import LoadRequest

_SHOWN_CHARACTERS = 30


def requested_query(request: LoadRequest, configured: str) -> str:
    """The SELECT to unload: the input's `query` or `table`, else the one the stack is configured with.

    Raises InvalidQuery, InvalidIdentifier, and InvalidInput when there is neither.
    """
    if request.table is not None:
        return table_query(request.table, request.columns, request.where)
    query = configured if request.query is None else request.query
    if request.query is None and not configured:
        raise InvalidInput("the stack has no UnloadQuery, so the input must say what to unload: give query or table.")
    return single_select(query)


def table_query(table: str, columns: list[str] | None, where: str | None) -> str:
    """`SELECT` of some or all columns of a table, its names quoted. Raises InvalidIdentifier and InvalidQuery."""
    names = ", ".join(parse_identifier(column, max_parts=1).sql for column in columns) if columns else "*"
    query = f"SELECT {names} FROM {parse_identifier(table).sql}"  # noqa: S608 - names are parsed and quoted
    if where is None:
        return query
    # The line breaks keep a comment at the condition's end from swallowing the parenthesis.
    return f"{query} WHERE (\n{_condition(where)}\n)"


def single_select(text: str) -> str:
    """The query without semicolons at its end; raises InvalidQuery unless it is exactly one SELECT or WITH."""
    tokens = _tokens(text, "query")
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        semicolon = tokens.pop()
        text = text[: semicolon.start] + text[semicolon.end + 1 :]
    _check_one_expression(tokens, "query")
    first = next((token for token in tokens if token.token_type is not TokenType.L_PAREN), tokens[0])
    if first.token_type not in {TokenType.SELECT, TokenType.WITH}:
        raise InvalidQuery(f"query begins with {_described(first)}: UNLOAD takes one SELECT, or WITH and a SELECT.")
    return text


def _described(token: Token) -> str:
    """Keywords and names as they are; of anything else, which may be a value, only the kind."""
    if token.token_type in {TokenType.VAR, TokenType.IDENTIFIER} or token.text.upper() in Redshift.Tokenizer.KEYWORDS:
        return repr(token.text[:_SHOWN_CHARACTERS])
    return f"a token of the kind {token.token_type.name}"


def _condition(text: str) -> str:
    _check_one_expression(_tokens(text, "where"), "where")
    return text


def _tokens(text: str, field: str) -> list[Token]:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidQuery(f"{field} holds a character that is not text (U+0000 or half a surrogate pair): remove it.")
    try:
        return tokenize(text, dialect="redshift")
    except TokenError:
        # The chain is cut: sqlglot's own text repeats the query, which may hold values that are nobody else's business.
        raise InvalidQuery(
            f"{field} leaves a string, a quoted identifier, a $$ string or a comment open: close it."
        ) from None


def _check_one_expression(tokens: list[Token], field: str) -> None:
    if not tokens:
        raise InvalidQuery(f"{field} is empty: write one, or leave the field out.")
    depth = 0
    for token in tokens:
        match token.token_type:
            case TokenType.SEMICOLON:
                raise InvalidQuery(f"{field} has a semicolon at character {token.start + 1}: give one statement only.")
            case TokenType.L_PAREN:
                depth += 1
            case TokenType.R_PAREN:
                depth -= 1
        if depth < 0:
            raise InvalidQuery(f"{field} closes a parenthesis at character {token.start + 1} that it never opened.")
    if depth:
        raise InvalidQuery(f"{field} leaves {depth} of its parentheses open: close them.")
