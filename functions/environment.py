"""What the template tells a function through its environment variables."""

import math
from collections.abc import Mapping

from errors import MissingConfiguration


def required(environment: Mapping[str, str], variable: str) -> str:
    """Return a variable that the template always sets; raises MissingConfiguration if it is empty or absent."""
    value = environment.get(variable, "")
    if not value:
        raise MissingConfiguration(
            f"environment variable {variable} is not set: deploy the function with the template."
        )
    return value


def number(environment: Mapping[str, str], variable: str) -> float:
    """Return a variable that holds a finite number; raises MissingConfiguration."""
    text = required(environment, variable)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise MissingConfiguration(f"environment variable {variable} is {text!r}, not a number: correct the stack.")
    return value
