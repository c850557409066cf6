"""A command as data, and the one way all are run: who asks, what was given, the handler, the envelope.

Commands of /api.php and the REST operations on user keys differ in their forms and numbers only.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from postrider.engine.errors import EngineError
from postrider.surfaces.common.operations import Call, Visit, answer
from postrider.surfaces.octeth.auth import user_caller
from postrider.surfaces.octeth.errors import (
    COMMAND_ERRORS,
    UNKNOWN_COMMAND,
    Broken,
    Code,
    Codes,
    Faulty,
    Form,
    Numbers,
    Said,
    Told,
    told,
)
from postrider.surfaces.octeth.limits import count_for
from postrider.surfaces.octeth.parameters import Kind, Parameters, read_parameters

COMMAND_SHOWN_MAX_CHARS = 100
UNREADABLE = 422

Values = dict[str, Any]
Payload = dict[str, Any]
Handler = Callable[..., Awaitable[Payload]]  # (call or, where nobody is asked for, visit, values)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`missing` is the number for its absence, None where it may be left out; `invalid` for bad values.

    `instead` names another parameter that excuses its absence.
    """

    name: str
    kind: Kind
    missing: int | None = None
    invalid: int = UNREADABLE
    instead: str | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One command of the contract: `refusals` are its numbers for engine errors, `codes` its sentences."""

    id: str
    name: str
    summary: str
    scope: str | None  # None: no credential is asked
    handler: Handler
    parameters: tuple[Parameter, ...] = ()
    form: Form = Form.NUMBER
    codes: Codes = field(default_factory=dict)
    refusals: Mapping[type[EngineError], int] = field(default_factory=dict)
    errors: Numbers = field(default_factory=lambda: COMMAND_ERRORS)

    def read(self, parameters: Parameters) -> Values:
        """The values given, by their names; raises Faulty with every number that applies."""
        values: Values = {}
        wrong: dict[int, Told] = {}
        for parameter in self.parameters:
            value = parameters.get(parameter.name)
            if value is None or (value == "" and not parameter.kind.may_be_empty):
                excused = parameter.instead is not None and bool(parameters.text(parameter.instead))
                if parameter.missing is not None and not excused:
                    wrong.setdefault(parameter.missing, self._wrong(parameter.missing, parameter))
                continue
            try:
                values[parameter.name] = parameter.kind.read(value)
            except ValueError:
                wrong.setdefault(parameter.invalid, self._wrong(parameter.invalid, parameter))
        if wrong:
            raise Faulty(self.form, list(wrong.values()))
        return values

    def refuse(self, error: EngineError) -> Faulty:
        numbers = {kind: Said(200, number) for kind, number in self.refusals.items()}
        return Faulty(self.form, [told(error, {**self.errors, **numbers}, self.codes)])

    def done(self, payload: Payload) -> Response:
        return answer(payload if self.form is Form.ERRORS else {"Success": True, "ErrorCode": 0, **payload})

    def _wrong(self, number: int, parameter: Parameter) -> Told:
        status = UNREADABLE if self.form is Form.ERRORS else 200
        code = self.codes.get(number) or Code(f"{parameter.name} is not valid", status)
        return Told(code.status, number, code.message)


def dispatcher(commands: Sequence[Command]) -> Callable[[Visit], Awaitable[Response]]:
    """The handler of /api.php: the command that the body names, in any case."""
    by_name = {command.name.lower(): command for command in commands}
    assert len(by_name) == len(commands)

    async def dispatch(visit: Visit) -> Response:
        parameters = await read_parameters(visit.request)
        name = parameters.text("Command")
        command = by_name.get(name.strip().lower())
        if command is None:
            shown = name[:COMMAND_SHOWN_MAX_CHARS]
            raise Broken(UNKNOWN_COMMAND, f'Invalid API command: "{shown}" not found.')
        return await run(command, visit, parameters)

    return dispatch


def served(command: Command) -> Callable[[Visit], Awaitable[Response]]:
    """The handler of a path that is one command."""

    async def serve(visit: Visit) -> Response:
        return await run(command, visit, await read_parameters(visit.request))

    return serve


async def run(command: Command, visit: Visit, parameters: Parameters) -> Response:
    """Recognise, read, do, tell; whatever is refused is told in the command's form and numbers."""
    if command.scope is not None:
        visit = await _recognised(command, visit, parameters)
    try:
        payload = await command.handler(visit, command.read(parameters))
    except EngineError as error:
        raise command.refuse(error) from None
    return command.done(payload)


async def _recognised(command: Command, visit: Visit, parameters: Parameters) -> Call:
    """Bad credentials have one form on all commands (contract: auth.api_php.failure)."""
    assert command.scope is not None
    is_rest = command.form is Form.ERRORS
    try:
        caller = await user_caller(visit.services, visit.request, parameters)
        if is_rest:
            count_for(visit.request, caller)
        caller.principal.require(command.scope)
    except EngineError as error:
        form = Form.ERRORS if is_rest else Form.NUMBER
        raise Faulty(form, [told(error, command.errors, command.codes)]) from None
    return Call(services=visit.services, request=visit.request, operation=visit.operation, caller=caller)
