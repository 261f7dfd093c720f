"""Reading an execution's input, of either pipeline, into a typed model."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from errors import InvalidInput, shortened

_MAX_FAULTS = 10
_MAX_FIELD_BYTES = 100

USUAL_TIMEOUT_SECONDS = 7200
"""Seconds after which a statement that nothing was heard of is looked at again; at twice that its task fails."""

# As `timeout_seconds` of an input. A second attempt finds its statement by the client token, which the Data API knows
# for 8 hours, or asks for the statement's outcome, which it keeps for 24.
TimeoutSeconds = Annotated[int, Field(ge=10, le=28_800)]


class ExecutionInput(BaseModel):
    """The base of every input model: fields are typed strictly, unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Input = TypeVar("Input", bound=ExecutionInput)


def parse_input(model: type[Input], value: Any) -> Input:
    """Validate an execution's input; raises InvalidInput that names the first fields at fault and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [_described(fault) for fault in error.errors(include_input=False, include_url=False)]
        if len(faults) > _MAX_FAULTS:
            faults[_MAX_FAULTS:] = [f"and {len(faults) - _MAX_FAULTS:,} faults more"]
        known = ", ".join(model.model_fields)
        # The chain is cut: pydantic's own text repeats the values it was given.
        raise InvalidInput(f"{'; '.join(faults)}. Known fields: {known}.") from None


def _described(fault: ErrorDetails) -> str:
    field = ".".join(shortened(str(part), _MAX_FIELD_BYTES) for part in fault["loc"]) or "the input"
    if fault["type"] == "model_type":
        return f"{field}: give a JSON object"
    return f"{field}: {fault['msg'].removeprefix('Value error, ')}"
