"""What the template tells a function through its environment variables."""

from collections.abc import Mapping

from errors import MissingConfiguration


def required(environment: Mapping[str, str], variable: str) -> str:
    """The value of a variable that the template always sets; raises MissingConfiguration if it is empty or absent."""
    value = environment.get(variable, "")
    if not value:
        raise MissingConfiguration(
            f"environment variable {variable} is not set: deploy the function with the template."
        )
    return value
