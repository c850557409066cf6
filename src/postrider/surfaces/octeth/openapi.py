"""What describes this dialect: commands share one path, so each stands under it with its name as fragment.

A client strips the fragment and posts to /api.php; nothing here is asked when a request is served.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, create_model

from postrider.surfaces.common.operations import Operation
from postrider.surfaces.octeth.auth import SENDER_KEY
from postrider.surfaces.octeth.command import Command
from postrider.surfaces.octeth.errors import COMMAND_PATH
from postrider.surfaces.octeth.mail import Mail

_USERS = ("SessionID", "APIKey")
_BODIES: dict[str, type[BaseModel]] = {"sendEmail": Mail}


def described(
    commands: Sequence[Command],
    of_users: Sequence[Command],
    of_senders: Sequence[Command],
    operations: Sequence[Operation],
) -> tuple[Operation, ...]:
    """The operations as the description shows them: a command each, and the paths with their bodies."""
    bodies = {
        **_BODIES,
        **{command.id: _body(command, _USERS) for command in of_users},
        **{command.id: _body(command, (SENDER_KEY,)) for command in of_senders},
    }
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

    credentials = () if command.scope is None else _USERS
    body = _body(command, credentials, Command=(Literal[command.name], ...))
    path = f"{COMMAND_PATH}#{command.name}"
    return Operation(command.id, "POST", (path,), command.summary, None, unserved, body=body)


def _body(command: Command, credentials: Sequence[str], **more: Any) -> type[BaseModel]:
    asked: dict[str, Any] = dict.fromkeys(credentials, (str | None, None))
    fields: dict[str, Any] = {
        parameter.name: (parameter.kind.shown, ...)
        if parameter.missing is not None
        else (parameter.kind.shown | None, None)
        for parameter in command.parameters
    }
    return create_model(command.id[0].upper() + command.id[1:], **more, **asked, **fields)
