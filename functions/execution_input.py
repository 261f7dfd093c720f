"""Reading an execution's input, of either pipeline, into a typed model."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from errors import InvalidInput, shortened

_MAX_FAULTS = 10
_MAX_FIELD_BYTES = 100


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
