"""Reading an execution's input into a typed model."""

from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from statements.errors import InvalidInput

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class ExecutionInput(BaseModel):
    """The base of every input model: fields are typed strictly, unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Input = TypeVar("Input", bound=ExecutionInput)


def parse_input(model: type[Input], value: Any) -> Input:
    """Validate an execution's input; raises InvalidInput that names each field at fault and why."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) or 'the input'}: {_said_plainly(fault)}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        known = ", ".join(model.model_fields)
        # The chain is cut: pydantic's own text repeats the values it was given.
        raise InvalidInput(f"{'; '.join(faults)}. Known fields: {known}.") from None


def _said_plainly(fault: "ErrorDetails") -> str:
    if fault["type"] == "model_type":
        return "give a JSON object"
    return fault["msg"].removeprefix("Value error, ")
