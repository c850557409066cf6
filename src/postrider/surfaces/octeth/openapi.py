"""What describes this dialect: commands share one path, so each stands under it with its name as fragment.

A client strips the fragment and posts to /api.php; nothing here is asked when a request is served.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, create_model

from postrider.surfaces.common.operations import Operation
from postrider.surfaces.octeth.command import Command
from postrider.surfaces.octeth.errors import COMMAND_PATH
from postrider.surfaces.octeth.mail import Mail

_BODIES: dict[str, type[BaseModel]] = {"sendEmail": Mail}


def described(
    commands: Sequence[Command], rest: Sequence[Command], operations: Sequence[Operation]
) -> tuple[Operation, ...]:
    """The operations as the description shows them: a command each, and the paths with their bodies."""
    bodies = {**_BODIES, **{command.id: _body(command) for command in rest}}
    return (
        *(_described(command) for command in commands),
        *(
            Operation(
                operation.id, operation.method, operation.paths, operation.summary, operation.scope,
                operation.handler, body=bodies.get(operation.id) if operation.method == "POST" else None,
            )
            for operation in operations
            if operation.paths != (COMMAND_PATH,)
        ),
    )  # fmt: skip


def _described(command: Command) -> Operation:
    async def unserved(*_: Any) -> Any:
        raise AssertionError("a description serves nothing")

    body = _body(command, Command=(Literal[command.name], ...))
    path = f"{COMMAND_PATH}#{command.name}"
    return Operation(command.id, "POST", (path,), command.summary, None, unserved, body=body)


def _body(command: Command, **more: Any) -> type[BaseModel]:
    credentials: dict[str, Any] = {"SessionID": (str | None, None), "APIKey": (str | None, None)}
    fields: dict[str, Any] = {
        parameter.name: (parameter.kind.shown, ...)
        if parameter.missing is not None
        else (parameter.kind.shown | None, None)
        for parameter in command.parameters
    }
    asked = {} if command.scope is None else credentials
    return create_model(command.id[0].upper() + command.id[1:], **more, **asked, **fields)
