"""Which of the parameters of a request its SQL texts use: the API refuses one that nothing uses."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from local.redshift.api.errors import ValidationError
from local.redshift.sql import lexer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def read(request: Mapping[str, Any], sqls: Sequence[str]) -> dict[str, str]:
    """The values of a request's Parameters by name, every one of them used by at least one of the SQL texts.

    Raises `ValidationError` if a name stands there twice, or no SQL text has a placeholder for it.
    """
    given: list[dict[str, str]] = request.get("Parameters", [])
    repeated = [name for name, times in Counter(item["name"] for item in given).items() if times > 1]
    if repeated:
        raise ValidationError(f"Parameters list contains duplicate parameters: [{', '.join(repeated)}]")
    parameters = {item["name"]: item["value"] for item in given}
    used = {name for sql in sqls for name in used_by(sql, parameters)}
    unused = [name for name in parameters if name not in used]
    if unused:
        raise ValidationError(f"Parameters list contains unused parameters. Unused parameters: [{', '.join(unused)}]")
    return parameters


def used_by(sql: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """Those parameters that `sql` has a placeholder for; all of them if its text can't be read to the end.

    A text that ends within a string or comment is for the database to refuse, when it runs.
    """
    try:
        names = lexer.placeholders(sql)
    except lexer.UnterminatedToken:
        return dict(parameters)
    return {name: value for name, value in parameters.items() if name in names}
