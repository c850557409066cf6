"""The variables that a template declares, as they stand in a body."""

from typing import Annotated, Any

from pydantic import PlainValidator, StringConstraints

from postrider.engine.content.templates import Variable, VariableType
from postrider.engine.content.templates.check import VARIABLE_NAME_MAX_CHARS
from postrider.surfaces.common.fields import OneLine, Wire, check_finite, fault


def _type(word: Any) -> VariableType:
    if not isinstance(word, str) or word not in list(VariableType):
        raise fault(f"Input should be one of {', '.join(VariableType)}")
    return VariableType(word)


def _finite(value: Any) -> Any:
    check_finite(value)
    return value


class DeclaredVariable(Wire):
    """One variable; what else it may be is the engine's to say."""

    name: Annotated[OneLine, StringConstraints(min_length=1, max_length=VARIABLE_NAME_MAX_CHARS)]
    type: Annotated[VariableType, PlainValidator(_type, json_schema_input_type=str)] = VariableType.TEXT
    default: Annotated[Any, PlainValidator(_finite, json_schema_input_type=Any)] = None
    required: bool = False

    def variable(self) -> Variable:
        return Variable(self.name, self.type, self.default, self.required)
